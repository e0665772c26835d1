// SHA-256 (RFC 6234), for showing passwords as Redis shows them. Not for long data: it is the plain
// algorithm, without the processor's instructions.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// 64 hex digits in lower case.
std::string sha256_hex(std::string_view bytes);

}  // namespace holdfast
