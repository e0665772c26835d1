// The durable record of a member: what must survive a crash before it may say anything that
// depends on it. Who writes it decides when (votes and terms before they are sent, the rest before
// the first acknowledgement).
//
//   file  := slot[2]                    each kSlotBytes, the rest of it zeros          member.hfd
//   slot  := magic[8] version:u16 length:u32 crc:u32 body[length]
//     crc     CRC-32C of length, body
//   body  := sequence:u64 log_id[16] incarnation:u64 generation:u64
//            fsync_mode:u8 running:u8 recovering:u8 (2: is_log_partial) term:u64 voted_for:u64
//            promise_ms_max:u64 boot_id:string cluster_id:string count:varint {member:string}
//            [node:string [voted_generation:u64]]
//
// `node` and `voted_generation` came later: a record without them is read.
//
// Slots are written in turn and in place, so a full disk does not keep a member from voting: the
// valid slot with the later sequence holds (it begins anew at 0 behind the highest). A slot that
// was torn was never acknowledged. Numbers are little-endian. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"

namespace holdfast::log {

struct DurableRecord {
  LogId log_id{};
  std::uint64_t incarnation = 0;  // grows with each start
  std::uint64_t generation = 0;   // grows when a log was continued without proof of completeness
  FsyncMode fsync_mode = FsyncMode::kEverySecond;  // that the log is written with
  bool running = false;                            // false after a clean stop
  bool recovering = false;
  // The log is known to lack what others have, not only its end: it was begun anew (a lost disk, a
  // history given up), cut by a repair, or is behind a primary that it has met. Only if
  // `recovering`.
  bool is_log_partial = false;
  Term term;
  std::uint64_t voted_for = 0;  // member number in `term`; 0 = nobody
  // The longest lease that was ever promised.
  std::uint64_t promise_ms_max = 0;
  std::string boot_id;  // of the machine, when `running` was written
  std::string cluster_id;
  std::vector<std::string> members;
  std::string node;  // which of them it is; empty: a server alone, or written before this was kept
  // The highest generation that it has voted for, its own candidacies included: it votes for higher
  // ones only, so that of two generations the higher was begun later.
  std::uint64_t voted_generation = 0;

  friend bool operator==(const DurableRecord&, const DurableRecord&) = default;
};

inline constexpr std::size_t kSlotBytes = 16 * 1024;
inline constexpr std::string_view kDurableRecordName = "member.hfd";

// One slot; for tests.
std::string encode_slot(const DurableRecord& record, std::uint64_t sequence);

class DurableRecordFile {
 public:
  // `is_new` tells that there is none in the folder. One slot that is not valid is normal after a
  // crash; if it holds anything but zeros, `damaged_slot` tells so. What is loaded is made durable
  // first: its last writer may have died before it was. The error (both slots bad, an unknown
  // version, a failed read or write) names the file.
  struct Loaded {
    std::unique_ptr<DurableRecordFile> file;
    DurableRecord record;
    bool is_new = false;
    bool damaged_slot = false;
  };
  static Result<Loaded> load(FileSystem& files, const std::string& folder);
  // Only reads: what `load` would give, for `check`. `file` is null.
  static Result<Loaded> inspect(FileSystem& files, const std::string& folder);

  // Returns when it is durable. The first call makes the file. After an error the former record
  // holds, or this one does: call again until it succeeds before saying anything.
  // REQUIRES: the record fits into a slot (members and ids below 15 KB together).
  FileStatus save(const DurableRecord& record);

 private:
  DurableRecordFile(FileSystem& files, std::string folder)
      : files_(files), folder_(std::move(folder)) {}
  static Result<Loaded> read(FileSystem& files, const std::string& folder);
  FileStatus create(const DurableRecord& record);

  FileSystem& files_;
  std::string folder_;
  std::unique_ptr<File> file_;  // null until it exists
  std::uint64_t sequence_ = 0;  // of the last valid slot
  std::size_t valid_slot_ = 1;  // the other one is written next
};

}  // namespace holdfast::log
