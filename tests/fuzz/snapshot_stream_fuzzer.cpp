// Any bytes as a snapshot's stream, cut anywhere: it is refused with a text, and then again, or its
// blocks are those that the end counted; and the cuts do not matter. The first eight bytes say
// where it is cut, the next eight which frames keep their wrong checksums.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/crc32c.hpp"
#include "base/random.hpp"
#include "replication/log/snapshot_stream.hpp"

using namespace holdfast;
using namespace holdfast::log;

namespace {

constexpr std::size_t kOriginAt = 8 + 2 + 2 + 4 * 8;
constexpr std::uint8_t kEnd = 4;

// So that the fuzzer gets behind the checksums.
void mend(std::string& stream, std::uint64_t spare) {
  if (stream.size() < kStreamHeadBytes) return;
  put_u32(stream.data() + kStreamHeadBytes - 4,
          crc32c(std::string_view(stream).substr(0, kStreamHeadBytes - 4)));
  std::uint32_t crcs = 0;
  std::size_t at = kStreamHeadBytes;
  for (unsigned i = 0; at + kStreamFrameBytes < stream.size(); ++i) {
    std::uint32_t length = 0;
    std::memcpy(&length, stream.data() + at, 4);
    if (length == 0 || length > stream.size() - at - kStreamFrameBytes) return;
    char* const body = stream.data() + at + kStreamFrameBytes;
    if (static_cast<std::uint8_t>(stream[at + 8]) == kEnd && length == kStreamEndBytes)
      put_u32(body + kStreamEndBytes - 4, crcs);
    char offset[8];
    put_u64(offset, at);
    std::uint32_t crc = crc32c(std::string_view(stream).substr(kOriginAt, 8));
    crc = crc32c({offset, sizeof offset}, crc);
    crc = crc32c(std::string_view(stream).substr(at, 4), crc);
    crc = crc32c(std::string_view(stream).substr(at + 8, 1 + length), crc);
    if ((spare >> (i % 64) & 1) == 0) put_u32(stream.data() + at + 4, crc);
    crcs = crc32c(std::string_view(stream).substr(at + 4, 4), crcs);
    at += kStreamFrameBytes + length;
  }
}

struct Decoded {
  std::vector<std::string> blocks;
  std::string error;
  bool is_complete = false;
};

Decoded decode(std::string_view stream, Random* cuts) {
  SnapshotStreamDecoder decoder;
  Decoded all;
  while (!stream.empty()) {
    const std::size_t size =
        cuts == nullptr ? stream.size() : std::min<std::size_t>(stream.size(), 1 + cuts->below(40));
    const auto added = decoder.add(Rope::copy_of(stream.substr(0, size)));
    stream.remove_prefix(size);
    while (const auto block = decoder.next()) all.blocks.push_back(block->str());
    if (added) continue;
    HF_CHECK(!added.error().message.empty());
    HF_CHECK(!decoder.add(std::string_view("x")));
    all.error = added.error().message;
    break;
  }
  all.is_complete = decoder.is_complete();
  std::uint64_t sum = 0;
  for (const std::string& block : all.blocks) {
    HF_CHECK(!block.empty());
    sum += block.size();
  }
  HF_CHECK(sum <= decoder.totals().plain_bytes);
  if (all.is_complete) HF_CHECK(decoder.head() && sum == decoder.totals().plain_bytes);
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 16) return 0;
  std::uint64_t seed = 0;
  std::uint64_t spare = 0;
  std::memcpy(&seed, data, 8);
  std::memcpy(&spare, data + 8, 8);
  std::string stream(reinterpret_cast<const char*>(data) + 16, size - 16);
  mend(stream, spare);
  Random cuts(seed);
  const Decoded in_parts = decode(stream, &cuts);
  const Decoded whole = decode(stream, nullptr);
  HF_CHECK(in_parts.blocks == whole.blocks && in_parts.error == whole.error);
  HF_CHECK(in_parts.is_complete == whole.is_complete);
  HF_CHECK(whole.error.empty() || !whole.is_complete);
  return 0;
}
