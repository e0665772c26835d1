// What a primary does: feeding its peers, commitment, heartbeats, reads, hand-over.
#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "base/check.hpp"
#include "base/planted_fault.hpp"
#include "protocol/wire/codec.hpp"
#include "replication/core/replica.hpp"

namespace holdfast::core {

void Replica::become_primary() {
  assembly_.reset();
  role_ = Role::kPrimary;
  primary_ = config_.self;
  election_.to_idle(now_);
  election_.kept_vote.reset();
  election_.kept_pre_vote.reset();
  election_.preferred = {};
  is_serving_ = false;
  transfer_ = {};
  lease_.begin();
  apply_read_ = 0;
  for (PeerProgress& peer : peers_) {
    peer.match = peer.acknowledged = {};
    peer.claim_known = false;
    peer.heard = peer.spoke = awake_.now();
    peer.snapshot = {};
    peer.to_probe({log_.last_index().value + 1});
  }
  // What it asks of others it is taken to promise too: whoever asks for the longest promise that
  // was ever given hears it from the primary itself.
  const auto lease_ms = static_cast<std::uint64_t>((config_.lease.us + 999) / 1000);
  if (!peers_.empty() && lease_ms > record_.promise_ms_max) {
    record_.promise_ms_max = lease_ms;
    save_record();
  }
  announce({});
  if (!HF_BUG(kSkipNoOp)) {
    append_to_log({term_, next_index(), last_entry_time_, log::EntryKind::kNoOp, {}});
    term_start_ = log_.last_index();
  } else {
    term_start_ = commit_;
  }
  send_heartbeats();
}

void Replica::on_submitted(const Submitted& submitted) {
  if (submitted.entries.empty()) return;
  if (!accepts_entries()) {
    out_->refused_from = next_index();
    return;
  }
  LogWrite& write = log_write();
  write.entries.reserve(write.entries.size() + submitted.entries.size());
  for (const Proposal& proposal : submitted.entries)
    append_to_log({term_, next_index(), proposal.time, proposal.kind, proposal.payload});
  applied_ = log_.last_index();
}

void Replica::learn_claim(PeerProgress& peer, wire::Claim claim) {
  if (peer.claim_known && peer.claim == claim) return;
  peer.claim = claim;
  peer.claim_known = true;
  const auto found = std::lower_bound(config_.members.begin(), config_.members.end(), peer.id);
  lease_.set_counts(static_cast<std::size_t>(found - config_.members.begin()), peer.counts());
}

// `received` and `persisted` are facts about the peer's log in this term.
void Replica::learn_progress(PeerProgress& peer, LogIndex received, LogIndex persisted) {
  received = std::min(received, log_.last_index());
  persisted = std::min(persisted, received);
  if (persisted > peer.match) peer.match = persisted;
  peer.acknowledged = std::max(peer.acknowledged, persisted);
  peer.on_acknowledged(peer.match);
  if (peer.feed == Feed::kStream && received >= peer.next) {
    peer.next = {received.value + 1};
    peer.end_fragments();
  }
}

void Replica::on_heartbeat_reply(PeerProgress& peer, const wire::HeartbeatReply& reply) {
  learn_claim(peer, reply.claim);
  peer.is_unfit = reply.is_unfit;
  const auto found = std::lower_bound(config_.members.begin(), config_.members.end(), peer.id);
  lease_.on_answer(static_cast<std::size_t>(found - config_.members.begin()), reply.round);
  learn_progress(peer, reply.received, reply.persisted);
  if (peer.marked_round != 0 && reply.round >= peer.marked_round) {
    const LogIndex received = std::min(reply.received, log_.last_index());
    const bool lost = peer.feed == Feed::kStream && received < peer.marked;
    peer.marked_round = 0;
    if (lost) peer.to_probe({std::max(received, peer.match).value + 1});
  }
}

void Replica::on_append_reply(PeerProgress& peer, const wire::AppendReply& reply) {
  learn_claim(peer, reply.claim);
  if (reply.accepted) {
    learn_progress(peer, reply.received, reply.persisted);
    const LogIndex received = std::min(reply.received, log_.last_index());
    if (peer.feed == Feed::kProbe && peer.probe_sent && received.value + 1 >= peer.next.value) {
      peer.feed = Feed::kStream;
      peer.next = {received.value + 1};
    }
    if (peer.feed == Feed::kStream && received.value + 1 == peer.next.value)
      peer.on_fragments(reply.fragment_bytes, awake_.now());
    return;
  }
  if (peer.feed == Feed::kSnapshot) return;
  if (reply.hint_index < peer.match) {
    // From before they agreed, and late; or the peer has discarded what it had, and says so.
    if (reply.claim == wire::Claim::kSound) {
      // Or the probe lies behind what it has acknowledged since, and it knows that by a snapshot.
      if (peer.feed == Feed::kProbe && peer.next <= peer.match)
        peer.to_probe({peer.match.value + 1});
      return;
    }
    peer.match = reply.hint_index;
  }
  // An answer to another probe than the last one is late, or a double.
  if (peer.feed == Feed::kProbe &&
      (!peer.probe_sent || reply.received.value + 1 != peer.next.value) &&
      reply.hint_index.value + 1 >= peer.next.value)
    return;
  if (reply.hint_index < log_.base_index()) return begin_snapshot(peer);
  // The newest entry that both may hold: nothing of a later term than the hint's can be there.
  const LogIndex agreed =
      log_.last_with_term_at_most(std::min(reply.hint_index, log_.last_index()), reply.hint_term);
  const LogIndex next{std::max(agreed, peer.match).value + 1};
  // The same again would be refused again: it waits for the patience of tick_primary.
  const bool is_new = peer.feed != Feed::kProbe || next != peer.next;
  peer.to_probe(next);
  if (!is_new) {
    peer.probe_sent = true;
    peer.probe_at = awake_.now();
  }
}

void Replica::send_heartbeats() {
  next_heartbeat_ = now_ + config_.heartbeat;
  const std::uint64_t round = lease_.start_round(now_);
  const bool asks = !lease_.is_given_up() && !peers_.empty();
  for (PeerProgress& peer : peers_) {
    if (!peer.is_connected) continue;
    if (peer.marked_round == 0 && peer.feed == Feed::kStream) {
      peer.marked_round = round;
      peer.marked = {peer.next.value - 1};
    }
    send(peer.id, wire::Heartbeat{round, asks ? static_cast<std::uint64_t>(config_.lease.us) : 0,
                                  commit_, log_.last_index(), peer.acknowledged});
  }
}

bool Replica::hears_majority() const {
  std::size_t heard = 1;
  for (const PeerProgress& peer : peers_)
    if (awake_.now() - peer.heard < config_.election_timeout) ++heard;
  return heard >= quorum();
}

void Replica::tick_primary() {
  if (config_.failover == Failover::kQuorum && !hears_majority()) {
    note(true, fmt::format("steps down term={} reason=no_majority_heard", term_.value));
    return become_replica({});
  }
  if (!peers_.empty() && now_ >= next_heartbeat_) send_heartbeats();
  const Duration patience = config_.election_timeout;
  for (PeerProgress& peer : peers_) {
    if (peer.feed == Feed::kProbe && peer.probe_sent && awake_.now() - peer.probe_at >= patience)
      peer.probe_sent = false;
    if (peer.fragment_sent > peer.fragment_acknowledged &&
        awake_.now() - peer.fragment_moved_at >= patience) {
      peer.fragment_sent = peer.fragment_acknowledged = peer.fragment_reported;
      peer.fragment_moved_at = awake_.now();
    }
    tick_snapshot(peer);
  }
  tick_transfer();
  if (disk_failed_ && is_serving_ && !transfer_.is_active() && now_ >= next_disk_transfer_ &&
      best_target().value != 0) {
    note(true, "disk failed: handing over");
    transfer_ = {
        TransferPhase::kDraining, best_target(), now_ + config_.election_timeout * 2, true, 0, {}};
    next_disk_transfer_ = now_ + config_.election_timeout * 4;
  }
}

// The largest index that a majority has persisted, if it is of this term: an older term's entry is
// committed only by what follows it (Raft, section 5.4.2).
void Replica::advance_commit() {
  std::array<std::uint64_t, kMembersMax> matches{};
  std::size_t count = 0;
  matches[count++] =
      HF_BUG(kAcknowledgeBeforePersist) ? log_.last_index().value : log_.persisted().value;
  std::size_t needed = quorum();
  for (const PeerProgress& peer : peers_) matches[count++] = peer.counts() ? peer.match.value : 0;
  if (config_.failover == Failover::kUnilateral) {
    const PeerProgress& peer = peers_.front();
    const bool alone = !peer.is_connected || !peer.counts() ||
                       awake_.now() - peer.heard >= config_.election_timeout;
    if (alone) needed = 1;
    if (alone) matches[1] = 0;
  }
  if (count > 1) {
    std::nth_element(matches.begin(), matches.begin() + static_cast<std::ptrdiff_t>(needed - 1),
                     matches.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>());
  }
  const LogIndex index{matches[needed - 1]};
  if (index <= commit_) return;
  if (log_.term_at(index) != term_ && !HF_BUG(kCommitOldTerms)) return;
  commit_ = index;
}

void Replica::feed(PeerProgress& peer) {
  if (!peer.is_connected) return;
  if (peer.feed == Feed::kSnapshot) return feed_snapshot(peer);
  const LogIndex previous{peer.next.value - 1};
  if (!log_.term_at(previous)) return begin_snapshot(peer);
  if (peer.feed == Feed::kProbe) {
    if (peer.probe_sent) return;
    peer.probe_sent = true;
    peer.probe_at = awake_.now();
    return send(peer.id, wire::AppendEntries{previous, *log_.term_at(previous), commit_, {}});
  }
  while (peer.next <= log_.last_index() && peer.in_flight_bytes < config_.window_bytes &&
         peer.in_flight.size() < config_.window_messages) {
    const log::Entry* entry = log_.entry(peer.next);
    if (entry == nullptr && peer.fragment_entry && peer.fragment_entry->index == peer.next)
      entry = &*peer.fragment_entry;
    if (entry == nullptr) {
      if (peer.read_number != 0 || peer.fragments_wait(config_.window_bytes / 2)) return;
      peer.read_number = ++reads_of_log_;
      out_->read_log.push_back(
          {peer.read_number, peer.next, log_.backlog_first(), config_.window_bytes / 4});
      return;
    }
    const bool more = entry->payload.size() > config_.message_bytes ? feed_fragment(peer, *entry)
                                                                    : feed_entries(peer);
    if (!more) return;
  }
}

namespace {

wire::Entry to_wire(const log::Entry& entry) {
  return {entry.term, entry.index, entry.time, static_cast<std::uint8_t>(entry.kind),
          entry.payload};
}

wire::Entry head_of(const log::Entry& entry) {
  return {entry.term, entry.index, entry.time, static_cast<std::uint8_t>(entry.kind), {}};
}

Rope part_of(const Rope& whole, std::uint64_t offset, std::size_t byte_count) {
  BlockRef block = BlockRef::allocate(byte_count);
  std::size_t done = 0;
  for (std::size_t i = 0; i < whole.piece_count() && done < byte_count; ++i) {
    std::string_view piece = whole.piece(i);
    if (offset >= piece.size()) {
      offset -= piece.size();
      continue;
    }
    piece = piece.substr(offset, byte_count - done);
    offset = 0;
    std::memcpy(block.data() + done, piece.data(), piece.size());
    done += piece.size();
  }
  const std::string_view bytes(block.data(), done);
  return Rope(std::move(block), bytes);
}

}  // namespace

bool Replica::feed_entries(PeerProgress& peer) {
  const LogIndex previous{peer.next.value - 1};
  wire::AppendEntries append{previous, *log_.term_at(previous), commit_, {}};
  const std::uint64_t left = log_.last_index().value - previous.value;
  append.entries.reserve(std::min<std::uint64_t>(left, 256));
  std::size_t bytes = 0;
  LogIndex at = peer.next;
  while (at <= log_.last_index() && append.entries.size() < wire::kEntriesMax) {
    const log::Entry& entry = *log_.entry(at);
    if (bytes + entry.payload.size() > config_.message_bytes && !append.entries.empty()) break;
    bytes += entry.payload.size();
    append.entries.push_back(to_wire(entry));
    ++at.value;
  }
  peer.note_sent({at.value - 1}, bytes + append.entries.size() * sizeof(wire::Entry));
  peer.next = at;
  send(peer.id, std::move(append));
  return true;
}

// True: the next entry is due. False: the window is full, or the last fragment is on its way.
bool Replica::feed_fragment(PeerProgress& peer, const log::Entry& entry) {
  const LogIndex previous{peer.next.value - 1};
  const std::uint64_t total = entry.payload.size();
  if (peer.fragment_sent == 0) peer.fragment_moved_at = awake_.now();
  peer.fragment_total = total;
  if (!peer.fragment_entry || peer.fragment_entry->index != entry.index)
    peer.fragment_entry = entry;
  while (!peer.fragments_wait(config_.fragments_ahead * config_.fragment_bytes)) {
    const std::size_t part =
        std::min<std::uint64_t>(config_.fragment_bytes, total - peer.fragment_sent);
    send(peer.id, wire::AppendFragment{previous, *log_.term_at(previous), commit_, head_of(entry),
                                       total, peer.fragment_sent,
                                       part_of(entry.payload, peer.fragment_sent, part)});
    peer.fragment_sent += part;
  }
  // The entry behind it waits until this one has arrived (see learn_progress).
  return false;
}

void Replica::send_read_entries(PeerProgress& peer, const std::vector<log::Entry>& entries) {
  if (peer.feed != Feed::kStream) return;
  if (entries.empty()) return begin_snapshot(peer);
  const LogIndex previous{peer.next.value - 1};
  wire::AppendEntries append{previous, log_.term_at(previous).value_or(Term{}), commit_, {}};
  std::size_t bytes = 0;
  for (const log::Entry& entry : entries) {
    if (entry.index != peer.next || log_.term_at(entry.index) != entry.term) continue;
    if (entry.payload.size() > config_.message_bytes) {
      if (append.entries.empty()) {
        feed_fragment(peer, entry);
      } else {
        peer.fragment_entry = entry;  // comes next
      }
      break;
    }
    if (append.entries.size() == wire::kEntriesMax ||
        (bytes + entry.payload.size() > config_.message_bytes && !append.entries.empty())) {
      peer.note_sent({peer.next.value - 1}, bytes);
      send(peer.id, append);
      append.prev_index = append.entries.back().index;
      append.prev_term = append.entries.back().term;
      append.entries.clear();
      bytes = 0;
    }
    bytes += entry.payload.size();
    append.entries.push_back(to_wire(entry));
    ++peer.next.value;
  }
  if (append.entries.empty()) return;
  peer.note_sent({peer.next.value - 1}, bytes);
  send(peer.id, std::move(append));
}

bool Replica::lease_holds(MonoTime now) const {
  if (role_ != Role::kPrimary || !is_serving_) return false;
  if (config_.failover == Failover::kUnilateral) {
    const PeerProgress& peer = peers_.front();
    const bool is_away =
        !peer.is_connected || awake_.now() - peer.heard >= config_.election_timeout;
    // One that recovers promises nothing, and does not stand.
    if (is_away || (peer.claim_known && !peer.counts())) return true;
  }
  if (HF_BUG(kLeaseByTickTime)) return tick_now_ < lease_.until();
  return std::max(now, now_) < lease_.until();
}

void Replica::on_read_requested(const ReadRequested& request, MonoTime now) {
  if (role_ != Role::kPrimary) {
    out_->reads.push_back({request.id, false});
  } else if (HF_BUG(kReadWithoutLease) || (request.mode == ReadMode::kLease && lease_holds(now))) {
    out_->reads.push_back({request.id, true});
  } else {
    reads_.add(request.id);
  }
}

// It will have all soon, and may stand then.
bool Replica::can_take_over(const PeerProgress& peer) {
  return peer.is_connected && peer.counts() && !peer.is_unfit && peer.feed != Feed::kSnapshot;
}

// Who is silent may be stopped: nobody would be primary until it goes on.
bool Replica::is_answering(const PeerProgress& peer) const {
  return awake_.now() - peer.spoke < config_.election_timeout;
}

NodeId Replica::best_target() const {
  const PeerProgress* best = nullptr;
  for (const PeerProgress& peer : peers_) {
    if (!can_take_over(peer) || peer.feed != Feed::kStream || !is_answering(peer)) continue;
    if (best == nullptr || peer.match > best->match) best = &peer;
  }
  return best != nullptr ? best->id : NodeId{};
}

void Replica::on_transfer_requested(const TransferRequested& request) {
  const NodeId target = request.target.value != 0 ? request.target : best_target();
  const PeerProgress* peer = progress_of(target);
  const bool possible = role_ == Role::kPrimary && is_serving_ && !transfer_.is_active() &&
                        peer != nullptr && can_take_over(*peer);
  if (!possible) {
    note(false, fmt::format("hand-over refused target={}", target.value));
    out_->transfer = TransferOutcome::kFailed;
    return;
  }
  note(false,
       fmt::format("hand-over begins target={} last={}", target.value, log_.last_index().value));
  transfer_ = {TransferPhase::kDraining, target, now_ + request.timeout, false, 0, {}};
}

void Replica::tick_transfer() {
  if (!transfer_.is_active()) return;
  const PeerProgress* target = progress_of(transfer_.target);
  const bool is_over = now_ >= transfer_.deadline ||
                       awake_.now() - target->spoke >= config_.busy_limit ||
                       (transfer_.asks == Transfer::kAsksMax && now_ >= transfer_.ask_again_at);
  if (is_over) return end_transfer(TransferOutcome::kFailed);
  if (transfer_.phase != TransferPhase::kHandedOver || now_ < transfer_.ask_again_at) return;
  transfer_.phase = TransferPhase::kDraining;
  transfer_.ask_again_at = now_ + config_.heartbeat * 2;  // reads are answered meanwhile
  lease_.resume();
  send_heartbeats();
}

void Replica::pump_transfer() {
  if (!transfer_.is_active()) return;
  const PeerProgress* target = progress_of(transfer_.target);
  if (target == nullptr || !can_take_over(*target)) return end_transfer(TransferOutcome::kFailed);
  if (transfer_.phase != TransferPhase::kDraining || !is_answering(*target)) return;
  if (target->match != log_.last_index() || commit_ != log_.last_index()) return;
  if (transfer_.asks > 0 && (now_ < transfer_.ask_again_at || now_ >= lease_.until())) return;
  // First the lease is given up; only then may those who promised it be freed.
  lease_.give_up();
  const std::uint64_t round = lease_.last_round();
  for (const PeerProgress& peer : peers_)
    if (peer.is_connected) send(peer.id, wire::Release{round});
  send(transfer_.target, wire::TakeOver{log_.last_index(), round});
  transfer_.phase = TransferPhase::kHandedOver;
  transfer_.ask_again_at = now_ + config_.election_timeout;
  ++transfer_.asks;
  note(false, fmt::format("lease given up, handed over to={} last={} times={}",
                          transfer_.target.value, log_.last_index().value, transfer_.asks));
}

void Replica::end_transfer(TransferOutcome outcome) {
  const bool asked = !transfer_.by_disk;
  const bool gone = role_ == Role::kPrimary;
  note(false,
       fmt::format("hand-over {} target={}", outcome == TransferOutcome::kDone ? "ended" : "failed",
                   transfer_.target.value));
  if (gone && lease_.is_given_up()) lease_.resume();
  transfer_ = {};
  if (asked) out_->transfer = outcome;
}

}  // namespace holdfast::core
