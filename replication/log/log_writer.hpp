// LogWriter decides when the log is written and synced, and keeps what is not synced yet: it is
// what stands between storage's requests and LogStore.
//
//   - Appends that wait together become one write; each is persisted after the write, or after the
//     sync with FsyncMode::kAlways.
//   - With kEverySecond the log is synced a second after the first write that is not; and early, in
//     every mode, when too many bytes wait for it, as they are all in memory. Such a sync goes on
//     while more is written; only when twice as many bytes wait do writes wait for it.
//   - After a failure, `retry` writes all of it anew.
//
// Entries are kept as they came and handed back (`spent`) when they are synced or truncated. Events
// that it gives: Persisted. Not thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/time.hpp"
#include "replication/log/log_store.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::log {

class LogWriter {
 public:
  static constexpr MonoUs kNever = std::numeric_limits<MonoUs>::max();

  LogWriter(LogStore& store, FsyncMode mode, std::uint64_t unsynced_bytes_max)
      : store_(store), mode_(mode), unsynced_bytes_max_(unsynced_bytes_max) {}

  // Writes the entries of all `appends`, which are consumed also if it fails: they are then what
  // `retry` writes.
  FileStatus append(std::span<AppendRequest> appends, MonoUs now, StorageEvents& out);
  // Syncs and hands back what was kept.
  FileStatus sync(StorageEvents& out);
  // What is due: begins the sync of the last second, which goes on beside appends, or sees whether
  // it has ended.
  FileStatus poll(MonoUs now, StorageEvents& out);
  // Forgets entries from `from` on. After an error `is_forgotten` tells whether `retry` makes it
  // last; otherwise it is to be called again after that.
  FileStatus truncate(const TruncateRequest& request, bool& is_forgotten, StorageEvents& out);
  // The log begins anew (LogStore::reset): hands back what was kept. After an error `is_forgotten`
  // as for truncate. Nothing is said of it: the caller does, by `took`, when all of it is done.
  FileStatus reset(LogIndex index, Term term, UnixMs time, bool voids_snapshots, bool& is_forgotten,
                   StorageEvents& out);
  void took(WriteNumber write, StorageEvents& out);
  // REQUIRES: the store failed.
  FileStatus retry(StorageEvents& out);
  // Says that what was written is persisted, if it is.
  void say_persisted(StorageEvents& out);

  FsyncMode mode() const { return mode_; }
  // What was written before must be synced when it becomes kAlways.
  void set_mode(FsyncMode mode);

  // When `poll` has something to do.
  MonoUs sync_due() const { return sync_due_; }
  std::uint64_t unsynced_bytes() const { return unsynced_bytes_; }
  std::uint64_t fsyncs() const { return fsyncs_; }
  // Hands everything back: the end.
  void hand_back_all(StorageEvents& out);

 private:
  FileStatus write(std::span<AppendRequest> appends, StorageEvents& out);
  void begin_sync(MonoUs now);
  void hand_back_synced(StorageEvents& out);
  void forget_from(LogIndex from, StorageEvents& out);

  LogStore& store_;
  FsyncMode mode_;
  std::uint64_t unsynced_bytes_max_;
  // Above the store's synced index, in order; each element was, or will be, written at once.
  std::vector<std::vector<Entry>> unsynced_;
  std::uint64_t unsynced_bytes_ = 0;
  std::uint64_t syncing_bytes_ = 0;  // of them, those that a sync under way covers
  MonoUs sync_due_ = kNever;
  WriteNumber taken_ = 0;      // the last that was handed to `append` or `truncate`
  WriteNumber persisted_ = 0;  // the last that was said to be
  std::uint64_t fsyncs_ = 0;
};

}  // namespace holdfast::log
