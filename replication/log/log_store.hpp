// LogStore writes the log's segments (format.hpp) and reads entries back from them.
//
// It works on what recovery found (recovery.hpp) and always begins with a segment of its own. It
// belongs to the log thread: every call may block on the disk. It does not touch the reference
// counts of the entries that it is given, so the loop may keep them meanwhile.
//
// Failure: after an append, sync or new segment that failed, the store is *failed*. What was
// appended since the last successful sync is then uncertain, and nothing is ever assumed of it:
// `retry` writes all of it anew, into a new segment, from the entries that the caller kept. Only
// after a write that failed (a full disk) what was written before it may still be synced where it
// is, so that a disk with little room need not hold it twice; a sync that failed is final. Until
// that succeeds everything but reading is refused with the same error. So the caller keeps every
// entry above `synced_index`.
//
// Fsync: the caller decides when to `sync`; the mode is only written into the header, as recovery
// judges by it. The store itself syncs when a segment begins, in every mode.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "replication/log/cipher.hpp"
#include "replication/log/entry.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"
#include "replication/log/record.hpp"
#include "replication/log/segment_reader.hpp"

namespace holdfast::log {

struct LogStoreOptions {
  std::string folder;
  LogId log_id{};
  FsyncMode fsync_mode = FsyncMode::kEverySecond;
  std::uint64_t segment_bytes_max = 64 << 20;
  KeyRing keys;
  // True randomness, or seeded in tests; called once a file. Never gives the same twice.
  std::function<Salt()> next_salt;
};

struct Segment {
  std::string path;
  std::uint64_t sequence = 0;
  LogIndex first;
  // That counts: later entries in the file are void. first - 1 if there is none.
  LogIndex last;
  Term previous_term;
  UnixMs previous_time = 0;
  bool follows_snapshot = false;
  std::uint64_t file_bytes = 0;
  std::vector<EntryPosition> positions;  // of an entry every so many bytes, to begin reading at
};

// Where a log stands: what recovery found, or, default-constructed, a new one.
struct LogState {
  std::vector<Segment> segments;  // by sequence and index, without gaps
  LogIndex last;
  Term last_term;
  UnixMs last_time = 0;
  // Entries through here were synced; above, they are to be written anew.
  LogIndex synced;
  Term synced_term;
  UnixMs synced_time = 0;
  std::uint64_t next_sequence = 1;
  // The log stands at a snapshot, and its segments are void: the next one follows the snapshot.
  bool follows_snapshot = false;
};

class LogStore {
 public:
  LogStore(FileSystem& files, LogStoreOptions options, LogState state);

  // Before anything else, once: begins the first segment of this life. `unsynced` are the entries
  // above state.synced through state.last. Tried again after an error.
  FileStatus open(std::span<const Entry> unsynced);

  // Entries follow the last one. Gives the number of bytes written. Persisted by a process's death
  // when it returns, by a loss of power after the next sync.
  FileResult<std::uint64_t> append(std::span<const Entry> entries);
  FileStatus sync();
  // A sync that goes on while more is appended: it covers what was appended before. Everything but
  // appends and reads waits for its end. REQUIRES: has_unsynced, not failed, none begun.
  void begin_sync();
  bool is_syncing() const { return syncing_.has_value(); }
  // Its outcome; none while it goes on, unless it is to be waited for. REQUIRES: is_syncing.
  std::optional<FileStatus> end_sync(bool wait);
  // Forgets the entries from `from` on. After an error last_index() tells whether they are
  // forgotten (then retry makes it last) or not. REQUIRES: from > the index of a snapshot that was
  // installed or taken and is needed.
  FileStatus truncate_suffix(LogIndex from);
  // The log begins anew behind a snapshot that is durable (index 0: none, an empty log): all older
  // entries are forgotten, also after an error if then `stands_at_snapshot` (retry makes it last).
  // `voids_snapshots`: from then on no other snapshot counts; they are to be removed for good
  // before anything else is written, and then `end_voiding`.
  FileStatus reset(LogIndex snapshot_index, Term snapshot_term, UnixMs snapshot_time,
                   bool voids_snapshots = false);
  bool stands_at_snapshot() const { return state_.follows_snapshot; }
  FileStatus end_voiding() { return roll(); }
  // Begins a new segment, with another mode or keys.
  FileStatus roll(FsyncMode mode);
  FileStatus roll(KeyRing keys);
  // Removes segments that hold only entries below `index` (which the oldest kept snapshot makes
  // superfluous: its index + 1). A file that cannot be removed stays and is tried again next time.
  FileStatus remove_below(LogIndex index);
  // Syncs and marks: the next recovery finds nothing to doubt. Nothing may follow.
  FileStatus close();

  const std::optional<FileError>& failure() const { return failure_; }
  // `entries` are those above synced_index() through last_index(), and more if there are more, and
  // maybe some below. An attempt that fails may have moved synced_index(). REQUIRES: failed.
  FileStatus retry(std::span<const Entry> entries);

  // Entries from `from` on and below `to`, at most about `payload_bytes_max` but at least one.
  // The entries are in blocks of their own, to be handed over whole. REQUIRES: first_index() <=
  // from <= last_index().
  Result<std::vector<Entry>> read(LogIndex from, LogIndex to, std::size_t payload_bytes_max) const;

  LogIndex first_index() const;
  LogIndex last_index() const { return state_.last; }
  Term last_term() const { return state_.last_term; }
  LogIndex synced_index() const { return state_.synced; }
  bool has_unsynced() const { return state_.synced < state_.last; }
  std::uint64_t file_bytes() const;
  // The next append begins a new segment, which syncs the one before.
  bool is_segment_full() const {
    return state_.segments.empty() ||
           state_.segments.back().file_bytes >= options_.segment_bytes_max;
  }
  const std::vector<Segment>& segments() const { return state_.segments; }

 private:
  // What lies before a segment's first entry.
  struct Before {
    LogIndex index;
    Term term;
    UnixMs time = 0;
    bool follows_snapshot = false;
    bool voids_snapshots = false;
  };
  FileStatus fail_with(FileError error);
  FileStatus begin_segment(const Before& before, std::span<const Entry> entries);
  FileResult<std::unique_ptr<File>> write_segment(Segment& segment, const FileHeader& header,
                                                  std::span<const Entry> entries);
  FileStatus roll();
  void add(std::span<const Entry> entries, Segment& segment);
  void add_part(const Entry& entry, std::uint8_t fragment, std::span<const std::string_view> parts);
  void add_mark(std::uint64_t offset, LogIndex index);
  void forget_from(LogIndex from);
  void remove_void_files();
  Before before_next() const { return {state_.last, state_.last_term, state_.last_time}; }
  Before before_unsynced() const {
    return {state_.synced, state_.synced_term, state_.synced_time, state_.follows_snapshot,
            voids_snapshots_};
  }
  void set_last(LogIndex index, Term term, UnixMs time);
  void set_synced();
  FileStatus settle();
  std::size_t segment_of(LogIndex index) const;

  FileSystem& files_;
  LogStoreOptions options_;
  LogState state_;  // the last segment is being written
  std::unique_ptr<File> file_;
  std::unique_ptr<FileSeal> seal_;
  RecordBatch batch_;
  std::vector<std::string_view> parts_;  // scratch
  bool mark_is_due_ = false;
  std::uint64_t synced_bytes_ = 0;  // of the current file
  std::vector<std::string> void_files_;
  bool removal_is_unsynced_ = false;
  bool voids_snapshots_ = false;  // what the next segment says, if it follows a snapshot
  std::optional<FileError> failure_;
  // What the sync that was begun covers.
  struct Syncing {
    LogIndex last;
    Term last_term;
    UnixMs last_time = 0;
    std::uint64_t file_bytes = 0;
  };
  std::optional<Syncing> syncing_;
  bool may_sync_ = false;  // after the failure: no sync of the current file has failed
};

}  // namespace holdfast::log
