// A closed loop per connection: a batch of `pipeline` requests goes out in one
// write, the next one when all its replies have come. Latency is counted from
// the write of the batch to the read that held the reply.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "histogram.hpp"
#include "modes.hpp"
#include "replies.hpp"
#include "requests.hpp"
#include "system.hpp"

namespace loadgen {
namespace {

struct Connection {
  int socket = -1;
  ReplyScanner replies;
  std::string output;
  std::size_t output_sent = 0;
  std::uint64_t replies_kept = 0;  // of a request whose last reply is still missing
  std::uint64_t outstanding = 0;
  std::uint64_t batch_sent_ns = 0;
  bool waits_for_room = false;
};

class Stream {
 public:
  explicit Stream(const Options& options)
      : x_options(options),
        x_writer(options),
        x_epoll(epoll_create1(EPOLL_CLOEXEC)),
        x_connections(options.clients),
        x_input(256 * 1024) {}

  void run() {
    for (std::size_t i = 0; i < x_connections.size(); ++i) open(i);
    x_begin_ns = monotonic_ns();
    x_next_due_ns = x_begin_ns;
    begin_measuring();
    bool warm = x_options.warmup_ms == 0;
    for (auto& connection : x_connections) send_batch(connection);
    while (!finished()) {
      turn();
      if (!warm && monotonic_ns() - x_begin_ns >= x_options.warmup_ms * 1'000'000) {
        warm = true;
        begin_measuring();
      }
    }
    print();
  }

 private:
  void open(std::size_t i) {
    Connection& connection = x_connections[i];
    connection.socket = connect_loopback(x_options.port);
    fcntl(connection.socket, F_SETFL, O_NONBLOCK);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    if (epoll_ctl(x_epoll, EPOLL_CTL_ADD, connection.socket, &event) != 0) fail("epoll_ctl");
  }

  void begin_measuring() {
    x_latencies.clear();
    x_replies_before = x_replies;
    x_measure_ns = monotonic_ns();
    if (x_options.server_pid != 0) x_cpu_before_ns = process_cpu_ns(x_options.server_pid);
  }

  [[nodiscard]] bool finished() const {
    if (x_options.requests != 0) return x_replies >= x_options.requests;
    return monotonic_ns() - x_begin_ns >= (x_options.warmup_ms + x_options.duration_ms) * 1'000'000;
  }

  void send_batch(Connection& connection) {
    std::uint64_t batch = x_options.pipeline;
    if (x_options.requests != 0) batch = std::min(batch, x_options.requests - x_requested);
    if (batch == 0) return;
    if (x_options.rate != 0) {
      sleep_until_monotonic_ns(x_next_due_ns);
      x_next_due_ns += batch * 1'000'000'000 / x_options.rate;
    }
    connection.output.clear();
    connection.output_sent = 0;
    for (std::uint64_t i = 0; i < batch; ++i) x_writer.next(connection.output);
    x_requested += batch;
    connection.outstanding = batch;
    connection.batch_sent_ns = monotonic_ns();
    flush(connection);
  }

  void flush(Connection& connection) {
    while (connection.output_sent < connection.output.size()) {
      const ssize_t sent =
          send(connection.socket, connection.output.data() + connection.output_sent,
               connection.output.size() - connection.output_sent, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) return wait_for_room(connection, true);
      if (sent < 0) fail("send: " + std::string(std::strerror(errno)));
      connection.output_sent += static_cast<std::size_t>(sent);
    }
    if (connection.waits_for_room) wait_for_room(connection, false);
  }

  void wait_for_room(Connection& connection, bool wait) {
    if (connection.waits_for_room == wait) return;
    connection.waits_for_room = wait;
    epoll_event event{
        .events = wait ? EPOLLIN | EPOLLOUT : EPOLLIN,
        .data = {.u64 = static_cast<std::uint64_t>(&connection - x_connections.data())}};
    epoll_ctl(x_epoll, EPOLL_CTL_MOD, connection.socket, &event);
  }

  void turn() {
    std::array<epoll_event, 256> events{};
    const int ready = epoll_wait(x_epoll, events.data(), static_cast<int>(events.size()), 10'000);
    if (ready == 0) fail("the server has not answered for ten seconds");
    for (int i = 0; i < ready; ++i) {
      Connection& connection = x_connections[events[static_cast<std::size_t>(i)].data.u64];
      if ((events[static_cast<std::size_t>(i)].events & EPOLLOUT) != 0) flush(connection);
      if ((events[static_cast<std::size_t>(i)].events & ~EPOLLOUT) != 0) receive(connection);
    }
  }

  void receive(Connection& connection) {
    const ssize_t received = read(connection.socket, x_input.data(), x_input.size());
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (received < 0) fail("read: " + std::string(std::strerror(errno)));
    if (received == 0) fail("the server closed a connection");
    connection.replies_kept +=
        connection.replies.feed(x_input.data(), static_cast<std::size_t>(received));
    const auto completed = connection.replies_kept / x_writer.replies_per_request();
    if (completed == 0) return;
    connection.replies_kept %= x_writer.replies_per_request();
    if (completed > connection.outstanding) fail("more replies than requests");
    const std::uint64_t latency_ns = monotonic_ns() - connection.batch_sent_ns;
    for (std::uint64_t i = 0; i < completed; ++i) x_latencies.record(latency_ns);
    x_replies += completed;
    connection.outstanding -= completed;
    if (connection.outstanding == 0) send_batch(connection);
  }

  void print() const {
    std::uint64_t cpu_ns = 0;
    if (x_options.server_pid != 0) cpu_ns = process_cpu_ns(x_options.server_pid) - x_cpu_before_ns;
    const std::uint64_t elapsed_ns = monotonic_ns() - x_measure_ns;
    const std::uint64_t replies = x_replies - x_replies_before;
    std::uint64_t misses = 0;
    for (const auto& connection : x_connections) {
      misses += connection.replies.misses();
      if (connection.replies.errors() != 0) {
        fail("the server answered with an error: " + connection.replies.first_error());
      }
    }
    std::printf(
        "{\"requests\": %llu, \"elapsed_ns\": %llu, \"server_cpu_ns\": "
        "%llu, \"misses\": %llu, "
        "\"p50_ns\": %llu, \"p99_ns\": %llu, \"max_ns\": %llu}\n",
        static_cast<unsigned long long>(replies), static_cast<unsigned long long>(elapsed_ns),
        static_cast<unsigned long long>(cpu_ns), static_cast<unsigned long long>(misses),
        static_cast<unsigned long long>(x_latencies.percentile_ns(50)),
        static_cast<unsigned long long>(x_latencies.percentile_ns(99)),
        static_cast<unsigned long long>(x_latencies.max_ns()));
  }

  const Options& x_options;
  RequestWriter x_writer;
  int x_epoll;
  std::vector<Connection> x_connections;
  std::vector<char> x_input;
  Histogram x_latencies;
  std::uint64_t x_requested = 0;
  std::uint64_t x_replies = 0;
  std::uint64_t x_replies_before = 0;
  std::uint64_t x_begin_ns = 0;
  std::uint64_t x_measure_ns = 0;
  std::uint64_t x_next_due_ns = 0;
  std::uint64_t x_cpu_before_ns = 0;
};

}  // namespace

void run_stream(const Options& options) {
  if (options.requests == 0 && options.duration_ms == 0) fail("--requests or --duration-ms");
  Stream(options).run();
}

}  // namespace loadgen
