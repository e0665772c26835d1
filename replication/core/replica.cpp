#include "replication/core/replica.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <type_traits>

#include "base/check.hpp"
#include "base/planted_fault.hpp"

namespace holdfast::core {

namespace {

// Entries handed out for applying in one step.
constexpr std::size_t kApplyBytesMax = std::size_t{4} << 20;
constexpr std::size_t kApplyEntriesMax = 16384;

std::size_t slot_in(const std::vector<NodeId>& members, NodeId id) {
  const auto found = std::lower_bound(members.begin(), members.end(), id);
  HF_CHECK(found != members.end() && *found == id);
  return static_cast<std::size_t>(found - members.begin());
}

// A primary is heard by who says this. A member that asks for terms or votes does not follow.
bool is_answer_to_primary(const wire::Message& message) {
  return std::holds_alternative<wire::HeartbeatReply>(message.body) ||
         std::holds_alternative<wire::AppendReply>(message.body) ||
         std::holds_alternative<wire::SnapshotReply>(message.body);
}

Config checked(Config config) {
  HF_CHECK(!check_config(config));
  return config;
}

}  // namespace

Replica::Replica(Config config, Start start)
    : config_(checked(std::move(config))),
      self_slot_(slot_in(config_.members, config_.self)),
      random_(start.seed),
      now_(start.now),
      tick_now_(start.now),
      started_(start.now),
      record_(start.record),
      term_(start.record.term),
      voted_for_{start.record.voted_for},
      generation_(start.record.generation),
      claim_(claim_at_start(start)),
      is_log_partial_(begins_anew(start)),
      log_(start),
      commit_(std::max(start.snapshot.index, start.applied)),
      reported_commit_(commit_),
      applied_(commit_),
      awake_(start.now, config_.heartbeat * 2),
      suspicion_(config_.busy_limit),
      lonely_since_(start.now),
      lease_(config_.members.size(), self_slot_, config_.lease, config_.clock_drift_ppm),
      board_(random_.next() | 1, config_.members.size() - 1) {
  if (log_.last_term() > term_) {  // an older record came back: its vote is no vote of that term
    term_ = log_.last_term();
    voted_for_ = {};
  }
  HF_CHECK(start.applied <= log_.last_index());
  HF_CHECK(config_.members.size() == 1 || start.applied <= start.snapshot.index);
  for (const NodeId member : config_.members) {
    if (member == config_.self) continue;
    PeerProgress peer;
    peer.id = member;
    peers_.push_back(peer);
  }
  last_entry_time_ = start.last_time;
  // The process before this one may have promised as much a moment ago.
  if (!HF_BUG(kForgetPromiseOnRestart)) {
    promise_.not_before(started_ + milliseconds(static_cast<std::int64_t>(record_.promise_ms_max)));
  }
  if (HF_BUG(kCountWipedVote) && claim_ == wire::Claim::kBlank) claim_ = wire::Claim::kSound;
  election_.next_round = started_ + rank_delay();
  if (config_.failover == Failover::kUnilateral)
    election_.next_round = election_.next_round + config_.election_timeout * 2;
}

void Replica::step(const Event& event, Effects& effects) {
  out_ = &effects;
  open_write_.reset();
  now_ = std::max(now_, event.now);
  if (!began_) begin();
  dispatch(event);
  finish();
  out_ = nullptr;
}

void Replica::begin() {
  began_ = true;
  ++record_.incarnation;
  record_.running = true;
  save_record();
  note(false, fmt::format("replica starts node={} term={} last={} claim={} generation={}",
                          config_.self.value, term_.value, log_.last_index().value, name_of(claim_),
                          generation_));
}

void Replica::dispatch(const Event& event) {
  std::visit(
      [&](const auto& what) {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, Tick>) {
          on_tick();
        } else if constexpr (std::is_same_v<T, Received>) {
          on_received(what);
        } else if constexpr (std::is_same_v<T, Submitted>) {
          on_submitted(what);
        } else if constexpr (std::is_same_v<T, Persisted>) {
          on_persisted(what.write);
        } else if constexpr (std::is_same_v<T, RecordSaved>) {
          on_record_saved(what.write);
        } else if constexpr (std::is_same_v<T, PeerConnected>) {
          on_peer_connected(what.peer);
        } else if constexpr (std::is_same_v<T, PeerLost>) {
          on_peer_lost(what.peer);
        } else if constexpr (std::is_same_v<T, DiskFailed>) {
          if (!disk_failed_) note(true, "disk failed: nothing new is persisted here");
          disk_failed_ = true;
        } else if constexpr (std::is_same_v<T, DiskHealthy>) {
          if (disk_failed_) note(false, "disk is healthy again");
          disk_failed_ = false;
        } else if constexpr (std::is_same_v<T, OwnerReady>) {
          is_ready_ = what.is_ready;
        } else if constexpr (std::is_same_v<T, LogRead>) {
          on_log_read(what);
        } else if constexpr (std::is_same_v<T, LogTrimmed>) {
          log_.forget_before(std::min(what.first, LogIndex{applied_.value + 1}));
        } else if constexpr (std::is_same_v<T, SnapshotRead>) {
          on_snapshot_read(what);
        } else if constexpr (std::is_same_v<T, SnapshotUnavailable>) {
          on_snapshot_unavailable(what);
        } else if constexpr (std::is_same_v<T, SnapshotStored>) {
          on_snapshot_stored(what);
        } else if constexpr (std::is_same_v<T, SnapshotStoreFailed>) {
          on_snapshot_store_failed(what);
        } else if constexpr (std::is_same_v<T, TransferRequested>) {
          on_transfer_requested(what);
        } else if constexpr (std::is_same_v<T, TransferAborted>) {
          if (transfer_.is_active()) end_transfer(TransferOutcome::kFailed);
        } else if constexpr (std::is_same_v<T, ReadRequested>) {
          on_read_requested(what, event.now);
        } else if constexpr (std::is_same_v<T, GenerationForced>) {
          on_generation_forced();
        }
      },
      event.what);
}

void Replica::on_tick() {
  tick_now_ = now_;
  awake_.on_tick(now_);
  if (claim_ == wire::Claim::kBlank) judge_blank();
  if (role_ == Role::kPrimary) {
    tick_primary();
  } else {
    tick_election();
  }
  poll_statuses();
}

void Replica::on_received(const Received& received) {
  const NodeId from = received.from;
  const wire::Message& message = received.message;
  PeerProgress* const peer = progress_of(from);
  if (peer == nullptr) return;
  if (const auto* request = std::get_if<wire::StatusRequest>(&message.body))
    return on_status_request(from, *request);
  if (const auto* reply = std::get_if<wire::StatusReply>(&message.body)) {
    board_.on_reply(from, now_, message.term, message.generation, *reply);
    if (claim_ == wire::Claim::kBlank) judge_blank();
    return;
  }
  if (claim_ == wire::Claim::kBlank) return;
  if (!settle_generation(from, message)) return;
  if (const auto* request = std::get_if<wire::VoteRequest>(&message.body)) {
    if (request->kind == wire::VoteKind::kPreVote) return on_pre_vote_request(from, *request);
    return on_vote_request(from, *request);
  }
  if (message.term < term_) {
    // Who grants a pre-vote may be behind: the answer names the term that it is about.
    const auto* reply = std::get_if<wire::VoteReply>(&message.body);
    if (reply != nullptr && reply->kind == wire::VoteKind::kPreVote)
      return on_vote_reply(from, *reply);
    return answer_old_term(from, message);
  }
  if (message.term > term_) adopt_term(message.term);
  if (std::holds_alternative<wire::Busy>(message.body)) {
    if (from == primary_) suspicion_.on_busy(awake_.now());
    // Whoever only says that it is busy is believed up to the limit.
    const bool is_believed = awake_.now() - peer->spoke < config_.busy_limit;
    peer->heard = is_believed ? awake_.now() : peer->spoke;
    return;
  }
  if (is_answer_to_primary(message)) peer->heard = peer->spoke = awake_.now();
  std::visit(
      [&](const auto& body) {
        using T = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<T, wire::VoteReply>) {
          on_vote_reply(from, body);
        } else if constexpr (std::is_same_v<T, wire::Heartbeat>) {
          on_heartbeat(from, body);
        } else if constexpr (std::is_same_v<T, wire::AppendEntries>) {
          on_append(from, body);
        } else if constexpr (std::is_same_v<T, wire::AppendFragment>) {
          on_fragment(from, body);
        } else if constexpr (std::is_same_v<T, wire::SnapshotChunk>) {
          on_snapshot_chunk(from, body);
        } else if constexpr (std::is_same_v<T, wire::TakeOver>) {
          on_take_over(from, body);
        } else if constexpr (std::is_same_v<T, wire::Release>) {
          // A vote request that was kept is judged in `finish`, if nothing else forbids it: what a
          // former life promised is not released.
          if (from == primary_) promise_.release(term_, body.round, HF_BUG(kReleaseByOldHandOver));
        } else if constexpr (std::is_same_v<T, wire::HeartbeatReply>) {
          if (role_ == Role::kPrimary) on_heartbeat_reply(*peer, body);
        } else if constexpr (std::is_same_v<T, wire::AppendReply>) {
          if (role_ == Role::kPrimary) on_append_reply(*peer, body);
        } else if constexpr (std::is_same_v<T, wire::SnapshotReply>) {
          if (role_ == Role::kPrimary) on_snapshot_reply(*peer, body);
        }
      },
      message.body);
}

// A sender that is behind learns the term from the answer, and a primary of old steps down.
void Replica::answer_old_term(NodeId from, const wire::Message& message) {
  if (std::holds_alternative<wire::Heartbeat>(message.body)) {
    send(from, wire::HeartbeatReply{});
  } else if (std::holds_alternative<wire::AppendEntries>(message.body) ||
             std::holds_alternative<wire::AppendFragment>(message.body) ||
             std::holds_alternative<wire::SnapshotChunk>(message.body)) {
    send(from, wire::AppendReply{});
  }
}

void Replica::on_record_saved(WriteNumber write) {
  if (!outbox_.on_record_saved(write, *out_)) return;
  if (is_clearing_mark_) {
    become_sound();
    note(false,
         fmt::format("recovered node={} last={}", config_.self.value, log_.last_index().value));
  }
  // The own vote counts from here on.
  if (election_.phase == Phase::kStanding && voted_for_ == config_.self) {
    election_.count(config_.self);
    check_votes();
  }
}

void Replica::on_persisted(WriteNumber write) {
  log_.on_persisted(write);
  if (install_reply_due_ && log_.persisted() >= installed_.index && primary_.value != 0) {
    install_reply_due_ = false;
    send(primary_, wire::SnapshotReply{installed_, 0, true});
  }
}

void Replica::on_peer_connected(NodeId id) {
  PeerProgress* const peer = progress_of(id);
  if (peer == nullptr) return;
  peer->is_connected = true;
  peer->heard = peer->spoke = awake_.now();
  peer->claim_known = false;
  peer->match = {};
  peer->to_probe({log_.last_index().value + 1});
  lease_.set_counts(slot_in(config_.members, id), false);
  outbox_.forget(id);
  next_status_ = kLongAgo;
  if (role_ == Role::kPrimary) next_heartbeat_ = now_;
  ask_for_vote(id);
}

void Replica::on_peer_lost(NodeId id) {
  PeerProgress* const peer = progress_of(id);
  if (peer == nullptr) return;
  peer->is_connected = false;
  if (peer->feed == Feed::kSnapshot) peer->snapshot.moved_at = awake_.now();
  peer->to_probe({log_.last_index().value + 1});
  if (id == primary_ && role_ != Role::kPrimary) suspect("link_lost");
}

void Replica::finish() {
  if (assembly_ && assembly_->head.index <= verified_) assembly_.reset();
  if (election_.kept_vote && !is_promised()) judge_kept_vote();
  if (role_ == Role::kPrimary) {
    if (open_write_) log_.note_write(out_->writes[*open_write_].write);
    open_write_.reset();
    advance_commit();
    if (!is_serving_ && commit_ >= term_start_ && applied_ >= term_start_) is_serving_ = true;
    pump_transfer();
    if (is_serving_ && reads_.wants_round()) {
      send_heartbeats();
      reads_.assign(lease_.last_round());
    }
    if (is_serving_) reads_.allow_through(lease_.majority_round(), out_->reads);
    for (PeerProgress& peer : peers_) feed(peer);
  } else {
    if (open_write_) log_.note_write(out_->writes[*open_write_].write);
    open_write_.reset();
    if (acknowledgement_due_ && primary_.value != 0 && persisted_and_agreed() > acknowledged_)
      acknowledge(primary_);
    judge_recovery();
  }
  deliver_committed();
  if (role_ == Role::kPrimary && !is_serving_ && commit_ >= term_start_ &&
      applied_ >= term_start_) {
    is_serving_ = true;
    note(false, fmt::format("primary serves node={} term={} commit={}", config_.self.value,
                            term_.value, commit_.value));
  }
  log_.trim_backlog(config_.backlog_bytes, std::min(applied_, commit_));
}

void Replica::send(NodeId to, wire::Body body) {
  outbox_.send(to, {term_, generation_, std::move(body)}, *out_);
}

void Replica::save_record() {
  record_.term = term_;
  record_.voted_for = voted_for_.value;
  record_.generation = generation_;
  record_.recovering = claim_ != wire::Claim::kSound && !is_clearing_mark_;
  record_.is_log_partial = record_.recovering && is_log_partial_;
  if (HF_BUG(kLoseRecoveringMark)) record_.recovering = claim_ == wire::Claim::kBlank;
  outbox_.note_record_write(++writes_);
  out_->records.push_back({writes_, record_});
}

LogWrite& Replica::log_write() {
  if (!open_write_) {
    open_write_ = out_->writes.size();
    out_->writes.push_back({++writes_, std::nullopt, {}, {}});
  }
  return out_->writes[*open_write_];
}

void Replica::append_to_log(log::Entry entry) {
  log_.append(entry);
  last_entry_time_ = std::max(last_entry_time_, entry.time);
  log_write().entries.push_back(std::move(entry));
}

void Replica::note(bool is_warning, std::string text) {
  out_->notes.push_back({is_warning, std::move(text)});
}

void Replica::adopt_term(Term term) {
  HF_CHECK(term > term_);
  term_ = term;
  voted_for_ = {};
  become_replica({});
  save_record();
}

// Of the present term; `primary` 0: not known.
void Replica::become_replica(NodeId primary) {
  const bool was_primary = role_ == Role::kPrimary;
  LogIndex void_from;
  if (was_primary) {
    void_from = {commit_.value + 1};
    applied_ = std::min(applied_, commit_);
    is_serving_ = false;
    reads_.refuse_all(out_->reads);
    if (transfer_.is_active()) end_transfer(TransferOutcome::kDone);
    for (PeerProgress& peer : peers_) {
      end_snapshot(peer);
      peer.snapshot = {};
      peer.end_fragments();
    }
    lonely_since_ = now_;
    election_.rounds = 0;
    election_.next_round = now_ + rank_delay() + config_.heartbeat * 2;
  }
  role_ = Role::kReplica;
  election_.to_idle(std::max(election_.next_round, now_));
  if (primary != primary_ || was_primary) suspicion_.suspect();
  primary_ = primary;
  verified_ = {};
  primary_commit_ = primary_last_ = {};
  acknowledgement_due_ = false;
  acknowledged_ = {};
  if (assembly_) assembly_->is_asked_for = false;
  drop_incoming();
  install_reply_due_ = false;
  if (primary.value != 0) {
    suspicion_.on_primary(awake_.now(),
                          draw(config_.election_timeout, config_.election_timeout / 2));
  }
  announce(void_from);
}

void Replica::announce(LogIndex void_from) {
  out_->became.push_back({role_, term_, primary_, void_from});
  note(false,
       fmt::format("role={} term={} primary={}{}", name_of(role_), term_.value, primary_.value,
                   void_from.value != 0 ? fmt::format(" void_from={}", void_from.value) : ""));
}

void Replica::deliver_committed() {
  LogIndex limit = commit_;
  if (HF_BUG(kApplyBeforeCommit) && role_ != Role::kPrimary) limit = std::max(limit, verified_);
  std::size_t bytes = 0;
  while (applied_ < limit && bytes < kApplyBytesMax && out_->apply.size() < kApplyEntriesMax) {
    const LogIndex next{applied_.value + 1};
    const log::Entry* entry = log_.entry(next);
    if (entry == nullptr) {
      if (apply_read_ == 0 && now_ >= apply_read_after_) {
        apply_read_ = ++reads_of_log_;
        const LogIndex to = std::min(LogIndex{limit.value + 1}, log_.backlog_first());
        out_->read_log.push_back({apply_read_, next, to, kApplyBytesMax, true});
      }
      break;
    }
    bytes += entry->payload.size();
    out_->apply.push_back(*entry);
    applied_ = next;
  }
  if (commit_ > reported_commit_) {
    reported_commit_ = commit_;
    out_->committed = commit_;
  }
}

void Replica::on_log_read(const LogRead& read) {
  if (read.number == apply_read_) {
    apply_read_ = 0;
    if (read.entries.empty()) apply_read_after_ = now_ + config_.heartbeat;
    for (const log::Entry& entry : read.entries) {
      // The log may have changed since.
      if (entry.index.value != applied_.value + 1 || entry.index > commit_ ||
          log_.term_at(entry.index) != entry.term)
        continue;
      out_->apply.push_back(entry);
      applied_ = entry.index;
    }
    return;
  }
  for (PeerProgress& peer : peers_) {
    if (peer.read_number != read.number || read.number == 0) continue;
    peer.read_number = 0;
    if (role_ == Role::kPrimary) send_read_entries(peer, read.entries);
  }
}

LogIndex Replica::persisted_and_agreed() const {
  if (HF_BUG(kAcknowledgeBeforePersist)) return verified_;
  return std::min(log_.persisted(), verified_);
}

Duration Replica::draw(Duration least, Duration spread) {
  const auto bound = static_cast<std::uint64_t>(std::max<std::int64_t>(spread.us, 0) + 1);
  return least + Duration{static_cast<std::int64_t>(random_.below(bound))};
}

PeerProgress* Replica::progress_of(NodeId peer) {
  for (PeerProgress& each : peers_)
    if (each.id == peer) return &each;
  return nullptr;
}

}  // namespace holdfast::core
