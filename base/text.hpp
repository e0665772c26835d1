// Small text helpers with Redis's notions of numbers and letters. ASCII only, no locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// A decimal integer exactly as Redis's string2ll takes it: optional '-', no '+', no leading zeros,
// no spaces, whole range of 64 bits.
std::optional<std::int64_t> parse_int(std::string_view text);
// A finite or infinite number as Redis's INCRBYFLOAT takes it (strtold: no leading spaces, no NaN).
std::optional<long double> parse_long_double(std::string_view text);
// As Redis prints INCRBYFLOAT's result: %.17Lf without trailing zeros.
std::string format_long_double(long double value);

char ascii_lower(char c);
std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);

// Decimal digits of `value` written to `out` (room for 20 bytes needed); returns their number.
std::size_t write_int(std::int64_t value, char* out);

// For a log line: a quote, a backslash and all that is not printable ASCII as \xNN.
std::string escaped(std::string_view text);

// Redis's glob: * ? [a-z] [^a] and backslash. Iterative: at worst pattern length times text length
// steps.
bool glob_match(std::string_view pattern, std::string_view text, bool ignore_case = false);

}  // namespace holdfast
