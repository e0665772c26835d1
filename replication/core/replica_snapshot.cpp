// Snapshots on their way to a peer that the log does not reach, and their installation.
//
// A snapshot at index i stands for the history up to i only once i is committed, and only for the
// primary that sends it: a new primary may have another entry at i. So what was received waits for
// the commit index of the term that it came in, and is discarded when the term ends.
#include <fmt/format.h>
#include <algorithm>

#include "base/planted_fault.hpp"
#include "replication/core/replica.hpp"

namespace holdfast::core {

void Replica::begin_snapshot(PeerProgress& peer) {
  peer.to_probe(peer.next);
  peer.feed = Feed::kSnapshot;
  note(false, fmt::format("snapshot begins peer={} from_bytes={}", peer.id.value,
                          peer.snapshot.acknowledged_bytes));
  // A stream that a broken link interrupted goes on; the peer corrects the place if it must.
  resend_snapshot(peer);
  peer.snapshot.resends = 0;
}

// What was not acknowledged. Without any of it, the end: the answer says how things stand there.
void Replica::resend_snapshot(PeerProgress& peer) {
  OutgoingSnapshot& snapshot = peer.snapshot;
  snapshot.moved_at = awake_.now();
  ++snapshot.resends;
  for (const wire::SnapshotChunk& chunk : snapshot.unacknowledged) send(peer.id, chunk);
  if (snapshot.is_all_sent && snapshot.unacknowledged.empty())
    send(peer.id, wire::SnapshotChunk{snapshot.id, snapshot.time, snapshot.sent_bytes, true, {}});
}

void Replica::tick_snapshot(PeerProgress& peer) {
  OutgoingSnapshot& snapshot = peer.snapshot;
  const Duration still = awake_.now() - snapshot.moved_at;
  if (peer.feed == Feed::kSnapshot) {
    // While a read is under way it is the own disk that is slow.
    const Duration patience = config_.election_timeout * (1 << std::min(snapshot.resends, 3U));
    if (snapshot.read_number == 0 && still >= patience) resend_snapshot(peer);
  } else if (still >= config_.busy_limit) {
    end_snapshot(peer);
  }
}

// The place is known for later, should it be wanted.
void Replica::end_snapshot(PeerProgress& peer) {
  if (peer.snapshot.is_open) out_->end_snapshot.push_back(peer.id);
  peer.snapshot.is_open = false;
  peer.snapshot.rewind(peer.snapshot.acknowledged_bytes);
}

void Replica::feed_snapshot(PeerProgress& peer) {
  OutgoingSnapshot& snapshot = peer.snapshot;
  // What is not committed is not installed; if the commitment waits for this very peer, that would
  // be never.
  const bool must_be_committed = streaming_members() < quorum();
  if (must_be_committed && snapshot.id.index > commit_ && snapshot.read_number == 0)
    snapshot.begin({}, 0, awake_.now());
  if (snapshot.read_number != 0 || snapshot.is_all_sent || awake_.now() < snapshot.not_before ||
      snapshot.sent_bytes - snapshot.acknowledged_bytes >= config_.window_bytes)
    return;
  snapshot.read_number = ++reads_of_snapshots_;
  snapshot.is_open = true;
  out_->read_snapshot.push_back({peer.id, snapshot.read_number, snapshot.id, snapshot.sent_bytes,
                                 config_.message_bytes, must_be_committed});
}

// Members whose acknowledgement of the last entry will come without a snapshot.
std::size_t Replica::streaming_members() const {
  std::size_t count = 1;
  for (const PeerProgress& peer : peers_)
    if (peer.is_connected && peer.counts() && peer.feed == Feed::kStream) ++count;
  return count;
}

void Replica::on_snapshot_read(const SnapshotRead& read) {
  PeerProgress* const peer = progress_of(read.peer);
  // Of a former term: what it read may never have come to be.
  if (peer == nullptr || read.number == 0 || peer->snapshot.read_number != read.number) return;
  OutgoingSnapshot& snapshot = peer->snapshot;
  snapshot.read_number = 0;
  snapshot.moved_at = awake_.now();
  if (read.snapshot != snapshot.id) {
    if (read.offset != 0) return;
    snapshot.begin(read.snapshot, read.time, awake_.now());
  }
  if (read.offset != snapshot.sent_bytes || snapshot.is_all_sent) return;
  snapshot.sent_bytes += read.bytes.size();
  snapshot.is_all_sent = read.is_last;
  snapshot.unacknowledged.push_back(
      {read.snapshot, read.time, read.offset, read.is_last, read.bytes});
  // Without a link it is kept for the next one.
  if (peer->feed == Feed::kSnapshot) send(read.peer, snapshot.unacknowledged.back());
}

void Replica::on_snapshot_unavailable(const SnapshotUnavailable& unavailable) {
  PeerProgress* const peer = progress_of(unavailable.peer);
  if (peer == nullptr || unavailable.number == 0 ||
      peer->snapshot.read_number != unavailable.number)
    return;
  peer->snapshot.read_number = 0;
  peer->snapshot.not_before = awake_.now() + config_.election_timeout;
}

void Replica::on_snapshot_reply(PeerProgress& peer, const wire::SnapshotReply& reply) {
  OutgoingSnapshot& snapshot = peer.snapshot;
  if (peer.feed != Feed::kSnapshot || reply.snapshot != snapshot.id) return;
  if (reply.is_installed) {
    end_snapshot(peer);
    peer.snapshot = {};
    return peer.to_probe({std::min(reply.snapshot.index, log_.last_index()).value + 1});
  }
  if (reply.store_failed) return begin_anew_later(peer);
  if (reply.received_bytes > snapshot.acknowledged_bytes &&
      reply.received_bytes <= snapshot.sent_bytes) {
    snapshot.on_acknowledged(reply.received_bytes, awake_.now());
  } else if (reply.received_bytes != snapshot.acknowledged_bytes) {
    // It has less; or more than was sent since the stream went back, for a late answer.
    snapshot.rewind(reply.received_bytes);
  }
}

// The peer cannot store it, for want of space as a rule: the newest one, after a while. An attempt
// that took long is not made again sooner than after as long a time.
void Replica::begin_anew_later(PeerProgress& peer) {
  OutgoingSnapshot& snapshot = peer.snapshot;
  const Duration wait = config_.election_timeout * (1 << std::min(snapshot.store_failures, 12U));
  const Duration wait_max = std::max(config_.busy_limit, awake_.now() - snapshot.begun_at);
  ++snapshot.store_failures;
  end_snapshot(peer);
  snapshot.begin({}, 0, awake_.now());
  snapshot.not_before = awake_.now() + std::min(wait, wait_max);
  note(true, fmt::format("snapshot not stored by peer={} failures={}", peer.id.value,
                         snapshot.store_failures));
}

void Replica::on_snapshot_chunk(NodeId from, const wire::SnapshotChunk& chunk) {
  if (!follow(from)) return;
  if (chunk.snapshot.index <= commit_)  // older than what is here: never go back
    return send(from, wire::SnapshotReply{chunk.snapshot, 0, true});
  if (!incoming_ || incoming_->id != chunk.snapshot) {
    drop_incoming();
    if (chunk.offset != 0) return send(from, wire::SnapshotReply{chunk.snapshot, 0, false});
    incoming_.emplace();
    incoming_->number = ++streams_;
    incoming_->id = chunk.snapshot;
    incoming_->time = chunk.time;
  }
  IncomingSnapshot& incoming = *incoming_;
  const bool is_next = chunk.offset == incoming.received_bytes && !incoming.is_all_received &&
                       incoming.received_bytes - incoming.stored_bytes < config_.window_bytes * 2;
  if (!is_next)
    return send(from, wire::SnapshotReply{chunk.snapshot, incoming.stored_bytes, false});
  incoming.received_bytes += chunk.bytes.size();
  incoming.is_all_received = chunk.is_last;
  out_->store_snapshot.push_back(
      {incoming.number, chunk.snapshot, chunk.offset, chunk.bytes, chunk.is_last});
}

void Replica::on_snapshot_stored(const SnapshotStored& stored) {
  if (!incoming_ || incoming_->number != stored.number) return;
  incoming_->stored_bytes = std::max(incoming_->stored_bytes, stored.bytes);
  incoming_->is_complete = incoming_->is_complete || stored.is_whole;
  if (primary_.value != 0)
    send(primary_, wire::SnapshotReply{incoming_->id, incoming_->stored_bytes, false});
  try_install();
}

void Replica::on_snapshot_store_failed(const SnapshotStoreFailed& failed) {
  if (!incoming_ || incoming_->number != failed.number) return;
  const wire::SnapshotId id = incoming_->id;
  drop_incoming();
  if (primary_.value != 0) send(primary_, wire::SnapshotReply{id, 0, false, true});
}

void Replica::try_install() {
  if (!incoming_ || !incoming_->is_complete) return;
  const wire::SnapshotId id = incoming_->id;
  if (id.index > primary_commit_ && !HF_BUG(kInstallBeyondCommit)) return;
  if (id.index <= commit_ || log_.term_at(id.index) == id.term) {
    // The log got there by itself.
    drop_incoming();
    return send(primary_, wire::SnapshotReply{id, 0, true});
  }
  last_entry_time_ = std::max(last_entry_time_, incoming_->time);
  incoming_.reset();
  out_->writes.push_back({++writes_, id, {}, {}});
  out_->install_snapshot = id;
  log_.reset(id, writes_);
  commit_ = applied_ = reported_commit_ = verified_ = id.index;
  out_->committed = commit_;
  apply_read_ = 0;
  acknowledged_ = {};
  install_reply_due_ = true;
  installed_ = id;
  note(false, fmt::format("snapshot installed index={} term={}", id.index.value, id.term.value));
}

void Replica::drop_incoming() {
  if (incoming_) out_->discard_snapshot = true;
  incoming_.reset();
}

}  // namespace holdfast::core
