// SyncCounter counts on a primary, for INFO stats, how its peers come into step: each link is one
// synchronisation, and those that are up when it becomes primary are, too. As in Redis it is
// partial if the peer goes on from the log, and full if it is sent a snapshot; then, if it had
// something to go on from, a partial one has been refused as well. A snapshot's stream that goes on
// over a new link is neither. Counts for people: nothing is decided by them. Not thread-safe.
#pragma once

#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "protocol/wire/message.hpp"
#include "server/commands/statistics.hpp"

namespace holdfast::node {

class SyncCounter {
 public:
  // `statistics` outlives this.
  SyncCounter(commands::Statistics& statistics, std::size_t member_count)
      : statistics_(statistics), peers_(member_count) {}

  void on_link(NodeId peer) { of(peer) = {true, false}; }
  // REQUIRES, here and below: this is the primary that the peer answers.
  void on_reply(NodeId peer, const wire::Body& body) {
    if (const auto* reply = std::get_if<wire::AppendReply>(&body)) {
      const LogIndex held = reply->accepted ? reply->received : reply->hint_index;
      of(peer).has_entries = held.value != 0;
      if (reply->accepted && std::exchange(of(peer).is_awaited, false)) ++statistics_.partial_syncs;
    } else if (std::holds_alternative<wire::SnapshotReply>(body)) {
      of(peer).is_awaited = false;
    }
  }
  // The beginning of a snapshot was read for it.
  void on_snapshot(NodeId peer) {
    ++statistics_.full_syncs;
    if (of(peer).has_entries) ++statistics_.partial_syncs_refused;
    of(peer).is_awaited = false;
  }

 private:
  struct Peer {
    bool is_awaited = false;
    bool has_entries = false;
  };
  Peer& of(NodeId peer) { return peers_[peer.value - 1]; }

  commands::Statistics& statistics_;
  std::vector<Peer> peers_;  // member 1, 2, ...
};

}  // namespace holdfast::node
