// PeerNetwork keeps one link to every other member of the cluster, and carries messages over them.
//
// Of two members the one with the smaller number dials, for as long as there is no link; the other
// listens. So a pair has one link, and nobody has to decide between two. A new authenticated link
// to a peer closes the old one unread: what an earlier incarnation said is never heard later.
// Whoever does not prove to be a member gets no further than the handshake; those who are trying
// are limited in number (of the address that has the most of them the oldest goes), in time and in
// bytes.
//
// Nothing is decided here about a message. It delivers in the order of sending, without gaps for as
// long as a link lasts, and forgets what was queued when it ends.
//
// An empty secret is a secret that everybody knows: then all addresses must be of the loopback.
// One thread: that of the io_context, which also calls the observer.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "config/options/options.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/time.hpp"
#include "replication/transport/handshake.hpp"
#include "replication/transport/line_limit.hpp"
#include "replication/transport/name_lookup.hpp"
#include "replication/transport/peer_dialler.hpp"
#include "replication/transport/peer_link.hpp"
#include "replication/transport/peer_listener.hpp"

namespace holdfast::transport {

struct PeerNetworkOptions {
  Membership membership;
  std::vector<PeerAddress> addresses;  // of member 1, 2, ..., this one among them
  VersionRange versions;
  LinkLimits limits;
  std::size_t handshakes_max = 32;  // under way at once, of those who came to us
  NameLookup::Resolve resolve = NameLookup::ask_system;
};

// What the owner hears. `now` was sampled after what is told had been read. Never called from
// within a function of PeerNetwork other than `drain`. It may call anything but the destructor.
class PeerObserver {
 public:
  virtual ~PeerObserver() = default;
  // connected and lost alternate for each peer.
  virtual void on_connected(NodeId peer, core::MonoTime now) = 0;
  virtual void on_lost(NodeId peer, core::MonoTime now) = 0;
  virtual void on_received(NodeId peer, wire::Message message, core::MonoTime now) = 0;
};

struct PeerState {
  NodeId id;
  std::string name;
  bool is_connected = false;
  std::string address;  // of the link
  std::size_t queued_bytes = 0;
  std::string last_failure;  // why there is no link, as far as this member knows
};

class PeerNetwork : private PeerLink::Holder, private PeerDialler::Holder {
 public:
  using Log = std::function<void(config::LogLevel, const std::string&)>;

  // `observer` outlives this.
  PeerNetwork(asio::io_context& io, PeerNetworkOptions options, PeerObserver& observer, Log log);
  ~PeerNetwork() override;
  PeerNetwork(const PeerNetwork&) = delete;
  PeerNetwork& operator=(const PeerNetwork&) = delete;

  // Opens the peer port of this member (0: any, see port()). Refused without a secret if its host
  // is not of the loopback.
  Result<void> listen();
  std::uint16_t port() const { return listener_->endpoint().port(); }
  // Begins to dial those who are ours to dial.
  void dial();

  // Queues; it leaves with the next `flush`. False: there is no link, the message is dropped.
  bool send(NodeId to, const wire::Message& message);
  // One gathered write a link, once a turn.
  void flush();
  // Delivers what has arrived by now, so that silence can be judged. False: there may be more.
  bool drain();
  // The one function that another thread may call: says a whole frame to all who are linked,
  // between other messages, while the thread of the io_context is inside something long.
  void say_aside(std::string_view frame);
  // From the next dial on.
  void set_address(NodeId peer, PeerAddress address);
  // Closes everything; the observer hears nothing more.
  void stop();

  // All members but this one.
  std::vector<PeerState> peers() const;
  const LinkTraffic& traffic() const { return traffic_; }

 private:
  struct Peer {
    std::shared_ptr<PeerLink> link;  // authenticated
    core::MonoTime linked_at;
    std::shared_ptr<PeerDialler> dialler;  // null: the peer dials
    std::string last_failure;
    core::MonoTime logged_at = core::kLongAgo;
  };
  // A handshake under way.
  struct Candidate {
    std::shared_ptr<PeerLink> link;
    NodeId dialled;            // 0: it came to us
    asio::ip::address source;  // of those who came to us
  };

  void on_authenticated(PeerLink& link) override;
  void on_message(PeerLink& link, wire::Message message, core::MonoTime now) override;
  void on_failed(PeerLink& link, const std::string& reason) override;
  void on_dialled(NodeId peer, asio::ip::tcp::socket socket) override;
  void on_dial_failed(NodeId peer, const std::string& reason) override;
  void on_lookup_slow(NodeId peer, bool has_addresses) override;
  void on_accepted(asio::ip::tcp::socket socket);
  void drop_candidate(const asio::ip::address& newcomer);

  void begin_handshake(asio::ip::tcp::socket socket, Handshake handshake, NodeId dialled,
                       const asio::ip::address& source = {});
  void on_handshake_failed(const Candidate& candidate, const std::string& reason);
  void log_dial(NodeId peer, const std::string& reason, const std::string& line);
  void log_limited(LineLimit& limit, const std::string& line);
  NodeId self() const { return options_.membership.self.node; }
  const std::string& name_of(NodeId peer) const {
    return options_.membership.names[peer.value - 1];
  }
  Peer& peer(NodeId id) { return peers_[id.value - 1]; }

  asio::io_context& io_;
  PeerNetworkOptions options_;
  PeerObserver& observer_;
  Log log_;
  LinkTraffic traffic_;
  std::shared_ptr<PeerListener> listener_;
  std::vector<Peer> peers_;          // of member 1, 2, ...; this one's has nothing
  std::mutex links_;                 // guards Peer::link against say_aside
  std::list<Candidate> candidates_;  // the oldest first
  LineLimit strangers_;
  LineLimit slow_lookups_;
  bool is_stopped_ = false;
};

}  // namespace holdfast::transport
