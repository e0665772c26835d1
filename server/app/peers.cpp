#include "server/app/peers.hpp"

#include <utility>

#include "protocol/wire/codec.hpp"
#include "replication/transport/boot_clock.hpp"
#include "server/node/replication.hpp"

namespace holdfast::app {

namespace {

// Rounds of a drain: a peer that never stops talking must not keep the loop.
constexpr int kDrainsMax = 16;

transport::PeerNetworkOptions network_options(const config::Options& options) {
  const config::ClusterOptions& cluster = options.cluster;
  transport::PeerNetworkOptions network;
  for (const config::ClusterNode& node : cluster.nodes.list)
    network.addresses.push_back({node.host, static_cast<std::uint16_t>(node.peer_port)});
  network.membership = transport::make_membership(
      cluster.name, cluster.id, node::member_names(cluster), node::replica_config(cluster).self,
      cluster.secret, static_cast<std::uint64_t>(options.server.databases));
  return network;
}

}  // namespace

Peers::Peers(asio::io_context& io, const config::Options& options, node::Node& node,
             transport::PeerNetwork::Log log, std::function<bool()> waits_for_disk)
    : node_(node),
      network_(io, network_options(options), *this, std::move(log)),
      watch_(
          core::milliseconds(options.cluster.heartbeat_ms),
          [this](const std::string& frame) { network_.say_aside(frame); },
          std::move(waits_for_disk)) {}

Result<void> Peers::start() {
  auto listening = network_.listen();
  if (listening) network_.dial();
  return listening;
}

void Peers::send(std::vector<core::Send> messages) {
  for (const core::Send& message : messages) network_.send(message.to, message.message);
  network_.flush();
  watch_.alive(transport::boot_time());
  update_busy_frame();
}

void Peers::update_busy_frame() {
  const auto busy = node_.busy_message();
  if (!busy) watch_.set_frame({});  // says nothing: not yet, or not any more
  if (!busy || (busy->term == busy_term_ && busy->generation == busy_generation_)) return;
  busy_term_ = busy->term;
  busy_generation_ = busy->generation;
  RopeArena arena;
  watch_.set_frame(wire::encode_frame(*busy, arena).str());
}

void Peers::drain() {
  for (int i = 0; i < kDrainsMax && !network_.drain(); ++i) {
  }
}

void Peers::on_connected(NodeId peer, core::MonoTime now) {
  node_.on_peer_connected(peer, now);
}

void Peers::on_lost(NodeId peer, core::MonoTime now) {
  node_.on_peer_lost(peer, now);
}

void Peers::on_received(NodeId peer, wire::Message message, core::MonoTime now) {
  node_.on_peer_message(peer, std::move(message), now);
}

}  // namespace holdfast::app
