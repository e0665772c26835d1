// CRC-32C (Castagnoli polynomial, reflected, initial value and final complement of all ones: RFC
// 3720, appendix B.4), by the processor's instruction where there is one.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast {

// The checksum of a followed by b is crc32c(b, crc32c(a)).
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);
// The same without the instruction.
std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t before = 0);

}  // namespace holdfast
