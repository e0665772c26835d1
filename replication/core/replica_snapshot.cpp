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
  const OutgoingSnapshot former = peer.snapshot;
  peer.to_probe(peer.next);
  peer.feed = Feed::kSnapshot;
  peer.snapshot = {};
  peer.snapshot.moved_at = awake_.now();
  // A stream that a broken link interrupted goes on; the peer corrects the place if it must.
  if (former.id.index.value != 0) {
    peer.snapshot.id = former.id;
    peer.snapshot.rewind(former.acknowledged_bytes);
  }
  note(false, fmt::format("snapshot begins peer={} from_bytes={}", peer.id.value,
                          peer.snapshot.sent_bytes));
}

void Replica::feed_snapshot(PeerProgress& peer) {
  OutgoingSnapshot& snapshot = peer.snapshot;
  // What is not committed is not installed; if the commitment waits for this very peer, that would
  // be never.
  const bool must_be_committed = streaming_members() < quorum();
  if (must_be_committed && snapshot.id.index > commit_ && !snapshot.is_reading) {
    snapshot = {};
    snapshot.moved_at = awake_.now();
  }
  if (snapshot.is_reading || snapshot.is_all_sent ||
      snapshot.sent_bytes - snapshot.acknowledged_bytes >= config_.window_bytes)
    return;
  snapshot.is_reading = true;
  out_->read_snapshot.push_back(
      {peer.id, snapshot.id, snapshot.sent_bytes, config_.message_bytes, must_be_committed});
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
  if (role_ != Role::kPrimary || peer == nullptr || peer->feed != Feed::kSnapshot ||
      !peer->snapshot.is_reading)
    return;
  OutgoingSnapshot& snapshot = peer->snapshot;
  snapshot.is_reading = false;
  if (read.snapshot != snapshot.id) {
    if (read.offset != 0) return;
    snapshot.id = read.snapshot;
    snapshot.rewind(0);
  }
  if (read.offset != snapshot.sent_bytes) return;
  snapshot.moved_at = awake_.now();
  snapshot.sent_bytes += read.bytes.size();
  snapshot.is_all_sent = read.is_last;
  send(read.peer,
       wire::SnapshotChunk{read.snapshot, read.time, read.offset, read.is_last, read.bytes});
}

void Replica::on_snapshot_unavailable(NodeId id) {
  // Asked for again when nothing has moved for a while.
  if (PeerProgress* peer = progress_of(id)) peer->snapshot.moved_at = awake_.now();
}

void Replica::on_snapshot_reply(PeerProgress& peer, const wire::SnapshotReply& reply) {
  OutgoingSnapshot& snapshot = peer.snapshot;
  if (peer.feed != Feed::kSnapshot || reply.snapshot != snapshot.id) return;
  if (reply.is_installed) {
    out_->end_snapshot.push_back(peer.id);
    peer.snapshot = {};
    return peer.to_probe({std::min(reply.snapshot.index, log_.last_index()).value + 1});
  }
  if (reply.received_bytes > snapshot.acknowledged_bytes &&
      reply.received_bytes <= snapshot.sent_bytes) {
    snapshot.acknowledged_bytes = reply.received_bytes;
    snapshot.moved_at = awake_.now();
  } else if (reply.received_bytes < snapshot.acknowledged_bytes) {
    snapshot.rewind(reply.received_bytes);
  }
}

void Replica::on_snapshot_chunk(NodeId from, const wire::SnapshotChunk& chunk) {
  if (!follow(from)) return;
  if (chunk.snapshot.index <= commit_)  // older than what is here: never go back
    return send(from, wire::SnapshotReply{chunk.snapshot, 0, true});
  if (!incoming_ || incoming_->id != chunk.snapshot) {
    drop_incoming();
    if (chunk.offset != 0) return send(from, wire::SnapshotReply{chunk.snapshot, 0, false});
    incoming_.emplace();
    incoming_->id = chunk.snapshot;
    incoming_->time = chunk.time;
  }
  if (chunk.offset == incoming_->received_bytes && !incoming_->is_complete) {
    out_->store_snapshot.push_back({chunk.snapshot, chunk.offset, chunk.bytes, chunk.is_last});
    incoming_->received_bytes += chunk.bytes.size();
    incoming_->is_complete = chunk.is_last;
  }
  send(from, wire::SnapshotReply{chunk.snapshot, incoming_->received_bytes, false});
  try_install();
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
