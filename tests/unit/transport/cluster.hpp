// Members over real sockets of the loopback, all in one loop, and strangers that come to their
// ports. Nothing here waits for a time: it runs the loop until a condition holds, or fails.
#pragma once

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "replication/transport/boot_clock.hpp"
#include "replication/transport/peer_network.hpp"

namespace holdfast::transport::test {

inline constexpr auto kDeadline = std::chrono::seconds(60);

// False: not before the deadline.
template <typename Condition>
bool run_until(asio::io_context& io, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

inline const std::vector<std::string> kNames{"ada", "ben", "cia"};

inline Membership member(std::uint64_t id, std::string secret = "secret",
                         std::vector<std::string> names = kNames, std::string cluster = "shop",
                         std::uint64_t databases = 16) {
  return make_membership(std::move(cluster), "7f3a", std::move(names), NodeId{id},
                         std::move(secret), databases);
}

// The round is what a test recognises a message by.
inline wire::Message heartbeat(std::uint64_t round) {
  wire::Heartbeat body;
  body.round = round;
  return {Term{1}, 0, body};
}
inline std::uint64_t round_of(const wire::Message& message) {
  return std::get<wire::Heartbeat>(message.body).round;
}

// A member, and all that it heard.
class Member : public PeerObserver {
 public:
  Member(asio::io_context& io, Membership membership, LinkLimits limits = {},
         std::string host = "127.0.0.1", std::size_t handshakes_max = 32,
         NameLookup::Resolve resolve = NameLookup::ask_system)
      : id_(membership.self.node) {
    PeerNetworkOptions options;
    options.addresses.resize(membership.names.size(), {host, 1});
    options.addresses[id_.value - 1].port = 0;
    options.membership = std::move(membership);
    options.limits = limits;
    options.handshakes_max = handshakes_max;
    options.resolve = std::move(resolve);
    network_ = std::make_unique<PeerNetwork>(
        io, std::move(options), *this,
        [this](config::LogLevel, const std::string& line) { log += line + "\n"; });
  }

  PeerNetwork& network() { return *network_; }
  std::uint16_t listen() {
    REQUIRE(network_->listen());
    return network_->port();
  }
  void knows(NodeId peer, std::uint16_t port, std::string host = "127.0.0.1") {
    network_->set_address(peer, {std::move(host), port});
  }
  bool says(NodeId to, std::uint64_t round) {
    const bool is_sent = network_->send(to, heartbeat(round));
    network_->flush();
    return is_sent;
  }
  bool logged(std::string_view text) const { return log.find(text) != std::string::npos; }
  void stop() { network_ = nullptr; }

  void on_connected(NodeId peer, core::MonoTime now) override {
    HF_CHECK(now <= boot_time());
    events.push_back("connected " + std::to_string(peer.value));
    ++connects;
  }
  void on_lost(NodeId peer, core::MonoTime) override {
    events.push_back("lost " + std::to_string(peer.value));
  }
  void on_received(NodeId peer, wire::Message message, core::MonoTime now) override {
    times.push_back(now);
    ++received;
    if (keep_messages) {
      events.push_back(std::to_string(peer.value) + " says " + std::to_string(round_of(message)));
    }
  }

  std::vector<std::string> events;
  std::vector<core::MonoTime> times;
  std::string log;
  std::size_t connects = 0;
  std::size_t received = 0;
  bool keep_messages = true;

 private:
  NodeId id_;
  std::unique_ptr<PeerNetwork> network_;
};

// A connection that says what a test makes it say.
class Stranger {
 public:
  Stranger(asio::io_context& io, std::uint16_t port) : io_(io), socket_(io) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.non_blocking(true);
  }
  explicit Stranger(asio::io_context& io, asio::ip::tcp::socket socket)
      : io_(io), socket_(std::move(socket)) {
    socket_.non_blocking(true);
  }

  // Errors are the other side's right to hang up.
  void say(std::string_view bytes) {
    std::error_code ignored;
    socket_.send(asio::buffer(bytes.data(), bytes.size()), 0, ignored);
  }
  // All that was heard so far.
  const std::string& heard() {
    for (;;) {
      char room[4096];
      std::error_code error;
      const std::size_t count = socket_.receive(asio::buffer(room), 0, error);
      if (error == asio::error::would_block) return heard_;
      if (error) {
        is_closed_ = true;
        return heard_;
      }
      heard_.append(room, count);
    }
  }
  bool is_closed() {
    heard();
    return is_closed_;
  }
  bool hears(std::size_t byte_count) {
    return run_until(io_, [&] { return heard().size() >= byte_count || is_closed_; }) &&
           heard_.size() >= byte_count;
  }
  bool is_hung_up_on() {
    return run_until(io_, [&] { return is_closed(); });
  }
  // Plays its part of `handshake` until that has ended.
  bool shakes_hands(Handshake& handshake) {
    return run_until(io_, [&] {
      say(handshake.take_output());
      const std::size_t taken = handshake.receive(heard());
      heard_.erase(0, taken);
      say(handshake.take_output());
      return handshake.state() != Handshake::State::kTalking || is_closed_;
    });
  }
  asio::ip::tcp::socket& socket() { return socket_; }

 private:
  asio::io_context& io_;
  asio::ip::tcp::socket socket_;
  std::string heard_;
  bool is_closed_ = false;
};

}  // namespace holdfast::transport::test
