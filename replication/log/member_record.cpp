#include "replication/log/member_record.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace holdfast::log {

MemberRecord::MemberRecord(RecoveredState& recovered, const StorageOptions& options)
    : file_(std::move(recovered.record_file)), record_(std::move(recovered.record)) {
  if (recovered.is_new) {
    const Salt salt = options.next_salt();
    std::copy_n(salt.begin(), record_.log_id.size(), record_.log_id.begin());
    record_.fsync_mode = options.fsync_mode;
  }
  // A stricter mode holds only for what will be written behind what is there.
  record_.fsync_mode = std::min(record_.fsync_mode, options.fsync_mode);
  ++record_.incarnation;
  record_.running = true;
  record_.recovering |= recovered.tail_in_doubt;
  record_.boot_id = options.boot_id;
}

void MemberRecord::take(SaveRecordRequest request) {
  HF_CHECK(request.write > taken_);  // an older record would forget a vote
  taken_ = request.write;
  DurableRecord next = std::move(request.record);
  next.log_id = record_.log_id;
  next.incarnation = record_.incarnation;
  next.fsync_mode = record_.fsync_mode;
  next.running = record_.running;
  next.boot_id = std::move(record_.boot_id);
  record_ = std::move(next);
  is_owed_ = true;
  write_ = request.write;
}

FileStatus MemberRecord::save(StorageEvents& out) {
  auto saved = file_->save(record_);
  if (!saved) return saved;
  is_owed_ = false;
  if (write_ != 0) out.events.push_back(RecordSaved{std::exchange(write_, 0)});
  return saved;
}

}  // namespace holdfast::log
