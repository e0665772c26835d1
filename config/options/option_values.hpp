// Reading and showing the values of options as Redis 7.0 does in CONFIG GET and CONFIG SET, with
// its error texts.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "config/options/option_table.hpp"

namespace holdfast::config {

// CONFIG GET's form: sizes as plain bytes, yes and no, lists separated by spaces, permissions in
// octal.
std::string format_value(const OptionRow& row, const Options& options);

// Takes what CONFIG SET takes for this type; lists may be separated by spaces or commas. On an
// error `options` is unchanged and the text is Redis's ("argument must be between 0 and 65535
// inclusive"). Whether the option may change at run time, and what other options say to it, is not
// asked here.
Result<void> parse_and_set(const OptionRow& row, Options& options, std::string_view text);

// What may stand there, for error texts and help: "0 to 65535", "yes, no", "a size such as 100mb",
// ...
std::string describe_allowed(const OptionRow& row);

// A size with Redis's units: 1k = 1000, 1kb = 1024, likewise m, mb, g, gb and b, in any case.
// Stricter than Redis in two points: a number must be there, and it must fit into 64 bits (Redis
// reads "mb" as 0 and wraps around).
std::optional<std::uint64_t> parse_size(std::string_view text);

// Null when a letter is not one of Ag$lshzxeKEtmdn.
std::optional<KeyspaceEvents> parse_keyspace_events(std::string_view letters);
// As Redis 7.0 normalises it: "KEA" becomes "AKE" (and n is not shown beside A).
std::string format_keyspace_events(KeyspaceEvents events);

// "<class> <hard> <soft> <seconds>", repeated; classes that are not named keep what `limits` holds.
Result<void> parse_output_buffer_limits(std::string_view text, OutputBufferLimits& limits);
std::string format_output_buffer_limits(const OutputBufferLimits& limits);

}  // namespace holdfast::config
