// PeerDialler gets connections to one peer: resolves its name anew at each dial, tries the
// addresses that it has, and after a failure tries again by the rule of Backoff. It has at most one
// dial under way, and makes none while the connection that it gave out is in use.
//
// A lookup that is slow is not waited for where an earlier one has found addresses: those are
// dialled, and the answer, once it comes, is what the next slow one falls back on. One thread, but
// for the lookups (NameLookup).
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "replication/transport/backoff.hpp"
#include "replication/transport/name_lookup.hpp"

namespace holdfast::transport {

struct PeerAddress {
  std::string host;  // a name or an address
  std::uint16_t port = 0;
};

class PeerDialler : public std::enable_shared_from_this<PeerDialler> {
 public:
  static constexpr std::chrono::milliseconds kLookupMax{500};  // then it is slow
  static constexpr std::chrono::milliseconds kConnectMax{1000};

  class Holder {
   public:
    virtual ~Holder() = default;
    virtual void on_dialled(NodeId peer, asio::ip::tcp::socket socket) = 0;
    // It dials again by itself.
    virtual void on_dial_failed(NodeId peer, const std::string& reason) = 0;
    // Once a lookup. `has_addresses`: it dials those that an earlier one found; otherwise it waits.
    virtual void on_lookup_slow(NodeId peer, bool has_addresses) = 0;
  };

  // `loopback_only`: an address that other machines could have is as good as none. `holder`
  // outlives this, or stops it first.
  PeerDialler(asio::io_context& io, NodeId peer, PeerAddress address, bool loopback_only,
              std::uint64_t seed, NameLookup::Resolve resolve, Holder& holder);

  void dial();
  // The connection is gone. `was_in_use`: it had become a link that lasted.
  void dial_again(bool was_in_use);
  // From the next dial on.
  void set_address(PeerAddress address) { address_ = std::move(address); }
  void stop();

 private:
  using Addresses = std::vector<asio::ip::address>;

  void look_up();
  void on_answer(NameLookup::Answer answer);
  void on_lookup_slow();
  void connect(const Addresses& addresses);
  void on_failed(const std::string& reason);
  void wait();

  PeerAddress address_;
  NodeId peer_;
  bool loopback_only_;
  Holder* holder_;  // null: stopped
  NameLookup lookup_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;  // of the wait, the lookup or the connect
  Backoff backoff_;
  std::size_t dials_ = 0;
  std::string looked_up_;  // the name that what follows is about
  std::chrono::steady_clock::time_point lookup_began_;
  bool dial_waits_for_lookup_ = false;
  bool is_slow_lookup_told_ = false;
  Addresses found_;  // by the last lookup that found any
  std::vector<asio::ip::tcp::endpoint> endpoints_;
};

}  // namespace holdfast::transport
