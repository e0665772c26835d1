// PeerDialler gets connections to one peer: resolves its name anew at each dial, tries the
// addresses that it has, and after a failure tries again by the rule of Backoff. It has at most one
// dial under way, and makes none while the connection that it gave out is in use. One thread;
// resolving runs on Asio's own.
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

namespace holdfast::transport {

struct PeerAddress {
  std::string host;  // a name or an address
  std::uint16_t port = 0;
};

class PeerDialler : public std::enable_shared_from_this<PeerDialler> {
 public:
  static constexpr std::chrono::milliseconds kConnectMax{1000};

  class Holder {
   public:
    virtual ~Holder() = default;
    virtual void on_dialled(NodeId peer, asio::ip::tcp::socket socket) = 0;
    // It dials again by itself.
    virtual void on_dial_failed(NodeId peer, const std::string& reason) = 0;
  };

  // `loopback_only`: an address that other machines could have is as good as none. `holder`
  // outlives this, or stops it first.
  PeerDialler(asio::io_context& io, NodeId peer, PeerAddress address, bool loopback_only,
              std::uint64_t seed, Holder& holder);

  void dial();
  // The connection is gone. `was_in_use`: it had become a link that lasted.
  void dial_again(bool was_in_use);
  // From the next dial on.
  void set_address(PeerAddress address) { address_ = std::move(address); }
  void stop();

 private:
  using Endpoints = std::vector<asio::ip::tcp::endpoint>;

  void connect(Endpoints endpoints);
  void on_failed(const std::string& reason);
  void wait();

  PeerAddress address_;
  NodeId peer_;
  bool loopback_only_;
  Holder* holder_;  // null: stopped
  asio::ip::tcp::resolver resolver_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;  // of the wait, or of the connect
  Backoff backoff_;
  std::size_t dials_ = 0;
  Endpoints endpoints_;
};

}  // namespace holdfast::transport
