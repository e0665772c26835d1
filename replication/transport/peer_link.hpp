// PeerLink moves messages between one socket and its holder: first the handshake, then frames.
//
// Reads wait for readiness and then take what is there, a bounded amount a visit. Each message is
// given a time that was sampled after its last byte was read. What is sent is queued and leaves
// with one gathered write at `flush`; a peer that does not read its messages fails the link once
// the queue is full, as does any byte that is not a peer's. A link that failed or was closed stays
// so. It lives as long as its holder or an operation of its socket holds it. One thread.
#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/rope.hpp"
#include "protocol/wire/codec.hpp"
#include "replication/core/time.hpp"
#include "replication/transport/handshake.hpp"

namespace holdfast::transport {

struct LinkLimits {
  // Of messages that wait to be sent. Beyond what the replica has under way to a peer at once.
  std::size_t queue_bytes_max = std::size_t{64} << 20;
  std::chrono::milliseconds handshake_max{2000};
};

// Of frames, over all links of a network. What is said aside is left out.
struct LinkTraffic {
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;
};

class PeerLink : public std::enable_shared_from_this<PeerLink> {
 public:
  // Called from handlers of the io_context and from `drain`, never from within another function of
  // the link. In any call the holder may close the link, or let go of it.
  class Holder {
   public:
    virtual ~Holder() = default;
    virtual void on_authenticated(PeerLink& link) = 0;
    virtual void on_message(PeerLink& link, wire::Message message, core::MonoTime now) = 0;
    // The last call. `reason` is key=value text for the log; the handshake tells whether the link
    // was one ever.
    virtual void on_failed(PeerLink& link, const std::string& reason) = 0;
  };

  // `holder` and `traffic` outlive the link, or the holder closes it first.
  PeerLink(asio::ip::tcp::socket socket, Handshake handshake, LinkLimits limits, Holder& holder,
           LinkTraffic& traffic);

  void start();
  // REQUIRES: authenticated. Without effect on a link that failed.
  void send(const wire::Message& message);
  void flush();
  // Reads and delivers what has arrived already. False: there may be more.
  bool drain();
  // The holder hears nothing more.
  void close();
  // The one function that another thread may call: puts a whole frame between two others, or
  // nothing if it does not fit there now.
  void say_aside(std::string_view frame);

  bool is_open() const { return holder_ != nullptr && !is_failing_; }
  bool is_authenticated() const { return handshake_.state() == Handshake::State::kDone; }
  const Handshake& handshake() const { return handshake_; }
  std::size_t queued_bytes() const { return queued_bytes_; }
  // "10.0.0.7:41230"
  const std::string& remote() const { return remote_; }

 private:
  void wait_readable();
  void take_handshake(std::string_view bytes, core::MonoTime now);
  bool send_handshake();
  void deliver(core::MonoTime now);
  void write();
  std::optional<std::string> write_queue();
  std::optional<std::string> wait_writable();
  void drop_sent(std::size_t byte_count);
  void shut();
  void fail(const std::string& reason);
  void fail_later(std::string reason);

  asio::ip::tcp::socket socket_;
  // The same socket once more, from the first wait for room on: once Asio was asked for room in a
  // socket, it tells of it after each wait for bytes, too, at the price of a look at all sockets.
  asio::posix::stream_descriptor writability_;
  asio::steady_timer deadline_;
  Handshake handshake_;
  LinkLimits limits_;
  Holder* holder_;  // null: closed, or it has heard of the failure
  LinkTraffic& traffic_;
  std::string remote_;
  wire::FrameReader reader_;
  // One arena a link: a message that waits keeps no memory of others' messages.
  RopeArena arena_;
  std::mutex
      wire_;  // guards who writes to the socket, and what follows down to is_waiting_to_write_
  bool may_say_aside_ = false;  // authenticated and open
  std::string aside_;           // of a frame said aside, what the socket has not taken
  std::deque<Rope> queue_;
  std::size_t front_sent_bytes_ = 0;  // of the first one in the queue
  std::size_t queued_bytes_ = 0;
  bool is_waiting_to_write_ = false;
  bool is_failing_ = false;  // the holder is about to hear of it
};

// "10.0.0.7:41230" or "[::1]:41230".
std::string endpoint_text(const asio::ip::tcp::endpoint& endpoint);

}  // namespace holdfast::transport
