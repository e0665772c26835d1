// Any bytes as the last segment of a data folder: reading, recovery, check and repair must refuse
// or tell what is there, agree with each other, and never touch foreign memory. The first eight
// bytes say which records keep their wrong checksums.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "replication/log/check.hpp"
#include "replication/log/log_reader.hpp"
#include "replication/log/recovery.hpp"
#include "tests/fuzz/sealed_bytes.hpp"
#include "tests/support/sim_disk.hpp"

using namespace holdfast;
using namespace holdfast::log;

namespace {

constexpr std::uint64_t kSequence = 1;

std::uint64_t load(FileSystem& files, const RecoveredState& state) {
  LogReader reader(files, {}, state.log.segments, LogIndex{0}, Term{0}, state.log.last);
  std::uint64_t count = 0;
  for (;;) {
    auto entries = reader.next(1000);
    if (!entries) return UINT64_MAX;
    if (entries->empty()) return count;
    count += entries->size();
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

  sim::SimDisk disk(1);
  const std::string folder = "/data";
  disk.set_content(join_path(folder, segment_name(kSequence)), bytes);
  DurableRecord record;
  record.running = true;
  record.boot_id = "boot";
  if (bytes.size() >= 16 + kLogIdBytes)
    std::memcpy(record.log_id.data(), bytes.data() + 16, kLogIdBytes);
  disk.set_content(join_path(folder, kDurableRecordName),
                   encode_slot(record, 1) + std::string(kSlotBytes, '\0'));

  const CheckReport report = check(disk, {folder, {}, false});
  auto state = recover(disk, {folder, {}, "boot"});
  // What one calls healthy, the other one loads.
  HF_CHECK(state.has_value() == (report.verdict == CheckVerdict::kHealthy));
  if (state) {
    const LogState& log = state->log;
    HF_CHECK(log.synced <= log.last && state->unsynced.size() == log.last.value - log.synced.value);
    if (state->can_load_behind(LogIndex{0})) HF_CHECK(load(disk, *state) == log.last.value);
    LogStoreOptions options;
    options.folder = folder;
    options.next_salt = [] { return Salt{1}; };
    options.log_id = record.log_id;
    if (log.next_sequence > 1 && log.last.value < UINT64_MAX / 2) {
      LogStore store(disk, options, log);
      HF_CHECK(store.open(state->unsynced));
      HF_CHECK(recover(disk, {folder, {}, "boot"}));
    }
    return 0;
  }
  const CheckReport repair = check(disk, {folder, {}, true});
  if (repair.is_repaired) HF_CHECK(recover(disk, {folder, {}, "boot"}));
  return 0;
}
