// Replica is one member's side of the replication protocol as a pure function: same start, seed and
// events, same effects. Raft (Ongaro and Ousterhout 2014) with pre-vote, check-quorum, leader
// leases, pipelined appends, and rules for members that may have lost part of what they said.
//
// It never reads a clock, sets a timer, or touches a socket or file: events carry the time
// (event.hpp), effects say what to do (effects.hpp). `step` is total: any event is legal in any
// role. What a peer sends is never trusted to be sensible; what cannot be is noted and ignored.
// Entries are opaque bytes.
//
// A cluster of one goes through the same code: a majority of one, commitment by its own Persisted.
//
// What the owner does each turn:
//   1. step(Received, Persisted, ...) for all that came, then Tick if it is due;
//   2. if `accepts_entries`, run commands, which apply at once and count indexes from `next_index`;
//      one step(Submitted) with all of the turn;
//   3. ReadRequested for replies that need the lease; or `lease_holds` with a sample taken after
//      the command's bytes were read, which is the same without the queue.
// After each step it carries out the effects. A reply that depends on index i leaves once
// `commit_index() >= i`.
//
// Where the rules are: election in replica_election.cpp, what a replica does with a primary's
// messages in replica_follow.cpp, what a primary does in replica_lead.cpp, snapshots in
// replica_snapshot.cpp, members that forgot in replica_recover.cpp and claim.hpp. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/random.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/claim.hpp"
#include "replication/core/config.hpp"
#include "replication/core/effects.hpp"
#include "replication/core/election.hpp"
#include "replication/core/event.hpp"
#include "replication/core/incoming.hpp"
#include "replication/core/lease.hpp"
#include "replication/core/log_view.hpp"
#include "replication/core/outbox.hpp"
#include "replication/core/progress.hpp"
#include "replication/core/reads.hpp"
#include "replication/core/start.hpp"
#include "replication/core/suspicion.hpp"
#include "replication/core/transfer.hpp"

namespace holdfast::core {

// One peer as the primary sees it, for status and INFO.
struct PeerView {
  NodeId id;
  bool is_connected = false;
  bool is_following =
      false;  // it has answered this primary over this link; else its claim is not known
  wire::Claim claim = wire::Claim::kSound;
  LogIndex persisted;  // agreed with and persisted there
  LogIndex next;       // sent next
  bool is_snapshotting = false;
  bool can_take_over = false;  // or soon, when it has all
  Duration silent;             // since it last answered a primary
};

class Replica {
 public:
  // REQUIRES: check_config finds nothing. What the beginning does (the durable record above all) is
  // in the effects of the first step.
  Replica(Config config, Start start);

  void step(const Event& event, Effects& effects);

  Role role() const { return role_; }
  // The others went on in a newer generation without it, or belong to another cluster.
  bool is_refused() const { return refused_noted_ && claim_ != wire::Claim::kBlank; }
  Term term() const { return term_; }
  NodeId primary() const { return primary_; }  // 0: unknown
  LogIndex commit_index() const { return commit_; }
  LogIndex last_index() const { return log_.last_index(); }
  // Of an entry of the log, if it is known (not from before the snapshot).
  std::optional<Term> term_at(LogIndex index) const { return log_.term_at(index); }
  LogIndex next_index() const { return {log_.last_index().value + 1}; }
  wire::Claim claim() const { return claim_; }
  std::uint64_t generation() const { return generation_; }
  const Config& config() const { return config_; }

  // Primary, everything of former terms committed and applied.
  bool is_serving() const { return role_ == Role::kPrimary && is_serving_; }
  // The same, not handing over, disk sound.
  bool accepts_entries() const;
  // The primary's lease holds at `now`, and what is applied is all that was ever acknowledged.
  bool lease_holds(MonoTime now) const;
  // When Tick has something to do next. May be in the past.
  MonoTime next_due() const;
  // Log entries from here on must stay readable.
  LogIndex log_needed_from() const;
  // Bytes of entries in memory; who submits slows down when it grows far beyond
  // config().backlog_bytes.
  std::size_t backlog_bytes() const { return log_.backlog_bytes(); }
  std::vector<PeerView> peers() const;
  MonoTime lease_until() const { return lease_.until(); }

 private:
  // replica.cpp: the step, terms, roles, commitment's delivery
  void begin();
  void dispatch(const Event& event);
  void on_tick();
  void on_received(const Received& received);
  bool settle_generation(NodeId from, const wire::Message& message);
  void answer_old_term(NodeId from, const wire::Message& message);
  void on_record_saved(WriteNumber write);
  void on_persisted(WriteNumber write);
  void on_peer_connected(NodeId peer);
  void on_peer_lost(NodeId peer);
  void finish();
  void send(NodeId to, wire::Body body);
  void save_record();
  LogWrite& log_write();
  void append_to_log(log::Entry entry);
  void note(bool is_warning, std::string text);
  void adopt_term(Term term);
  void become_replica(NodeId primary);
  void announce(LogIndex void_from);
  void deliver_committed();
  void on_log_read(const LogRead& read);
  LogIndex persisted_and_agreed() const;
  Duration draw(Duration least, Duration spread);

  // replica_election.cpp
  void on_vote_request(NodeId from, const wire::VoteRequest& request);
  void on_pre_vote_request(NodeId from, const wire::VoteRequest& request);
  void on_vote_reply(NodeId from, const wire::VoteReply& reply);
  void judge_vote(NodeId from, const wire::VoteRequest& request);
  void judge_kept_vote();
  void refuse_vote(NodeId from, const wire::VoteRequest& request, wire::Refusal reason);
  bool is_log_behind(const wire::VoteRequest& request) const;
  bool is_promised() const;
  void suspect(std::string_view why);
  void tick_election();
  void ask_for_pre_votes();
  void ask_for_vote(NodeId peer);
  void stand(wire::VoteKind kind);
  void check_votes();
  bool may_stand() const;
  std::size_t quorum() const { return config_.members.size() / 2 + 1; }
  std::size_t votes_needed() const;
  Term next_term(Term above) const;
  Duration rank_delay() const;

  // replica_follow.cpp: what a primary's messages do here
  bool follow(NodeId from);
  void on_heartbeat(NodeId from, const wire::Heartbeat& heartbeat);
  void on_append(NodeId from, wire::AppendEntries append);
  void on_fragment(NodeId from, const wire::AppendFragment& fragment);
  void on_take_over(NodeId from, const wire::TakeOver& take_over);
  bool take_entries(const wire::AppendEntries& append);
  void reject_append(NodeId from, LogIndex previous, LogIndex hint);
  void acknowledge(NodeId to);
  void learn_commit(LogIndex commit);
  void contradiction(LogIndex at);
  void discard_all();

  // replica_lead.cpp: the primary
  void become_primary();
  void on_submitted(const Submitted& submitted);
  void on_heartbeat_reply(PeerProgress& peer, const wire::HeartbeatReply& reply);
  void on_append_reply(PeerProgress& peer, const wire::AppendReply& reply);
  void learn_claim(PeerProgress& peer, wire::Claim claim);
  void learn_progress(PeerProgress& peer, LogIndex received, LogIndex persisted);
  void send_heartbeats();
  void tick_primary();
  bool hears_majority() const;
  void advance_commit();
  void feed(PeerProgress& peer);
  bool feed_entries(PeerProgress& peer);
  bool feed_fragment(PeerProgress& peer, const log::Entry& entry);
  void send_read_entries(PeerProgress& peer, const std::vector<log::Entry>& entries);
  void on_read_requested(const ReadRequested& request, MonoTime now);
  void on_transfer_requested(const TransferRequested& request);
  void tick_transfer();
  void pump_transfer();
  void end_transfer(TransferOutcome outcome);
  static bool can_take_over(const PeerProgress& peer);
  bool is_answering(const PeerProgress& peer) const;
  NodeId best_target() const;
  PeerProgress* progress_of(NodeId peer);

  // replica_snapshot.cpp
  void begin_snapshot(PeerProgress& peer);
  void resend_snapshot(PeerProgress& peer);
  void tick_snapshot(PeerProgress& peer);
  void end_snapshot(PeerProgress& peer);
  void feed_snapshot(PeerProgress& peer);
  std::size_t streaming_members() const;
  void on_snapshot_read(const SnapshotRead& read);
  void on_snapshot_unavailable(const SnapshotUnavailable& unavailable);
  void on_snapshot_reply(PeerProgress& peer, const wire::SnapshotReply& reply);
  void begin_anew_later(PeerProgress& peer);
  void on_snapshot_chunk(NodeId from, const wire::SnapshotChunk& chunk);
  void on_snapshot_stored(const SnapshotStored& stored);
  void on_snapshot_store_failed(const SnapshotStoreFailed& failed);
  void try_install();
  void drop_incoming();

  // replica_recover.cpp
  void on_status_request(NodeId from, const wire::StatusRequest& request);
  bool wants_statuses() const;
  void poll_statuses();
  void note_waiting();
  void judge_blank();
  void judge_recovery();
  void judge_generation();
  Duration fresh_for() const;
  bool nobody_can_claim() const;
  std::uint64_t highest_known_generation() const;
  void become_recovering(std::string_view why);
  void become_sound();
  wire::StatusReply own_status() const;
  void adopt_generation(std::uint64_t generation);
  void begin_generation();
  void on_generation_forced();

  const Config config_;
  const std::size_t self_slot_;
  Random random_;
  Effects* out_ = nullptr;  // during a step
  bool began_ = false;
  MonoTime now_;       // the latest time that was seen
  MonoTime tick_now_;  // of the last tick
  const MonoTime started_;

  // Durable, through record_.
  log::DurableRecord record_;
  Term term_;
  NodeId voted_for_;
  std::uint64_t generation_ = 0;
  wire::Claim claim_;
  bool is_clearing_mark_ = false;  // the record without the mark is being saved
  bool is_log_partial_;            // log::DurableRecord

  WriteNumber writes_ = 0;  // the last number given
  Outbox outbox_;
  LogView log_;
  std::optional<std::size_t> open_write_;  // in out_->writes
  bool disk_failed_ = false;
  bool is_ready_ = true;  // the owner: to serve as primary

  Role role_ = Role::kReplica;
  NodeId primary_;
  LogIndex commit_;
  LogIndex reported_commit_;
  LogIndex applied_;  // handed to the owner, or executed by it as primary
  std::uint64_t reads_of_log_ = 0;
  std::uint64_t reads_of_snapshots_ = 0;
  std::uint64_t apply_read_ = 0;          // the ReadLog for `apply` under way; 0: none
  MonoTime apply_read_after_ = kLongAgo;  // the last one found nothing

  // As a voter and candidate.
  AwakeClock awake_;
  Suspicion suspicion_;
  Promise promise_;
  Election election_;
  MonoTime lonely_since_;

  // As a replica of a primary; all of it of the present term.
  LogIndex verified_;  // agrees with the primary's log up to here
  LogIndex primary_commit_;
  LogIndex primary_last_;  // as of its last heartbeat
  bool acknowledgement_due_ = false;
  LogIndex acknowledged_;  // last told
  std::optional<EntryAssembly> assembly_;
  std::optional<IncomingSnapshot> incoming_;
  std::uint64_t streams_ = 0;  // numbers of incoming ones
  bool install_reply_due_ = false;
  wire::SnapshotId installed_;

  // As the primary.
  bool is_serving_ = false;
  LogIndex term_start_;  // the entry that began the term
  UnixMs last_entry_time_ = 0;
  MonoTime next_heartbeat_;
  PrimaryLease lease_;
  std::vector<PeerProgress> peers_;  // all members but this one, ascending
  ReadQueue reads_;
  Transfer transfer_;
  MonoTime next_disk_transfer_ = kLongAgo;

  // As one that forgot.
  StatusBoard board_;
  RecoveryMark mark_;
  MonoTime next_status_ = kLongAgo;
  std::uint64_t pending_generation_ = 0;  // that a victory begins
  std::uint64_t agreed_generation_ = 0;   // that it voted for in this life
  bool refused_noted_ = false;
  struct RefusalSaid {
    NodeId from;
    wire::VoteKind kind = wire::VoteKind::kPreVote;
    wire::Refusal reason{};
    bool operator==(const RefusalSaid&) const = default;
  };
  RefusalSaid refusal_said_;
  MonoTime refusal_said_until_ = kLongAgo;
  MonoTime next_waiting_note_ = kLongAgo;
};

// Names for log lines.
std::string_view name_of(Role role);
std::string_view name_of(wire::Claim claim);
std::string_view name_of(wire::Refusal reason);

}  // namespace holdfast::core
