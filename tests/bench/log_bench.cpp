// What an append to the log costs the log thread, without the disk: 800 entries of 350 bytes, as a
// busy turn has them, beside one memcpy and one CRC-32C of the same bytes.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/check.hpp"
#include "base/crc32c.hpp"
#include "replication/log/log_store.hpp"
#include "replication/log/record.hpp"

namespace {

using namespace holdfast;
using namespace holdfast::log;

constexpr std::size_t kEntries = 800;
constexpr std::size_t kPayloadBytes = 350;
constexpr int kRounds = 2000;

double now_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::micro>(now).count();
}

// Takes everything and keeps nothing.
class NullFile final : public File {
 public:
  FileResult<std::size_t> append(std::span<const std::string_view> pieces) override {
    std::size_t sum = 0;
    for (const std::string_view piece : pieces) sum += piece.size();
    return sum;
  }
  FileResult<std::size_t> write_at(std::uint64_t, std::string_view bytes) override {
    return bytes.size();
  }
  FileResult<std::size_t> read_at(std::uint64_t, std::span<char>) override { return 0; }
  FileResult<std::uint64_t> size() override { return 0; }
  FileStatus sync() override { return {}; }
  FileStatus truncate(std::uint64_t) override { return {}; }
  const std::string& path() const override { return path_; }

 private:
  std::string path_ = "null";
};

class NullDisk final : public FileSystem {
 public:
  FileResult<std::unique_ptr<File>> open(const std::string&, OpenMode) override {
    return std::make_unique<NullFile>();
  }
  FileResult<std::vector<std::string>> list(const std::string&) override {
    return std::vector<std::string>{};
  }
  FileStatus rename(const std::string&, const std::string&) override { return {}; }
  FileStatus remove(const std::string&) override { return {}; }
  FileStatus make_dir(const std::string&) override { return {}; }
  FileStatus sync_dir(const std::string&) override { return {}; }
  FileResult<std::unique_ptr<FolderLock>> lock(const std::string&) override { return nullptr; }
  FileResult<std::uint64_t> free_bytes(const std::string&) override { return 0; }
};

void measure_append(const char* name, const KeyRing& keys, std::vector<Entry>& entries) {
  NullDisk disk;
  LogStoreOptions options;
  options.folder = "/";
  options.keys = keys;
  options.next_salt = [] { return Salt{}; };
  LogStore store(disk, options, {});
  HF_CHECK(store.open({}));
  std::uint64_t index = 0;
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    for (Entry& entry : entries) entry.index = LogIndex{++index};
    const double begin = now_us();
    HF_CHECK(store.append(entries));
    best = std::min(best, now_us() - begin);
  }
  std::printf("%-28s %7.1f us, %5.1f ns an entry\n", name, best, best * 1000 / kEntries);
}

}  // namespace

int main() {
  RopeArena arena;
  std::vector<Entry> entries;
  std::string bytes;
  for (std::size_t i = 0; i < kEntries; ++i) {
    Entry entry;
    entry.kind = EntryKind::kMutations;
    entry.term = Term{1};
    const std::string payload(kPayloadBytes, static_cast<char>(i));
    arena.append(payload);
    entry.payload = arena.take();
    entries.push_back(std::move(entry));
    bytes += payload;
  }
  std::vector<char> to(bytes.size());
  double best_copy = 1e9;
  double best_crc = 1e9;
  std::uint32_t crc = 0;
  for (int round = 0; round < kRounds; ++round) {
    double begin = now_us();
    std::memcpy(to.data(), bytes.data(), bytes.size());
    best_copy = std::min(best_copy, now_us() - begin);
    begin = now_us();
    for (std::size_t i = 0; i < kEntries; ++i)
      crc += crc32c({to.data() + i * kPayloadBytes, kPayloadBytes});
    best_crc = std::min(best_crc, now_us() - begin);
  }
  std::printf("%-28s %7.1f us\n%-28s %7.1f us (%x)\n", "memcpy", best_copy, "crc32c", best_crc,
              crc);
  measure_append("append", {}, entries);
  MasterKey key{};
  measure_append("append, encrypted", KeyRing({key}), entries);
}
