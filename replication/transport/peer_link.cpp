#include "replication/transport/peer_link.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "replication/transport/boot_clock.hpp"

namespace holdfast::transport {

namespace {

constexpr std::size_t kReadBytesPerVisit = std::size_t{1} << 20;
constexpr std::size_t kWriteBytesPerVisit = std::size_t{1} << 20;
constexpr std::size_t kWritePartsMax = 64;
// A host that vanished without a reset is noticed within three seconds, whether we send or not.
constexpr int kKeepaliveSeconds = 1;
constexpr int kKeepaliveProbes = 3;
constexpr int kUnacknowledgedMsMax = 3000;

void prepare(asio::ip::tcp::socket& socket) {
  const int fd = socket.native_handle();
  const auto set = [fd](int level, int option, int value) {
    setsockopt(fd, level, option, &value,
               sizeof value);  // best effort: a refused one costs no data
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledgedMsMax);
}

// The same connection in a socket that nobody has asked for room to write yet, as `connect` does.
asio::ip::tcp::socket as_new(asio::ip::tcp::socket socket) {
  std::error_code error;
  const auto protocol = socket.local_endpoint(error).protocol();
  if (error) return socket;
  asio::ip::tcp::socket fresh(socket.get_executor());
  const int fd = socket.release(error);
  if (error) return socket;
  fresh.assign(protocol, fd, error);
  if (error) ::close(fd);
  return fresh;
}

// What the next write takes, as a ConstBufferSequence.
struct Gather {
  std::array<asio::const_buffer, kWritePartsMax> buffers;
  std::size_t count = 0;
  std::size_t byte_count = 0;
  using value_type = asio::const_buffer;
  using const_iterator = const asio::const_buffer*;
  const_iterator begin() const { return buffers.data(); }
  const_iterator end() const { return buffers.data() + count; }
};

// The front of the queue, without the first `skipped` bytes of it.
Gather gather(const std::deque<Rope>& queue, std::size_t skipped) {
  Gather parts;
  for (const Rope& frame : queue) {
    for (std::size_t i = 0; i < frame.piece_count(); ++i) {
      if (parts.count == kWritePartsMax) return parts;
      std::string_view piece = frame.piece(i);
      const std::size_t skip = std::min(skipped, piece.size());
      skipped -= skip;
      piece.remove_prefix(skip);
      if (piece.empty()) continue;
      parts.buffers[parts.count++] = asio::buffer(piece.data(), piece.size());
      parts.byte_count += piece.size();
    }
  }
  return parts;
}

std::string failure_text(const std::error_code& error) {
  if (error == asio::error::eof) return "reason=closed_by_peer";
  return fmt::format("reason=\"{}\"", error.message());
}

}  // namespace

std::string endpoint_text(const asio::ip::tcp::endpoint& endpoint) {
  auto address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), endpoint.port())
                         : fmt::format("{}:{}", address.to_string(), endpoint.port());
}

PeerLink::PeerLink(asio::ip::tcp::socket socket, Handshake handshake, LinkLimits limits,
                   Holder& holder, LinkTraffic& traffic)
    : socket_(as_new(std::move(socket))),
      writability_(socket_.get_executor()),
      deadline_(socket_.get_executor()),
      handshake_(std::move(handshake)),
      limits_(limits),
      holder_(&holder),
      traffic_(traffic) {
  std::error_code gone;
  const auto endpoint = socket_.remote_endpoint(gone);
  remote_ = gone ? "unknown" : endpoint_text(endpoint);
}

void PeerLink::start() {
  std::error_code error;
  socket_.non_blocking(true, error);
  if (error) return fail_later(failure_text(error));
  prepare(socket_);
  deadline_.expires_after(limits_.handshake_max);
  deadline_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    if (!cancelled && !self->is_authenticated()) self->fail("reason=handshake_too_slow");
  });
  if (send_handshake()) wait_readable();
}

void PeerLink::wait_readable() {
  socket_.async_wait(asio::ip::tcp::socket::wait_read,
                     [self = shared_from_this()](const std::error_code& error) {
                       if (error || !self->is_open()) return;
                       self->drain();
                       if (self->is_open()) self->wait_readable();
                     });
}

bool PeerLink::drain() {
  const auto self = shared_from_this();  // the holder may let go in any call
  std::size_t bytes_left = kReadBytesPerVisit;
  while (is_open()) {
    std::array<char, kRecordHeadBytes + kRecordBytesMax> record;
    std::pair<char*, std::size_t> room{record.data(), record.size()};
    const bool are_frames = is_authenticated();
    if (are_frames) room = reader_.read_room();
    std::error_code error;
    const std::size_t received = socket_.receive(asio::buffer(room.first, room.second), 0, error);
    if (error == asio::error::interrupted) continue;
    if (error == asio::error::would_block) return true;
    if (error) {
      fail(failure_text(error));
      return true;
    }
    const core::MonoTime now = boot_time();
    if (are_frames) {
      traffic_.input_bytes += received;
      reader_.commit(received);
      deliver(now);
    } else {
      take_handshake({room.first, received}, now);
    }
    if (received < room.second && are_frames) return true;  // that was all
    if (received >= bytes_left) return false;
    bytes_left -= received;
  }
  return true;
}

void PeerLink::take_handshake(std::string_view bytes, core::MonoTime now) {
  bytes.remove_prefix(handshake_.receive(bytes));
  if (!send_handshake()) return;
  switch (handshake_.state()) {
    case Handshake::State::kTalking:
      return;
    case Handshake::State::kRefused:
      return fail(fmt::format("reason={} refused_by={} hint=\"{}\"",
                              refusal_name(handshake_.refusal()),
                              handshake_.refused_by_peer() ? "peer" : "us", handshake_.remedy()));
    case Handshake::State::kMalformed:
      return fail(fmt::format("reason=malformed detail=\"{}\"", handshake_.error()));
    case Handshake::State::kDone:
      break;
  }
  deadline_.cancel();
  {
    const std::lock_guard lock(wire_);
    may_say_aside_ = true;
  }
  holder_->on_authenticated(*this);
  while (is_open() && !bytes.empty()) {
    const auto [room, room_bytes] = reader_.read_room();
    const std::size_t count = std::min(room_bytes, bytes.size());
    std::memcpy(room, bytes.data(), count);
    traffic_.input_bytes += count;
    reader_.commit(count);
    bytes.remove_prefix(count);
    deliver(now);
  }
}

// A handshake's words are few: a fresh socket takes them at once.
bool PeerLink::send_handshake() {
  const std::string words = handshake_.take_output();
  if (words.empty()) return true;
  std::error_code error;
  const std::size_t sent = socket_.send(asio::buffer(words), 0, error);
  if (!error && sent == words.size()) return true;
  fail_later(error ? failure_text(error) : "reason=handshake_not_taken");
  return false;
}

void PeerLink::deliver(core::MonoTime now) {
  while (is_open()) {
    wire::Message message;
    const Result<bool> next = reader_.next(message);
    if (!next) return fail(fmt::format("reason=malformed detail=\"{}\"", next.error().message));
    if (!*next) return;
    holder_->on_message(*this, std::move(message), now);
  }
}

void PeerLink::send(const wire::Message& message) {
  HF_CHECK(is_authenticated());
  if (!is_open()) return;
  {
    const std::lock_guard lock(wire_);
    queue_.push_back(wire::encode_frame(message, arena_));
    queued_bytes_ += queue_.back().size();
  }
  if (queued_bytes_ > limits_.queue_bytes_max)
    fail_later(fmt::format("reason=reads_too_slowly queued_bytes={}", queued_bytes_));
}

void PeerLink::flush() {
  if (is_open() && !is_waiting_to_write_) write();
}

void PeerLink::write() {
  if (auto failure = write_queue()) fail_later(std::move(*failure));
}

// Why the link has failed, or nothing.
std::optional<std::string> PeerLink::write_queue() {
  const std::lock_guard lock(wire_);
  std::size_t bytes_left = kWriteBytesPerVisit;
  while (!aside_.empty()) {
    std::error_code error;
    const std::size_t sent = socket_.send(asio::buffer(aside_), 0, error);
    if (error == asio::error::interrupted) continue;
    if (error && error != asio::error::would_block) return failure_text(error);
    aside_.erase(0, sent);
    if (sent == 0) return wait_writable();
  }
  while (!queue_.empty()) {
    const Gather parts = gather(queue_, front_sent_bytes_);
    std::error_code error;
    const std::size_t sent = socket_.send(parts, 0, error);
    if (error == asio::error::interrupted) continue;
    if (error && error != asio::error::would_block) return failure_text(error);
    traffic_.output_bytes += sent;
    drop_sent(sent);
    if (sent < parts.byte_count || sent >= bytes_left) return wait_writable();
    bytes_left -= sent;
  }
  return std::nullopt;
}

void PeerLink::say_aside(std::string_view frame) {
  const std::lock_guard lock(wire_);
  if (!may_say_aside_ || front_sent_bytes_ != 0 || !aside_.empty()) return;
  const ssize_t sent =
      ::send(socket_.native_handle(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) aside_ = frame.substr(static_cast<std::size_t>(sent));
}

std::optional<std::string> PeerLink::wait_writable() {
  if (queue_.empty() && aside_.empty()) return std::nullopt;
  if (!writability_.is_open()) {
    const int fd = fcntl(socket_.native_handle(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return failure_text({errno, std::generic_category()});
    std::error_code error;
    writability_.assign(fd, error);
    if (error) {
      ::close(fd);
      return failure_text(error);
    }
  }
  is_waiting_to_write_ = true;
  writability_.async_wait(asio::posix::descriptor_base::wait_write,
                          [self = shared_from_this()](const std::error_code& error) {
                            self->is_waiting_to_write_ = false;
                            if (!error && self->is_open()) self->write();
                          });
  return std::nullopt;
}

void PeerLink::drop_sent(std::size_t byte_count) {
  queued_bytes_ -= byte_count;
  front_sent_bytes_ += byte_count;
  while (!queue_.empty() && front_sent_bytes_ >= queue_.front().size()) {
    front_sent_bytes_ -= queue_.front().size();
    queue_.pop_front();
  }
}

void PeerLink::close() {
  holder_ = nullptr;
  shut();
}

void PeerLink::shut() {
  const std::lock_guard lock(wire_);
  may_say_aside_ = false;
  std::error_code ignored;
  socket_.close(ignored);
  writability_.close(ignored);
  deadline_.cancel();
  queue_.clear();
  queued_bytes_ = front_sent_bytes_ = 0;
}

void PeerLink::fail(const std::string& reason) {
  if (!is_open()) return;
  shut();
  std::exchange(holder_, nullptr)->on_failed(*this, reason);
}

void PeerLink::fail_later(std::string reason) {
  if (!is_open()) return;
  is_failing_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this(), reason = std::move(reason)] {
    if (self->holder_ != nullptr) std::exchange(self->holder_, nullptr)->on_failed(*self, reason);
  });
  shut();
}

}  // namespace holdfast::transport
