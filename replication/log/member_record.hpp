// MemberRecord is the durable record as storage keeps it: part of it is the owner's (term, vote,
// members ...), part storage's own (log id, incarnation, fsync mode, running, boot), which the
// owner cannot change. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "replication/log/durable_record.hpp"
#include "replication/log/recovery.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::log {

class MemberRecord {
 public:
  // Takes file and record out of `recovered`, and says that the member runs. Not saved yet.
  MemberRecord(RecoveredState& recovered, const StorageOptions& options);

  void take(SaveRecordRequest request);
  void set_mode(FsyncMode mode) {
    record_.fsync_mode = mode;
    is_owed_ = true;
  }
  void set_stopped() {
    record_.running = false;
    is_owed_ = true;
  }
  // Makes it durable. After an error it is still owed, whatever is on the disk.
  FileStatus save(StorageEvents& out);
  bool is_owed() const { return is_owed_; }

  const DurableRecord& value() const { return record_; }

 private:
  std::unique_ptr<DurableRecordFile> file_;
  DurableRecord record_;
  bool is_owed_ = true;
  WriteNumber write_ = 0;  // that waits for it, 0: none
  WriteNumber taken_ = 0;  // the newest
};

}  // namespace holdfast::log
