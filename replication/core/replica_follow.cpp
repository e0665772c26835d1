// What a replica does with the messages of a primary.
#include <fmt/format.h>
#include <algorithm>

#include "base/planted_fault.hpp"
#include "replication/core/replica.hpp"

namespace holdfast::core {

// The sender is the primary of the present term. False: it cannot be.
bool Replica::follow(NodeId from) {
  if (role_ == Role::kPrimary || (primary_.value != 0 && primary_ != from)) {
    note(true, fmt::format("ignored: {} speaks as primary of term {}, which is {}'s", from.value,
                           term_.value, primary_.value));
    return false;
  }
  if (primary_ != from) {
    become_replica(from);
  } else {
    if (election_.phase != Phase::kIdle) election_.to_idle(now_);
    suspicion_.on_heard(awake_.now());
  }
  election_.rounds = 0;
  election_.preferred = {};
  lonely_since_ = now_;
  return true;
}

void Replica::on_heartbeat(NodeId from, const wire::Heartbeat& heartbeat) {
  if (!follow(from)) return;
  // A log that is shorter than what it acknowledged has lost entries, whatever it says of itself.
  if (claim_ == wire::Claim::kSound && heartbeat.acknowledged > log_.last_index())
    become_recovering("log_shorter_than_acknowledged");
  if (claim_ == wire::Claim::kRecovering && mark_.term != term_) {
    mark_ = {term_, heartbeat.last_index};
    // The others go on without it: what is committed meanwhile is not for it to judge.
    if (!is_log_partial_) {
      is_log_partial_ = true;
      save_record();
    }
  }
  primary_last_ = std::max(primary_last_, heartbeat.last_index);
  learn_commit(heartbeat.commit);
  const Duration lease{static_cast<std::int64_t>(
      std::min<std::uint64_t>(heartbeat.lease_us, static_cast<std::uint64_t>(kLeaseMax.us)))};
  if (lease.us > 0) {
    promise_.give(term_, heartbeat.round, now_, lease);
    const auto lease_ms = static_cast<std::uint64_t>((lease.us + 999) / 1000);
    if (lease_ms > record_.promise_ms_max) {
      record_.promise_ms_max = lease_ms;
      save_record();
    }
  }
  send(from, wire::HeartbeatReply{heartbeat.round, verified_, persisted_and_agreed(), claim_,
                                  disk_failed_ || !is_ready_});
}

void Replica::on_append(NodeId from, wire::AppendEntries append) {
  if (!follow(from)) return;
  const LogIndex previous = append.prev_index;
  if (previous > log_.last_index()) return reject_append(from, previous, log_.last_index());
  if (previous < log_.base_index()) {
    // What is not known by entry any more is committed: every primary has it.
    if (primary_last_ < log_.base_index() && primary_last_.value != 0)
      return contradiction(log_.base_index());
    return reject_append(from, previous, log_.base_index());
  }
  const Term own = *log_.term_at(append.prev_index);
  if (own != append.prev_term && !HF_BUG(kForgetTruncation)) {
    if (append.prev_index <= commit_) return contradiction(append.prev_index);
    const LogIndex before{append.prev_index.value - 1};
    return reject_append(from, previous, log_.last_with_term_at_most(before, append.prev_term));
  }
  const LogIndex verified_before = verified_;
  if (!take_entries(append)) return;
  learn_commit(append.commit);
  // What is not persisted yet is acknowledged when it is.
  if (verified_ == verified_before || persisted_and_agreed() >= verified_) acknowledge(from);
  acknowledgement_due_ = acknowledged_ < verified_;
}

// False: nothing was taken.
bool Replica::take_entries(const wire::AppendEntries& append) {
  LogIndex at = append.prev_index;
  Term term = append.prev_term;
  for (const wire::Entry& entry : append.entries) {
    if (entry.index.value != at.value + 1 || entry.term < term || entry.term > term_ ||
        !log::is_entry_kind(entry.kind)) {
      note(true, fmt::format("ignored: malformed entries from {} at {}", primary_.value, at.value));
      return false;
    }
    at = entry.index;
    term = entry.term;
  }
  at = append.prev_index;
  for (const wire::Entry& entry : append.entries) {
    if (entry.index <= log_.last_index()) {
      at = entry.index;
      if (*log_.term_at(at) == entry.term || HF_BUG(kForgetTruncation)) continue;
      if (at <= commit_) {
        contradiction(at);
        return false;
      }
      log_.truncate(at);
      LogWrite& write = log_write();
      write.truncate_from = at;
      note(false, fmt::format("truncated from={} term={}", at.value, term_.value));
    }
    append_to_log({entry.term, entry.index, entry.time, static_cast<log::EntryKind>(entry.kind),
                   entry.payload});
    at = entry.index;
  }
  verified_ = std::max(verified_, at);
  return true;
}

void Replica::on_fragment(NodeId from, const wire::AppendFragment& fragment) {
  if (!follow(from)) return;
  wire::AppendEntries append{fragment.prev_index, fragment.prev_term, fragment.commit, {}};
  const wire::Entry& head = fragment.entry;
  const bool is_here = head.index <= log_.last_index() && head.index > log_.base_index() &&
                       *log_.term_at(head.index) == head.term;
  if (is_here) {
    assembly_.reset();
    append.entries.push_back(head);
    return on_append(from, std::move(append));
  }
  if (fragment.total_bytes > config_.entry_bytes_max) {
    note(true, fmt::format("ignored: an entry of {} bytes", fragment.total_bytes));
    return;
  }
  // One that comes late, or before what it follows, is not begun with.
  if (head.index.value != verified_.value + 1) return acknowledge(from);
  if (!assembly_ || !assembly_->is_for(fragment, generation_)) {
    assembly_.emplace();
    assembly_->generation = generation_;
    assembly_->head = head;
    assembly_->total_bytes = fragment.total_bytes;
  }
  assembly_->is_asked_for = true;
  const std::uint64_t here = assembly_->bytes.size();
  if (fragment.offset == here && fragment.bytes.size() <= fragment.total_bytes - here) {
    for (std::size_t i = 0; i < fragment.bytes.piece_count(); ++i)
      assembly_->bytes.append(fragment.bytes.piece(i));
  }
  if (assembly_->bytes.size() < assembly_->total_bytes && !HF_BUG(kApplyHalfEntry))
    return acknowledge(from);
  RopeArena arena(0);
  arena.append_chunks(assembly_->bytes);
  append.entries.push_back(head);
  append.entries.back().payload = arena.take();
  assembly_.reset();
  on_append(from, std::move(append));
}

void Replica::reject_append(NodeId from, LogIndex previous, LogIndex hint) {
  wire::AppendReply reply;
  reply.received = previous;
  reply.hint_index = hint;
  // At the base it is for us to say whether the terms agree.
  reply.hint_term = hint == log_.base_index() ? term_ : log_.term_at(hint).value_or(Term{});
  reply.claim = claim_;
  send(from, reply);
}

void Replica::acknowledge(NodeId to) {
  wire::AppendReply reply;
  reply.accepted = true;
  reply.received = verified_;
  reply.persisted = persisted_and_agreed();
  reply.claim = claim_;
  if (assembly_ && assembly_->is_asked_for && assembly_->head.index.value == verified_.value + 1)
    reply.fragment_bytes = assembly_->bytes.size();
  acknowledged_ = reply.persisted;
  acknowledgement_due_ = acknowledged_ < verified_;
  send(to, reply);
}

void Replica::learn_commit(LogIndex commit) {
  primary_commit_ = std::max(primary_commit_, commit);
  commit_ = std::max(commit_, std::min(primary_commit_, verified_));
  try_install();
}

// The primary has another entry where this member holds a committed one. Where a failover may lose
// writes, that is their loss; so it is after a new generation for a recovering member, which claims
// nothing. Anywhere else a promise was broken, and this member keeps what it has.
void Replica::contradiction(LogIndex at) {
  if (config_.failover == Failover::kUnilateral || claim_ == wire::Claim::kRecovering)
    return discard_all();
  note(true, fmt::format("contradiction: primary {} of term {} has another entry at {}, which is "
                         "committed here (commit={}); this node takes nothing from it",
                         primary_.value, term_.value, at.value, commit_.value));
}

void Replica::discard_all() {
  note(true, fmt::format("discarded: everything up to {}, of which {} were committed here, in "
                         "favour of primary {} of term {}",
                         log_.last_index().value, commit_.value, primary_.value, term_.value));
  out_->writes.push_back({++writes_, wire::SnapshotId{}, {}, {}});
  out_->install_snapshot = wire::SnapshotId{};
  log_.reset({}, writes_);
  commit_ = applied_ = reported_commit_ = verified_ = {};
  apply_read_ = 0;
  assembly_.reset();
  drop_incoming();
  is_log_partial_ = true;
  become_recovering("discarded");
  reject_append(primary_, {}, {});
}

void Replica::on_take_over(NodeId from, const wire::TakeOver& take_over) {
  if (from != primary_ || role_ != Role::kReplica) return;
  promise_.release(term_, take_over.round, HF_BUG(kReleaseByOldHandOver));
  if (!may_stand() || log_.last_index() < take_over.last_index || promise_.holds(now_)) {
    note(false, fmt::format("take-over declined from={} term={}", from.value, term_.value));
    return;
  }
  note(false, fmt::format("takes over from={} term={}", from.value, term_.value));
  stand(wire::VoteKind::kTransfer);
}

}  // namespace holdfast::core
