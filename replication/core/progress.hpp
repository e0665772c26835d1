// PeerProgress is what a primary knows of one peer and how it feeds it: first a probe that finds
// where the logs agree, then entries in a pipeline bounded by a window, from the backlog or from
// disk, or a snapshot if the log does not reach back that far.
//
// Invariant: `match` never goes backwards while a link lasts, unless a peer that is recovering says
// that it discarded its log; it counts towards commitment only while the peer's claim is sound.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/ids.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/time.hpp"
#include "replication/log/entry.hpp"

namespace holdfast::core {

enum class Feed : std::uint8_t { kProbe, kStream, kSnapshot };

// A snapshot on its way to a peer. Pulled: one block is read when the window has room, and no other
// before it has come. Blocks are kept until they are acknowledged: for an owner going back in a
// stream is reading all of it again.
struct OutgoingSnapshot {
  wire::SnapshotId id;  // index 0: not known yet
  UnixMs time = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t acknowledged_bytes = 0;
  std::deque<wire::SnapshotChunk> unacknowledged;  // contiguous, up to sent_bytes
  bool is_all_sent = false;
  std::uint64_t read_number = 0;   // of the ReadSnapshot under way; 0: none
  bool is_open = false;            // the owner has a stream that was not ended
  MonoTime moved_at;               // awake time of the last progress
  MonoTime not_before = kLongAgo;  // awake time; nothing is read until then
  unsigned resends = 0;            // since the last progress
  unsigned store_failures = 0;     // there, of this snapshot or those before it
  MonoTime begun_at;               // awake time

  void begin(wire::SnapshotId snapshot, UnixMs snapshot_time, MonoTime now) {
    id = snapshot;
    time = snapshot_time;
    begun_at = now;
    rewind(0);
  }
  void rewind(std::uint64_t to) {
    sent_bytes = acknowledged_bytes = to;
    unacknowledged.clear();
    is_all_sent = false;
  }
  void on_acknowledged(std::uint64_t bytes, MonoTime now) {
    acknowledged_bytes = bytes;
    while (!unacknowledged.empty() &&
           unacknowledged.front().offset + unacknowledged.front().bytes.size() <= bytes)
      unacknowledged.pop_front();
    moved_at = now;
    resends = 0;
  }
};

struct PeerProgress {
  NodeId id;
  bool is_connected = false;
  Feed feed = Feed::kProbe;
  LogIndex match;  // agreed and persisted there
  LogIndex next{1};
  // The most that it acknowledged in this term, over all links: if it has less now, it lost it.
  LogIndex acknowledged;
  wire::Claim claim = wire::Claim::kSound;
  bool claim_known = false;  // by an answer on this link, in this term
  bool is_unfit = false;     // to take over: it says so
  MonoTime heard;            // awake time of its last answer to a primary of this term, or Busy
  MonoTime spoke;            // the same, without Busy

  bool probe_sent = false;
  MonoTime probe_at;

  struct InFlight {
    LogIndex last;
    std::size_t bytes = 0;
  };
  std::deque<InFlight> in_flight;
  std::size_t in_flight_bytes = 0;

  // Of entry `next`, if it goes in fragments.
  std::uint64_t fragment_total = 0;  // its size; 0: none was sent
  std::uint64_t fragment_sent = 0;
  std::uint64_t fragment_acknowledged = 0;
  std::uint64_t fragment_reported = 0;  // last, which may be less: it began anew
  MonoTime fragment_moved_at;
  // The entry itself, from its first fragment until it is there: the backlog may drop it meanwhile,
  // and reading it again for each window of fragments would cost its size each time.
  std::optional<log::Entry> fragment_entry;

  std::uint64_t read_number = 0;  // of the ReadLog under way; 0: none

  // With the heartbeat of this round all up to `marked` had been sent: an answer that has less
  // tells of a loss.
  std::uint64_t marked_round = 0;
  LogIndex marked;

  OutgoingSnapshot snapshot;

  void end_fragments() {
    fragment_total = fragment_sent = fragment_acknowledged = fragment_reported = 0;
    fragment_entry.reset();
  }
  // The peer has so many bytes of entry `next`, perhaps more than was sent over this link.
  void on_fragments(std::uint64_t bytes, MonoTime now) {
    fragment_reported = bytes;
    if (bytes <= fragment_acknowledged) return;
    fragment_acknowledged = bytes;
    fragment_sent = std::max(fragment_sent, bytes);
    fragment_moved_at = now;
  }
  // All are sent, or as many as may be on their way.
  bool fragments_wait(std::uint64_t window) const {
    return fragment_total != 0 &&
           (fragment_sent >= fragment_total || fragment_sent - fragment_acknowledged >= window);
  }
  bool counts() const { return claim_known && claim == wire::Claim::kSound; }
  void note_sent(LogIndex last, std::size_t bytes) {
    in_flight.push_back({last, bytes});
    in_flight_bytes += bytes;
  }
  void on_acknowledged(LogIndex through) {
    while (!in_flight.empty() && in_flight.front().last <= through) {
      in_flight_bytes -= in_flight.front().bytes;
      in_flight.pop_front();
    }
  }
  void to_probe(LogIndex from) {
    feed = Feed::kProbe;
    next = from;
    probe_sent = false;
    in_flight.clear();
    in_flight_bytes = 0;
    end_fragments();
    read_number = 0;
    marked_round = 0;
  }
};

}  // namespace holdfast::core
