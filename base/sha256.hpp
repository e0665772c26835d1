// SHA-256 (RFC 6234) in hex, for showing passwords as Redis shows them.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// 64 hex digits in lower case.
std::string sha256_hex(std::string_view bytes);

}  // namespace holdfast
