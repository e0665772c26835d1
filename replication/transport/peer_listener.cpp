#include "replication/transport/peer_listener.hpp"

#include <fmt/format.h>

#include <asio/ip/v6_only.hpp>
#include <chrono>
#include <utility>

#include "base/text.hpp"
#include "config/options/validate.hpp"
#include "replication/transport/peer_link.hpp"

namespace holdfast::transport {

namespace {
constexpr int kBacklog = 128;
constexpr std::chrono::milliseconds kRetryAfter{100};
}  // namespace

PeerListener::PeerListener(asio::io_context& io, OnConnection on_connection, OnFailure on_failure)
    : acceptor_(io),
      retry_timer_(io),
      on_connection_(std::move(on_connection)),
      on_failure_(std::move(on_failure)) {}

Result<void> PeerListener::listen(const std::string& host, std::uint16_t port) {
  using asio::ip::tcp;
  std::error_code error;
  tcp::endpoint endpoint(tcp::v6(), port);
  if (config::is_loopback(host)) {
    const auto address =
        asio::ip::make_address(equals_ignoring_case(host, "localhost") ? "127.0.0.1" : host, error);
    if (error) return fail(fmt::format("cannot listen for peers on {}: {}", host, error.message()));
    endpoint = {address, port};
  }
  error = open(endpoint);
  // A machine without IPv6 refuses the address that stands for all.
  if (error && endpoint.address().is_unspecified()) {
    endpoint = {tcp::v4(), port};
    error = open(endpoint);
  }
  if (error) {
    return fail(fmt::format("cannot listen for peers on {}: {} (is another server running there?)",
                            endpoint_text(endpoint), error.message()));
  }
  accept();
  return {};
}

std::error_code PeerListener::open(const asio::ip::tcp::endpoint& endpoint) {
  std::error_code error;
  std::error_code ignored;
  acceptor_.close(ignored);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error && endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(kBacklog, error);
  if (!error) acceptor_.non_blocking(true, error);
  return error;
}

asio::ip::tcp::endpoint PeerListener::endpoint() const {
  std::error_code none;
  return acceptor_.local_endpoint(none);
}

void PeerListener::accept() {
  acceptor_.async_accept(
      [self = shared_from_this()](const std::error_code& error, asio::ip::tcp::socket socket) {
        // When stopping, also for an accept that had succeeded before.
        if (self->is_stopped_) return;
        if (error && error != asio::error::connection_aborted) {
          // No descriptors, mostly; trying again at once would spin.
          if (!std::exchange(self->is_failing_, true)) self->on_failure_(error.message());
          self->retry_timer_.expires_after(kRetryAfter);
          self->retry_timer_.async_wait([self](const std::error_code& cancelled) {
            if (!cancelled && !self->is_stopped_) self->accept();
          });
          return;
        }
        self->is_failing_ = false;
        if (!error) self->on_connection_(std::move(socket));
        if (!self->is_stopped_) self->accept();
      });
}

void PeerListener::stop() {
  is_stopped_ = true;
  std::error_code ignored;
  acceptor_.close(ignored);
  retry_timer_.cancel();
}

}  // namespace holdfast::transport
