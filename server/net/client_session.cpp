#include "server/net/client_session.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <asio/buffer.hpp>
#include <utility>

#include "server/net/clock.hpp"
#include "server/net/server.hpp"

namespace holdfast::net {

using client::Fate;

namespace {

constexpr MonoUs kIdleAfterUs = 2'000'000;
constexpr std::size_t kWritePartsMax = 32;
// Of one session in one turn: what a 100 MB reply may take from the others.
constexpr std::size_t kWriteBytesPerTurn = 256 * 1024;

// A view of the first `count` buffers, as a ConstBufferSequence.
struct Gathered {
  const asio::const_buffer* first;
  std::size_t count;
  using value_type = asio::const_buffer;
  using const_iterator = const asio::const_buffer*;
  const_iterator begin() const { return first; }
  const_iterator end() const { return first + count; }
};

}  // namespace

ClientSession::ClientSession(Server& server, Socket socket, client::Client& client)
    : server_(server), socket_(std::move(socket)), client_(&client) {}

void ClientSession::read() {
  if (reading_ || closed() || client_->fate != Fate::kOpen || server_.stopping()) return;
  reading_ = true;
  waiting_idle_ = false;
  const auto [room, byte_count] = client_->parser.read_room();
  socket_.async_receive(asio::buffer(room, byte_count),
                        [self = shared_from_this(), asked = byte_count](
                            const std::error_code& error, std::size_t received) {
                          self->reading_ = false;
                          self->may_have_more_ = received == asked;
                          self->on_read(error, received);
                        });
}

void ClientSession::wait_readable() {
  reading_ = true;
  waiting_idle_ = true;
  client_->parser.release_if_empty();
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const std::error_code& error) {
    self->reading_ = false;
    if (self->closed()) return;
    if (error) {
      self->close();
    } else {
      self->read();
    }
  });
}

void ClientSession::on_read(const std::error_code& error, std::size_t byte_count) {
  if (closed()) return;
  if (error == asio::error::operation_aborted) {  // by sweep: nothing came for a while
    wait_readable();
    return;
  }
  if (error == asio::error::eof) {
    // The peer has said all; it may still be reading (printf 'PING\r\n' | nc ...).
    client_->fate = std::max(client_->fate, Fate::kCloseAfterReply);
    server_.queue_flush(*this);
    return;
  }
  if (error) {
    close();
    return;
  }
  client_->parser.commit(byte_count);
  server_.count_input(byte_count);
  resume();
}

void ClientSession::resume() {
  if (server_.stopping()) return;
  switch (run(server_.requests_per_visit())) {
    case Outcome::kDone:
      if (may_have_more_) {
        read();
      } else {
        server_.queue_read(*this);
      }
      break;
    case Outcome::kMore:
      server_.queue_run(*this);
      break;
    case Outcome::kHeld:
      server_.hold(*this);
      break;
    case Outcome::kAwaits:  // the server resumes it
      break;
  }
}

ClientSession::Outcome ClientSession::run(std::size_t requests_max) {
  if (closed()) return Outcome::kDone;
  node::Node& node = server_.node();
  const TimePoint now = sample_clocks();
  MonoUs begun = now.mono_us;
  client_->last_interaction_us = begun;  // also while a long request is still coming in
  server_.queue_flush(*this);
  for (std::size_t i = 0; i < requests_max; ++i) {
    switch (node.run_one(*client_, now)) {
      case node::Step::kRan:
        break;
      case node::Step::kNeedMore:
        return Outcome::kDone;
      case node::Step::kAwaits:
        return Outcome::kAwaits;
      case node::Step::kHeld:
        return Outcome::kHeld;
      case node::Step::kClosing:
        return Outcome::kDone;
    }
    const MonoUs ended = monotonic_us();
    node.note_duration(*client_, ended - begun, now);
    server_.count_busy(ended - begun);
    begun = ended;
    if (ended - now.mono_us > server_.visit_us_max()) return Outcome::kMore;
    if (client_->output.pending_bytes() > server_.output_bytes_per_visit()) return Outcome::kMore;
  }
  return Outcome::kMore;
}

void ClientSession::flush() {
  if (closed()) return;
  if (client_->fate == Fate::kCloseNow) {
    close();
    return;
  }
  auto& output = client_->output;
  const std::size_t sendable = output.sendable_bytes(server_.node().gate());
  if (sendable > 0 && !waiting_to_write_) {
    std::array<std::string_view, kWritePartsMax> parts;
    std::array<asio::const_buffer, kWritePartsMax> buffers;
    const std::size_t count =
        output.gather(parts.data(), parts.size(), std::min(sendable, kWriteBytesPerTurn));
    for (std::size_t i = 0; i < count; ++i)
      buffers[i] = asio::buffer(parts[i].data(), parts[i].size());
    std::error_code error;
    const std::size_t sent = count == 1 ? socket_.send(buffers[0], 0, error)
                                        : socket_.send(Gathered{buffers.data(), count}, 0, error);
    output.consume(sent);
    if (sent > 0) {
      server_.count_output(sent);
      client_->last_interaction_us = std::max(client_->last_interaction_us, server_.turn_us());
    }
    if (error == asio::error::would_block || error == asio::error::try_again) {
      waiting_to_write_ = true;
      socket_.async_wait(Socket::wait_write,
                         [self = shared_from_this()](const std::error_code& failed) {
                           self->waiting_to_write_ = false;
                           if (self->closed()) return;
                           if (failed && failed != asio::error::operation_aborted) {
                             self->close();
                           } else {
                             self->server_.queue_flush(*self);
                           }
                         });
    } else if (error) {
      close();
      return;
    } else if (output.sendable_bytes(server_.node().gate()) > 0) {
      server_.queue_flush(*this);
    }
  }
  if (output.pending_bytes() == 0 && client_->fate == Fate::kCloseAfterReply &&
      !client_->awaits()) {
    close();
    return;
  }
  if (output.pending_bytes() > output.sendable_bytes(server_.node().gate()))
    server_.queue_for_commit(*this);
  if (output.pending_bytes() > server_.output_bytes_checked() && output_too_large(monotonic_us())) {
    server_.log_closed(*client_, "output_buffer_limit");
    close();
  }
}

bool ClientSession::output_too_large(MonoUs now) {
  const config::OutputBufferLimit& limit =
      server_.node().options().limits.client_output_buffer_limit.normal;
  const std::size_t bytes = client_->output.memory_bytes();
  if (limit.hard > 0 && bytes > limit.hard) return true;
  if (limit.soft == 0 || bytes <= limit.soft) {
    over_soft_limit_since_ = 0;
    return false;
  }
  if (over_soft_limit_since_ == 0) over_soft_limit_since_ = now;
  return now - over_soft_limit_since_ > limit.soft_s * 1'000'000;
}

bool ClientSession::peer_has_gone() {
  pollfd look{socket_.native_handle(), POLLRDHUP, 0};
  return poll(&look, 1, 0) > 0;
}

void ClientSession::sweep(MonoUs now) {
  if (closed()) return;
  const MonoUs idle_us = now - client_->last_interaction_us;
  // Nothing is being read while a request is held, so nobody else would notice; as in Redis, a
  // request whose sender has gone is not carried out.
  if ((client_->held || client_->awaits()) && peer_has_gone()) {
    close();
    return;
  }
  const std::int64_t timeout_s = server_.node().options().server.timeout_s;
  if (timeout_s > 0 && !client_->held && !client_->awaits() && idle_us > timeout_s * 1'000'000) {
    server_.log_closed(*client_, "timeout");
    close();
    return;
  }
  if (client_->output.pending_bytes() > 0 && output_too_large(now)) {
    server_.log_closed(*client_, "output_buffer_limit");
    close();
    return;
  }
  if (idle_us > kIdleAfterUs && reading_ && !waiting_idle_ && !client_->parser.has_unparsed()) {
    client_->output.release_if_empty();
    std::error_code ignored;
    socket_.cancel(ignored);  // on_read turns it into a wait
  }
}

void ClientSession::close() {
  if (closed()) return;
  std::error_code ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  server_.forget(*this);
  client_ = nullptr;
}

}  // namespace holdfast::net
