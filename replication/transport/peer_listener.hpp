// PeerListener takes connections at the peer port. It knows nothing of who they are. One thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"

namespace holdfast::transport {

class PeerListener : public std::enable_shared_from_this<PeerListener> {
 public:
  using OnConnection = std::function<void(asio::ip::tcp::socket)>;
  using OnFailure = std::function<void(const std::string& reason)>;

  // `on_failure` hears once of a row of failures; it tries on.
  PeerListener(asio::io_context& io, OnConnection on_connection, OnFailure on_failure);

  // `host`: this node's own. A loopback address is listened on alone; with any other, all addresses
  // of this machine are, as others may know it by a name that is not its own.
  Result<void> listen(const std::string& host, std::uint16_t port);
  asio::ip::tcp::endpoint endpoint() const;
  void stop();

 private:
  std::error_code open(const asio::ip::tcp::endpoint& endpoint);
  void accept();

  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer retry_timer_;
  OnConnection on_connection_;
  OnFailure on_failure_;
  bool is_failing_ = false;
  bool is_stopped_ = false;
};

}  // namespace holdfast::transport
