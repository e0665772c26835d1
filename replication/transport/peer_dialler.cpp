#include "replication/transport/peer_dialler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <asio/connect.hpp>
#include <utility>

namespace holdfast::transport {

PeerDialler::PeerDialler(asio::io_context& io, NodeId peer, PeerAddress address, bool loopback_only,
                         std::uint64_t seed, NameLookup::Resolve resolve, Holder& holder)
    : address_(std::move(address)),
      peer_(peer),
      loopback_only_(loopback_only),
      holder_(&holder),
      lookup_(io, std::move(resolve)),
      socket_(io),
      timer_(io),
      backoff_(seed) {}

void PeerDialler::dial() {
  if (holder_ == nullptr) return;
  ++dials_;
  std::error_code no_address;
  const auto address = asio::ip::make_address(address_.host, no_address);
  if (!no_address) return connect({address});
  look_up();
}

void PeerDialler::look_up() {
  if (looked_up_ != address_.host) {
    lookup_.forget();
    found_.clear();
    looked_up_ = address_.host;
  }
  if (!lookup_.is_under_way()) {
    lookup_began_ = std::chrono::steady_clock::now();
    is_slow_lookup_told_ = false;
    lookup_.start(looked_up_, [this](NameLookup::Answer answer) { on_answer(std::move(answer)); });
  }
  dial_waits_for_lookup_ = true;
  timer_.expires_at(lookup_began_ + kLookupMax);
  timer_.async_wait([self = shared_from_this(), dial = dials_](const std::error_code& cancelled) {
    if (!cancelled && self->dials_ == dial && self->dial_waits_for_lookup_) self->on_lookup_slow();
  });
}

void PeerDialler::on_answer(NameLookup::Answer answer) {
  if (answer) found_ = *answer;
  if (!std::exchange(dial_waits_for_lookup_, false)) return;
  timer_.cancel();
  if (!answer) return on_failed(fmt::format("cannot resolve the name: {}", answer.error().message));
  connect(found_);
}

void PeerDialler::on_lookup_slow() {
  if (holder_ == nullptr) return;
  if (!std::exchange(is_slow_lookup_told_, true)) holder_->on_lookup_slow(peer_, !found_.empty());
  if (holder_ == nullptr || found_.empty()) return;
  dial_waits_for_lookup_ = false;
  connect(found_);
}

void PeerDialler::connect(const Addresses& addresses) {
  endpoints_.clear();
  for (const auto& address : addresses) {
    if (!loopback_only_ || address.is_loopback()) endpoints_.emplace_back(address, address_.port);
  }
  if (endpoints_.empty())
    return on_failed("not a loopback address, and there is no cluster secret");
  // The time may end before the last address is tried: each dial begins with another one.
  const auto first = static_cast<std::ptrdiff_t>(dials_ % endpoints_.size());
  std::rotate(endpoints_.begin(), endpoints_.begin() + first, endpoints_.end());

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
  lookup_.forget();
  timer_.cancel();
}

}  // namespace holdfast::transport
