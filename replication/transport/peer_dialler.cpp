#include "replication/transport/peer_dialler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <asio/connect.hpp>
#include <utility>

namespace holdfast::transport {

PeerDialler::PeerDialler(asio::io_context& io, NodeId peer, PeerAddress address, bool loopback_only,
                         std::uint64_t seed, Holder& holder)
    : address_(std::move(address)),
      peer_(peer),
      loopback_only_(loopback_only),
      holder_(&holder),
      resolver_(io),
      socket_(io),
      timer_(io),
      backoff_(seed) {}

void PeerDialler::dial() {
  if (holder_ == nullptr) return;
  ++dials_;
  std::error_code no_address;
  const auto address = asio::ip::make_address(address_.host, no_address);
  if (!no_address) return connect({{address, address_.port}});
  resolver_.async_resolve(
      address_.host, std::to_string(address_.port), asio::ip::resolver_base::numeric_service,
      [self = shared_from_this()](const std::error_code& error, auto found) {
        if (self->holder_ == nullptr) return;
        if (error) {
          return self->on_failed(fmt::format("cannot resolve the name: {}", error.message()));
        }
        Endpoints endpoints;
        for (const auto& entry : found) endpoints.push_back(entry.endpoint());
        self->connect(std::move(endpoints));
      });
}

void PeerDialler::connect(Endpoints endpoints) {
  if (loopback_only_) {
    std::erase_if(endpoints, [](const auto& one) { return !one.address().is_loopback(); });
    if (endpoints.empty())
      return on_failed("not a loopback address, and there is no cluster secret");
  }
  if (endpoints.empty()) return on_failed("the name has no address");
  // The time may end before the last address is tried: each dial begins with another one.
  const auto first = static_cast<std::ptrdiff_t>(dials_ % endpoints.size());
  std::rotate(endpoints.begin(), endpoints.begin() + first, endpoints.end());
  endpoints_ = std::move(endpoints);

  const std::size_t dial = dials_;
  timer_.expires_after(kConnectMax);
  timer_.async_wait([self = shared_from_this(), dial](const std::error_code& cancelled) {
    std::error_code ignored;
    if (!cancelled && self->dials_ == dial) self->socket_.close(ignored);
  });
  asio::async_connect(socket_, endpoints_,
                      [self = shared_from_this()](const std::error_code& error, const auto&) {
                        if (self->holder_ == nullptr) return;
                        self->timer_.cancel();
                        if (error == asio::error::operation_aborted)
                          return self->on_failed("no answer");
                        if (error) return self->on_failed(error.message());
                        self->holder_->on_dialled(self->peer_, std::move(self->socket_));
                      });
}

void PeerDialler::on_failed(const std::string& reason) {
  std::error_code ignored;
  socket_.close(ignored);
  holder_->on_dial_failed(peer_, reason);
  wait();
}

void PeerDialler::dial_again(bool was_in_use) {
  if (was_in_use) backoff_.reset();
  wait();
}

void PeerDialler::wait() {
  if (holder_ == nullptr) return;
  timer_.expires_after(std::chrono::microseconds(backoff_.next().us));
  timer_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    if (!cancelled) self->dial();
  });
}

void PeerDialler::stop() {
  holder_ = nullptr;
  std::error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
  timer_.cancel();
}

}  // namespace holdfast::transport
