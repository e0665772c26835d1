// Any bytes as a snapshot file: it is refused with a text, or its blocks are those that the trailer
// counted. The first eight bytes say which records keep their wrong checksums.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "replication/log/data_folder.hpp"
#include "replication/log/snapshot_file.hpp"
#include "tests/fuzz/sealed_bytes.hpp"
#include "tests/support/sim_disk.hpp"

using namespace holdfast;
using namespace holdfast::log;

namespace {

// The checksum of all blocks, in a trailer where one would lie.
void mend_trailer(std::string& bytes) {
  FileHeader header;
  std::string problem;
  if (decode_header(bytes, FileKind::kSnapshot, header, problem) != HeaderState::kGood) return;
  std::uint32_t crcs = 0;
  std::size_t at = kHeaderBytes;
  while (at + kFrameBytes < bytes.size()) {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at, 4);
    if (length == 0 || length > bytes.size() - at - kFrameBytes) return;
    const auto type = static_cast<RecordType>(bytes[at + 8]);
    if (type == RecordType::kTrailer && length == kTrailerBytes)
      std::memcpy(bytes.data() + at + kFrameBytes + kTrailerBytes - 4, &crcs, 4);
    crcs = crc32c(std::string_view(bytes).substr(at + 4, 4), crcs);
    at += kFrameBytes + length;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  std::uint64_t spare = 0;
  std::memcpy(&spare, data, 8);
  std::string bytes(reinterpret_cast<const char*>(data) + 8, size - 8);
  mend_header(bytes);
  mend_records(bytes, spare);
  mend_trailer(bytes);
  mend_records(bytes, spare);

  sim::SimDisk disk(1);
  const std::string path = "/data/snapshot";
  disk.set_content(path, bytes);
  auto reader = SnapshotReader::open(disk, path, {});
  if (!reader) {
    HF_CHECK(reader.error().message.find(path) != std::string::npos);
    return 0;
  }
  std::uint64_t sum = 0;
  for (;;) {
    Rope mutations;
    auto more = (*reader)->next(mutations);
    if (!more) {
      HF_CHECK(!(*reader)->has_failed() && !more.error().message.empty());
      return 0;
    }
    sum += mutations.size();
    if (!*more) break;
  }
  HF_CHECK(sum == (*reader)->totals().plain_bytes);
  FolderSnapshot file;
  file.path = path;
  file.file_bytes = bytes.size();
  file.header = (*reader)->header();
  HF_CHECK(check_snapshot_end(disk, file, {}).value().empty());
  return 0;
}
