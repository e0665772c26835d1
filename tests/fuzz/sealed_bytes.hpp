// Mends the checksums of fuzzed files, so that a fuzzer gets behind them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/crc32c.hpp"
#include "replication/log/format.hpp"
#include "replication/log/record.hpp"

namespace holdfast::log {

inline void mend_header(std::string& bytes) {
  if (bytes.size() < kHeaderBytes) return;
  const std::uint32_t crc = crc32c(std::string_view(bytes).substr(0, kHeaderBytes - 4));
  std::memcpy(bytes.data() + kHeaderBytes - 4, &crc, 4);
}

// Of the records behind a header, as far as their lengths make sense. Each bit of `spare` leaves
// one record as it is.
inline void mend_records(std::string& bytes, std::uint64_t spare) {
  FileHeader header;
  std::string problem;
  for (const FileKind kind : {FileKind::kSegment, FileKind::kSnapshot}) {
    if (decode_header(bytes, kind, header, problem) != HeaderState::kGood || header.encrypted)
      continue;
    const FileSeal seal(header, nullptr);
    std::size_t at = kHeaderBytes;
    for (unsigned i = 0; at + kFrameBytes < bytes.size(); ++i) {
      std::uint32_t length = 0;
      std::memcpy(&length, bytes.data() + at, 4);
      if (length == 0 || length > bytes.size() - at - kFrameBytes) break;
      const std::string associated = bytes.substr(at, 4) + bytes.substr(at + 8, 1);
      const std::uint32_t crc = crc32c(std::string_view(bytes).substr(at + kFrameBytes, length),
                                       seal.crc(at, associated));
      if ((spare >> (i % 64) & 1) == 0) std::memcpy(bytes.data() + at + 4, &crc, 4);
      at += kFrameBytes + length;
    }
  }
}

}  // namespace holdfast::log
