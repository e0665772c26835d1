// Peers is the node's way to the other members of its cluster: the peer network, and the thread
// that says "busy" for a loop inside a long command.
#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "config/options/options.hpp"
#include "replication/transport/peer_network.hpp"
#include "server/app/busy_watch.hpp"
#include "server/node/node.hpp"
#include "server/node/peer_port.hpp"

namespace holdfast::app {

class Peers : public node::PeerPort, private transport::PeerObserver {
 public:
  // `node` outlives this, and is told of what peers say by handlers of `io`. `waits_for_disk` says
  // on any thread whether the loop does, inside a write of its own.
  Peers(asio::io_context& io, const config::Options& options, node::Node& node,
        transport::PeerNetwork::Log log, std::function<bool()> waits_for_disk);

  // Listens and begins to dial. The error names host and port.
  Result<void> start();
  void stop() { network_.stop(); }
  const transport::LinkTraffic& traffic() const { return network_.traffic(); }

  void send(std::vector<core::Send> messages) override;
  void drain() override;

 private:
  void on_connected(NodeId peer, core::MonoTime now) override;
  void on_lost(NodeId peer, core::MonoTime now) override;
  void on_received(NodeId peer, wire::Message message, core::MonoTime now) override;

  void update_busy_frame();

  node::Node& node_;
  transport::PeerNetwork network_;
  Term busy_term_;
  std::uint64_t busy_generation_ = 0;
  BusyWatch watch_;  // the last: its thread uses the network
};

}  // namespace holdfast::app
