// Persistence is the node's half of its data folder: it turns closed entries into appends, knows
// what is committed, loads what a former life left, takes snapshots in slices, and refuses writes
// while the disk does.
//
// It is a function of events: requests go to storage by `take_requests`, events come back by
// `on_events`. On a lone node an entry is committed when it is persisted. A member of a cluster
// leaves entries and commitment to its Replication, and does not apply the log at the start: nobody
// knows yet how much of it is committed.
//
// With persistence off a lone node has no storage, and everything is committed at once. A member
// has one all the same, over files in memory: its peers are fed from the log, and it may have to
// reload. Nobody is shown that, and snapshots are taken only to bound the log, or for a peer.
//
// Order that the caller keeps: `seal` at the end of each turn, then `take_requests`. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/block_queue.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "replication/log/storage.hpp"
#include "server/commands/server_state.hpp"
#include "server/node/disk_watch.hpp"
#include "server/node/loader.hpp"
#include "server/node/replication.hpp"
#include "server/node/snapshot_encoder.hpp"

namespace holdfast::node {

class Persistence {
 public:
  // Storage has been told to start; loading begins with its first event.
  // `replication` is null on a lone node.
  Persistence(commands::ServerState& state, Replication* replication);

  // Everything up to here may be shown to clients.
  LogIndex committed() const {
    if (replication_ != nullptr && replication_->has_begun()) return replication_->commit_index();
    return has_storage_ ? committed_ : state_.journal.last_index();
  }
  bool has_storage() const { return has_storage_; }
  // A lone node's entries that wait for the disk take so much memory that more should wait first.
  bool is_pressed() const {
    return pending_bytes_ + state_.journal.closed_bytes() > kPendingBytesMax;
  }

  // The open turn's entries become one append. REQUIRES: no entry is open.
  void seal(const TimePoint& now);
  // Appends come first: a snapshot's blocks do not delay them.
  std::vector<log::Request> take_requests(const TimePoint& now);

  // What became of it all; the caller hears afterwards of clients that must be told (see Outcome).
  struct Outcome {
    UnixMs time = 0;              // command time may not be below it; 0: no news
    bool loaded = false;          // loading has just ended
    bool disk_failed = false;     // writes under way are uncertain from now on
    bool snapshot_ended = false;  // well or not
    std::string fatal;            // not empty: the node cannot go on, for this reason
    std::vector<commands::LogLine> log;
  };
  // A disk that does not answer is treated as one that fails. At every turn.
  Outcome watch_disk(const TimePoint& now);
  Outcome on_events(log::StorageEvents events, const TimePoint& now);
  void show(const log::StorageFigures& figures);
  // Drops what storage needs no more, a bounded number a call. True: there is more.
  bool drop_spent(std::size_t units);

  // Loading, or a snapshot that is due or under way. `pressed`: storage has much to write already.
  // True: there is more to do at once.
  bool slice(const TimePoint& now, std::size_t units, bool pressed, Outcome& outcome);

  // The last request: sync and leave the folder clean. Nothing may be emitted afterwards.
  void stop(const TimePoint& now);
  // The data is replaced: a snapshot under way is void.
  void on_data_void();
  bool stopped() const { return stopped_; }

 private:
  static constexpr std::uint64_t kPendingBytesMax = std::uint64_t{64} << 20;

  struct Pending {
    log::WriteNumber write = 0;
    LogIndex last;
    std::uint64_t bytes = 0;
  };

  void ask_for_blocks();
  bool load_slice(const TimePoint& now, std::size_t units, Outcome& outcome);
  bool snapshot_is_due(const TimePoint& now) const;
  bool log_is_long() const;
  void begin_snapshot(const TimePoint& now);
  bool snapshot_slice(const TimePoint& now, std::size_t units, bool pressed);
  void abandon_snapshot();
  void pass_blocks_on();
  void options_changed();

  void on(log::Recovered event, const TimePoint& now, Outcome& outcome);
  void on(log::LoadedBlock event, const TimePoint& now, Outcome& outcome);
  void on(log::Loaded event, const TimePoint& now, Outcome& outcome);
  void on(log::Refused event, const TimePoint& now, Outcome& outcome);
  void on(log::Persisted event, const TimePoint& now, Outcome& outcome);
  void on(log::RecordSaved event, const TimePoint& now, Outcome& outcome);
  void on(log::Failed event, const TimePoint& now, Outcome& outcome);
  void on(log::Healthy event, const TimePoint& now, Outcome& outcome);
  void on(log::SnapshotDone event, const TimePoint& now, Outcome& outcome);
  void on(log::SnapshotFailed event, const TimePoint& now, Outcome& outcome);
  void on(log::EntriesRead event, const TimePoint& now, Outcome& outcome);
  void on(log::SnapshotPart event, const TimePoint& now, Outcome& outcome);
  void on(log::SnapshotStored event, const TimePoint& now, Outcome& outcome);
  void on(log::SnapshotStoreFailed event, const TimePoint& now, Outcome& outcome);
  void on(log::Note event, const TimePoint& now, Outcome& outcome);
  void on(log::Stopped event, const TimePoint& now, Outcome& outcome);

  void refuse_writes(std::string error, std::string_view text, const TimePoint& now,
                     Outcome& outcome);
  void accept_writes(const TimePoint& now, Outcome& outcome);
  void finish_loading(const TimePoint& now, Outcome& outcome);
  void begin_replication(const TimePoint& now);
  void note_entries(std::vector<log::Entry> entries);

  commands::ServerState& state_;
  Replication* const replication_;
  const bool has_storage_;
  std::vector<log::Request> appends_;
  std::vector<log::Request> others_;
  log::WriteNumber last_write_ = 0;
  BlockQueue<Pending> pending_;  // appends that are not persisted yet
  std::uint64_t pending_bytes_ = 0;
  LogIndex committed_;
  Term term_{1};
  DiskWatch disk_watch_;
  bool has_failed_ = false;  // storage said so
  UnixMs last_time_ = 0;     // of the last entry
  log::FsyncMode mode_;      // that storage was told
  bool stopping_ = false;    // no request may follow
  bool stopped_ = false;
  bool refused_ = false;  // the folder was never opened, or is left as it was found
  std::deque<std::vector<log::Entry>> spent_entries_;
  std::deque<Rope> spent_ropes_;

  // While loading:
  std::optional<Loader> loader_;
  LogIndex recovered_last_;
  // Not null: recovery marked the member as recovering. Nobody can fill in what a lone node lost,
  // so it says what is gone and clears the mark when it has loaded what is left.
  std::optional<log::DurableRecord> marked_;
  bool all_read_ = false;
  core::Start start_;           // of a member of a cluster, as it becomes known
  std::size_t tail_bytes_ = 0;  // of start_.tail
  std::size_t blocks_asked_ = 0;

  LogIndex newest_snapshot_;  // that was loaded or saved

  // While a snapshot is taken:
  enum class Phase { kNone, kWalking, kAwaitsCommit, kFinishing };
  Phase phase_ = Phase::kNone;
  SnapshotEncoder encoder_;
  LogIndex snapshot_index_;
  std::uint64_t snapshot_mutations_ = 0;
  std::uint64_t log_bytes_since_snapshot_ =
      0;  // since one began, or behind the one that was loaded
  std::uint64_t log_bytes_before_snapshot_ = 0;  // and the same before the one under way began
  MonoUs snapshot_begun_us_ = 0;
  MonoUs snapshot_not_before_us_ = 0;  // after one that failed
  MonoUs snapshot_ended_us_ = 0;
};

}  // namespace holdfast::node
