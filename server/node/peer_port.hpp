// PeerPort is how the loop reaches the other members of its cluster, whatever carries the messages:
// the peer network, or a simulated one. What they say comes to the node by its `on_peer_...`.
#pragma once

#include <vector>

#include "replication/core/effects.hpp"

namespace holdfast::node {

class PeerPort {
 public:
  virtual ~PeerPort() = default;
  // Never waits. What cannot be sent is dropped.
  virtual void send(std::vector<core::Send> messages) = 0;
  // Delivers all that has arrived by now.
  virtual void drain() = 0;
};

}  // namespace holdfast::node
