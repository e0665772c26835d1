// MarkedDigests begins a digest at each marker in the log, and keeps the last few outcomes for
// HOLDFAST STATUS. All members apply a marker at the same index, so what they took there can be
// compared, whatever is written meanwhile. HOLDFAST DIGEST does not show them: to ask for it begins
// a walk, and a marker that comes during one is skipped.
//
// Only one walk over the data is under way at a time: if a marker comes during another (a snapshot,
// a digest that a client asked for, that of a marker before), or while data is loaded, this member
// skips it and says so. A primary takes its digest before the marker is committed; if it is deposed
// and the marker never comes to be, its data is replaced, and all that was taken is forgotten. Not
// thread-safe.
#pragma once

#include <cstddef>

#include "server/commands/server_state.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/node/digest.hpp"

namespace holdfast::node {

class MarkedDigests : public keyspace::MarkerObserver {
 public:
  static constexpr std::size_t kKept = 4;

  // `digest` is run by the caller, who may use it for other ends too.
  MarkedDigests(commands::ServerState& state, Digest& digest) : state_(state), digest_(digest) {
    state_.keyspace.set_marker_observer(this);
  }

  void marker_applied(LogIndex index) override;
  // The digest has ended, whatever it was for.
  void on_digest_ended();
  // The data is replaced; the digest is cancelled.
  void on_data_void() { state_.marked_digests.clear(); }

 private:
  commands::ServerState& state_;
  Digest& digest_;
};

}  // namespace holdfast::node
