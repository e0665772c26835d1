// Storage is everything that a member does with its data folder: recovery, the log, snapshots, the
// durable record, retention, and what happens when the disk fails. It is synchronous over a
// FileSystem and knows neither threads nor clocks: server/storage runs one on the log thread, the
// simulator runs one over a simulated disk.
//
// The owner sends requests in order and hears of them by events. Ropes and entries have reference
// counts that only the owner's thread may touch, so whatever came with a request goes back to the
// owner in an event (`spent`) and is dropped there; storage only reads the bytes. Blocks and
// entries that storage itself read are handed over whole, and it keeps nothing of them.
//
// Life: `start` recovers. Loading is pulled: one LoadRequest gives at most one LoadedBlock, so that
// a slow owner bounds what is in memory; the last answer is `Loaded` (again for each request that
// was sent ahead). Only then the other requests
// are allowed, but for SaveRecordRequest and StopRequest.
//
// Persistence of an append: an event `Persisted` names the write. With FsyncMode::kAlways it comes
// after the sync; otherwise after the write to the kernel. Several appends that wait together
// become one write and one sync. Storage keeps the entries until they are synced.
//
// Order: appends, truncations, records and changes of mode or keys are carried out at once, in
// their order. Snapshot and read requests wait behind them and are carried out by `poll`, one a
// call and in their own order (`next_due` is then in the past), so that appends go between the
// blocks of a snapshot. A truncation lets the log reads that came before go first, an installation
// and the end all that came before, but reads of snapshots, which may have to look far: those are
// handed back unread. What came behind a truncation or an installation waits for it.
//
// Failure: when a write or sync fails, `Failed` says so once, nothing is persisted any more, and
// storage tries again by itself (poll) until `Healthy`: all that was not synced is then written
// anew and synced, in a new segment; pending writes count as persisted only then. The durable
// record is saved even while the log fails. A failed snapshot is SnapshotFailed and nothing else,
// one of a peer's that cannot be stored SnapshotStoreFailed.
//
// Snapshots of peers: they are sent and stored as streams (snapshot_stream.hpp). A stored one
// counts for nothing until it is installed; a death in the middle of the installation leaves the
// state before it or the state behind it.
//
// The durable record: storage keeps log_id, incarnation, fsync_mode, running and boot_id right
// whatever the owner puts there. At the start it sets `recovering` if the tail is in doubt, before
// anything else is written, so that a second crash does not make it forget; the owner clears it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/durable_record.hpp"
#include "replication/log/entry.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"

namespace holdfast::log {

struct StorageOptions {
  std::string folder;
  FsyncMode fsync_mode = FsyncMode::kEverySecond;
  Packing snapshot_packing = Packing::kPlain;
  std::uint32_t snapshots_kept = 5;  // at least 1
  std::uint64_t segment_bytes_max = 64 << 20;
  // Above this many unsynced bytes a sync comes early, whatever the mode: they are all in memory.
  std::uint64_t unsynced_bytes_max = 64 << 20;
  // Snapshot files are synced every so many bytes, so that no single sync takes long: where the
  // loop shares a core with this thread, it waits while the kernel hands the bytes to the disk (4.5
  // ms for 8 MB).
  std::uint64_t snapshot_sync_bytes = 1 << 20;
  KeyRing keys;
  // True randomness, or seeded in tests. A new folder's log id comes from it too.
  std::function<Salt()> next_salt;
  std::string boot_id;  // of the machine's present boot
};

// Who numbers writes makes them grow.
using WriteNumber = std::uint64_t;

// --- requests
struct LoadRequest {};
struct AppendRequest {
  WriteNumber write = 0;
  std::vector<Entry> entries;  // follow the last one
};
struct TruncateRequest {  // forgets entries from `from` on
  WriteNumber write = 0;
  LogIndex from;
};
struct SaveRecordRequest {
  WriteNumber write = 0;
  DurableRecord record;
};
// A snapshot of this member's data at `index`; at most one at a time. Its blocks follow, then
// either finish (REQUIRES: `index` is committed; it becomes valid) or abandon.
struct BeginSnapshotRequest {
  LogIndex index;
  Term term;
  UnixMs time = 0;
  std::uint64_t digest_seed = 0;
};
struct SnapshotBlockRequest {
  Rope mutations;
  std::uint64_t record_count = 0;
};
struct FinishSnapshotRequest {};
struct AbandonSnapshotRequest {};
struct ReadRequest {  // log entries, for a peer that is behind
  std::uint64_t number = 0;
  LogIndex from;
  LogIndex to;  // exclusive
  std::size_t payload_bytes_max = 0;
};
// Bytes of a stored snapshot for somebody who reads it as a stream: a peer, or this member itself
// reloading. `reader` names the stream; one at a time each. Index 0: the newest valid one, from
// offset 0. Otherwise the one of that index and term; if it is not there any more, offset 0 of the
// newest one is the answer. A stream that goes on where it stopped costs no re-reading; another
// offset is found again by reading from the beginning. A snapshot that is being read stays readable
// although retention removes it. Answered by SnapshotPart.
struct ReadSnapshotRequest {
  std::uint64_t reader = 0;
  LogIndex index;
  Term term;
  std::uint64_t offset = 0;
  std::size_t bytes_max = 0;
  std::uint64_t number = 0;  // the owner's, comes back in the answer
};
struct EndSnapshotReadRequest {
  std::uint64_t reader = 0;
};
// A peer's snapshot, block after block of its stream; offset 0 begins a new one and discards the
// one before. Kept aside under a temporary name: a start removes it. Each is answered by
// SnapshotStored or SnapshotStoreFailed; behind a failure blocks are passed over without an answer,
// until a stream begins anew. The owner gives no more than a few ahead of the answers: they are in
// memory.
struct StoreSnapshotRequest {
  LogIndex index;
  Term term;
  std::uint64_t offset = 0;
  Rope bytes;
  bool is_last = false;
  std::uint64_t stream = 0;  // the owner's number of it, comes back in the answers
};
struct DiscardSnapshotRequest {};
// REQUIRES: SnapshotStored said that the whole stream is stored.
// The stored stream becomes this member's newest snapshot and the log begins anew behind
// it: all older entries and all other snapshots are forgotten. Index 0: no snapshot, an empty log
// (this member lost its claim to what it had). Answered by Persisted once it is durable. A snapshot
// of its own that is under way is SnapshotFailed, and streams that were being read have ended.
// Without the stream the owner has already forgotten what storage still has: Refused, with the
// folder as it was.
struct InstallSnapshotRequest {
  WriteNumber write = 0;
  LogIndex index;
  Term term;
};
// Retention keeps log entries from here on, whatever snapshots say (peers are being fed from them).
// Without it there is no wish.
struct KeepLogRequest {
  LogIndex from;
};
struct ChangeModeRequest {
  FsyncMode mode = FsyncMode::kEverySecond;
};
struct ChangeKeysRequest {  // what is written from now on is sealed with the first of them
  KeyRing keys;
};
// Syncs, writes `running = false`, ends. Nothing may follow; answered by Stopped.
struct StopRequest {};

using Request =
    std::variant<LoadRequest, AppendRequest, TruncateRequest, SaveRecordRequest,
                 BeginSnapshotRequest, SnapshotBlockRequest, FinishSnapshotRequest,
                 AbandonSnapshotRequest, ReadRequest, ReadSnapshotRequest, EndSnapshotReadRequest,
                 StoreSnapshotRequest, DiscardSnapshotRequest, InstallSnapshotRequest,
                 KeepLogRequest, ChangeModeRequest, ChangeKeysRequest, StopRequest>;

// --- events
// What recovery found before any data is loaded.
struct Recovered {
  bool is_new = false;  // an empty folder
  DurableRecord record;
  LogIndex snapshot_index;  // 0: none
  Term snapshot_term;
  LogIndex last_index;  // of the log (or of the snapshot, if it is ahead)
  Term last_term;
  UnixMs last_time = 0;
  LogIndex first_log_index;  // the oldest entry that can be read
  // A complete record was dropped, or the machine's boot ended without a clean stop and the log was
  // not written with `always`: acknowledged entries may be missing at the end.
  bool tail_in_doubt = false;
  // The member's record is there, and neither a snapshot nor a file of the log.
  bool log_is_missing = false;
  std::uint64_t bytes_to_load = 0;  // of files; for progress
};
// Mutations of the snapshot, or entries behind it. `restart`: what was loaded before is void (a
// damaged snapshot, an older one takes its place), begin with an empty keyspace.
struct LoadedBlock {
  bool restart = false;
  Rope snapshot_mutations;  // or
  std::vector<Entry> entries;
  std::uint64_t bytes_loaded = 0;  // of files, so far
};
// `snapshot_index`: of the one that was really loaded (0: none), which may be older than what was
// recovered, if that was damaged.
struct Loaded {
  LogIndex snapshot_index;
  Term snapshot_term;
};
// The folder cannot be used; the text says why and the way out. Storage has ended.
struct Refused {
  std::string text;
};
struct Persisted {
  WriteNumber write = 0;  // and all before it
};
struct RecordSaved {
  WriteNumber write = 0;
};
struct Failed {
  FileError error;
  std::string text;  // cause and remedy
};
struct Healthy {};
struct SnapshotDone {
  LogIndex index;
  std::uint64_t file_bytes = 0;
  std::uint64_t records = 0;
  LogIndex first_log_index;  // after segments that are not needed any more were removed
};
struct SnapshotFailed {
  std::string text;
};
struct EntriesRead {
  std::uint64_t number = 0;
  std::vector<Entry> entries;
  std::string error;  // not empty: they could not be read
};
// Bytes of the stream, or the end of it. `index`, `term` and `offset` say which; see
// ReadSnapshotRequest.
struct SnapshotPart {
  std::uint64_t reader = 0;
  LogIndex index;
  Term term;
  UnixMs time = 0;
  std::uint64_t offset = 0;
  Rope bytes;
  bool is_last = false;
  std::string error;  // not empty: it cannot be had
  std::uint64_t number = 0;
  bool is_unread = false;             // an error that says nothing of the snapshot: nobody looked
  std::uint64_t file_bytes = 0;       // of the snapshot's file, for progress
  std::uint64_t file_bytes_read = 0;  // so far
};
// A block of a peer's snapshot is stored, and all before it. (Not synced: a restart begins anew.)
// Whole: the last one is, all of it is good and synced, and it can be installed.
struct SnapshotStored {
  std::uint64_t stream = 0;
  std::uint64_t bytes = 0;
  bool is_whole = false;
};
// What was stored of a peer's snapshot is void; the stream must begin anew.
struct SnapshotStoreFailed {
  std::string text;
  std::uint64_t stream = 0;
};
struct Note {  // a line for the server's log
  bool is_warning = false;
  std::string text;
};
struct Stopped {
  bool is_clean = false;
};

using StorageEvent = std::variant<Recovered, LoadedBlock, Loaded, Refused, Persisted, RecordSaved,
                                  Failed, Healthy, SnapshotDone, SnapshotFailed, EntriesRead,
                                  SnapshotPart, SnapshotStored, SnapshotStoreFailed, Note, Stopped>;

struct StorageEvents {
  std::vector<StorageEvent> events;
  // To be dropped by the owner, in slices: a sync may give a second's worth of them. The vectors
  // are those that came with the requests.
  std::vector<std::vector<Entry>> spent_entries;
  std::vector<Rope> spent_ropes;
};

struct StorageFigures {
  std::uint64_t log_bytes = 0;
  std::uint64_t log_segments = 0;
  std::uint64_t synced_index = 0;
  std::uint64_t unsynced_bytes = 0;
  std::uint64_t memory_bytes = 0;  // FileSystem::memory_bytes
  std::uint64_t fsyncs = 0;        // of the log
  std::uint64_t fsync_us_max = 0;  // filled in by who runs the storage and has a clock
};

class Storage {
 public:
  Storage(FileSystem& files, StorageOptions options);
  ~Storage();

  // Locks the folder and recovers; gives Recovered or Refused.
  void start(StorageEvents& out);
  // Whether `handle` would do one small write with these requests and nothing else: no sync, no new
  // file, nothing that waits before them, no failure to mend.
  bool is_small_write(const std::vector<Request>& requests) const;
  // Carries out requests in order; those that wait together are grouped. Time is monotonic.
  void handle(std::vector<Request> requests, MonoUs now, StorageEvents& out);
  // What is due by time: the everysec sync, another try after a failure.
  void poll(MonoUs now, StorageEvents& out);
  // When poll has something to do next; INT64_MIN: at once, INT64_MAX: never.
  MonoUs next_due() const;
  // Payload bytes of the requests that were taken and not carried out yet.
  std::uint64_t waiting_bytes() const;

  StorageFigures figures() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::log
