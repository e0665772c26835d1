// Replication is the node's half of its part in a cluster: it drives the replica
// (replication/core), and carries out what the replica decides. Closed entries become what it
// submits; its log writes become requests to storage; what is committed elsewhere is applied here.
//
// Everything that was executed is submitted before the replica hears of anything else, so that no
// change of role can come between the execution of a command and its entry.
//
// A deposed primary whose data holds entries that never came to be reloads (reload.hpp): until that
// is done there is no data to answer with, and what is committed meanwhile waits, in memory as far
// as it is little, otherwise in the log.
//
// Order that the caller keeps: `submit` at the end of each turn, then `take_requests` and
// `take_messages`. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "replication/core/replica.hpp"
#include "replication/log/storage.hpp"
#include "server/commands/cluster.hpp"
#include "server/commands/server_state.hpp"
#include "server/node/commit_watch.hpp"
#include "server/node/reload.hpp"
#include "server/node/sync_counter.hpp"

namespace holdfast::node {

// What the replica is told at its start, of the options. Member 1, 2, ... is the first, second, ...
// of cluster.nodes.
core::Config replica_config(const config::ClusterOptions& cluster, const core::Tuning& tuning = {});
std::vector<std::string> member_names(const config::ClusterOptions& cluster);
// How the durable record names the cluster.
std::string cluster_identity(const config::ClusterOptions& cluster);

class Replication : public commands::Cluster {
 public:
  Replication(commands::ServerState& state, const core::Tuning& tuning);

  // What became of it all, for the node to carry out.
  struct Outcome {
    UnixMs time = 0;  // command time may not be below it
    bool lost_authority = false;
    bool gained_authority = false;
    bool data_is_void = false;  // reloading begins: snapshots and digests under way are void
    bool snapshot_wanted = false;
    std::string fatal;
    std::vector<commands::LogLine> log;
  };
  Outcome take_outcome() { return std::exchange(outcome_, {}); }

  // After loading; `start` has what recovery found.
  void begin(core::Start start);
  // Null while loading.
  const core::Replica* replica() const { return replica_ ? &*replica_ : nullptr; }
  bool has_begun() const { return replica_.has_value(); }

  // The closed entries of the journal.
  void submit(core::MonoTime now);
  void step(core::Happening what, core::MonoTime now);
  void on_persisted(log::WriteNumber write, core::MonoTime now);
  void on_record_saved(log::WriteNumber write, core::MonoTime now);
  void on_entries_read(log::EntriesRead read, core::MonoTime now);
  void on_snapshot_part(log::SnapshotPart part, core::MonoTime now);
  void on_snapshot_stored(const log::SnapshotStored& stored, core::MonoTime now);
  void on_log_trimmed(LogIndex first, core::MonoTime now);

  // Asks the majority whether this is still the primary; `confirmed_round` tells of the answer.
  void confirm(ReadRound round, core::MonoTime now);
  ReadRound confirmed_round() const { return confirmed_round_; }

  // Reloading in slices. True: there is more at hand.
  bool slice(std::size_t units, MonoUs now);
  bool is_reloading() const { return reload_ != nullptr; }

  // Commands that touch data may run now: entries can be made, and what is here is the newest, or
  // will be known to be (reads by quorum).
  bool may_run(MonoUs now) const;
  // The same, for what only reads: not held up by a hand-over that waits for its target.
  bool may_read(MonoUs now) const;
  // What this member shows is of the present: it has applied something of a primary that it
  // follows, or followed. A restarted member is at its snapshot, which may be empty, until then.
  bool has_caught_up() const { return has_caught_up_; }
  // Entries that wait to be persisted and committed take so much memory that more should wait
  // first.
  bool is_pressed() const {
    return is_primary() && replica_->backlog_bytes() + state_.journal.closed_bytes() >
                               kBacklogsMax * replica_->config().backlog_bytes;
  }
  // Starting, or its disk was lost or cut: what it holds may be anything, or nothing.
  bool lacks_data() const {
    return !replica_ || (replica_->claim() != wire::Claim::kSound && !replica_->is_refused());
  }
  // No majority persists what is written: commit_watch.hpp.
  bool is_stalled() const { return commit_watch_.is_stalled(); }
  bool accepts_entries() const { return replica_ && replica_->accepts_entries(); }

  LogIndex commit_index() const { return replica_ ? replica_->commit_index() : LogIndex{0}; }
  Term term_of_applied() const;
  UnixMs last_time() const { return last_time_; }
  std::uint64_t take_log_bytes() { return std::exchange(log_bytes_, 0); }
  core::MonoTime next_due() const { return replica_ ? replica_->next_due() : core::kNever; }

  std::vector<log::Request> take_requests() { return std::exchange(requests_, {}); }
  // Before a snapshot is finished, which removes log: what peers need of it stays.
  log::Request keep_log() const { return log::KeepLogRequest{replica_->log_needed_from()}; }
  std::vector<core::Send> take_messages() { return std::exchange(messages_, {}); }
  // For the watchdog that speaks while the loop is in a long command.
  std::optional<wire::Message> busy_message() const;

  // A planned end: hand over first. False: there is nobody to hand over to, or nothing to.
  bool begin_farewell(core::Duration timeout, core::MonoTime now);

  // --- commands::Cluster
  bool is_master(MonoUs now) const override;
  bool is_primary() const override { return replica_ && replica_->role() == core::Role::kPrimary; }
  commands::ClusterView view(MonoUs now) const override;
  std::size_t acknowledged_by(LogIndex index) const override;
  void hand_over(NodeId target, MonoUs timeout) override;
  void abort_hand_over() override;
  void force_generation() override;
  // What commands have asked for is done now.
  void do_what_was_asked(core::MonoTime now);

 private:
  static constexpr std::size_t kBacklogsMax = 4;

  void note_apply_read(const std::string& error, MonoUs now);
  void carry_out(core::MonoTime now);
  void watch_commit(core::MonoTime now);
  void say_readiness(core::MonoTime now);
  void note_primary();
  void update_serving();
  void do_records();
  void do_writes();
  void do_became(core::MonoTime now);
  void do_install(core::MonoTime now);
  void do_apply();
  void hold(log::Entry entry);
  void drop_held();
  void apply(log::Entry& entry);
  void begin_reload(LogIndex snapshot, Term term, LogIndex until, core::MonoTime now);
  void end_reload();
  void ask_for_reload(MonoUs now);

  commands::ServerState& state_;
  const core::Tuning tuning_;
  std::optional<core::Replica> replica_;
  core::Effects effects_;
  Outcome outcome_;
  std::vector<core::Proposal> proposals_;  // scratch
  std::vector<log::Request> requests_;
  std::vector<core::Send> messages_;

  // Storage numbers requests, the replica numbers writes: (storage's, the replica's).
  using Numbers = std::deque<std::pair<log::WriteNumber, core::WriteNumber>>;
  log::WriteNumber last_write_ = 0;
  Numbers writes_;
  Numbers records_;

  ReadRound confirmed_round_;
  std::uint64_t apply_read_ = 0;             // the number of the last read of what is to be applied
  std::optional<MonoUs> apply_read_failed_;  // the first of a row
  CommitWatch commit_watch_;
  SyncCounter sync_counter_;

  bool has_caught_up_ = false;
  bool was_primary_ = false;
  bool was_serving_ = false;
  UnixMs last_time_ = 0;
  std::uint64_t log_bytes_ = 0;
  LogIndex applied_;

  bool is_receiving_ = false;  // a snapshot, from the primary
  std::unique_ptr<Reload> reload_;
  std::uint64_t reloads_ = 0;
  std::deque<log::Entry> held_entries_;  // committed while reloading
  std::size_t held_bytes_ = 0;

  struct Asked {
    NodeId target;
    core::Duration timeout;
  };
  std::optional<Asked> asked_hand_over_;
  bool asked_abort_ = false;
  bool asked_generation_ = false;
  bool is_said_to_be_ready_ = true;
  bool is_handing_over_ = false;
  std::vector<bool> connected_;  // of member 1, 2, ...
  std::vector<MonoUs> heard_;
  NodeId last_primary_;  // other than this member
  MonoUs last_primary_heard_ = 0;
};

}  // namespace holdfast::node
