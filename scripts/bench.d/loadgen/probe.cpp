// The stall probe. It blocks in read, so that even at a real-time priority it
// leaves the core to the other client, and is scheduled first as soon as its
// reply is there: its own waiting for the core would otherwise be counted as a
// stall.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
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

volatile std::sig_atomic_t stop_requested = 0;

constexpr std::uint64_t kLongNs = 1'000'000;
constexpr std::size_t kLongKept = 20;

struct LongTrip {
  std::uint64_t duration_ns;
  std::uint64_t began_unix_ms;
};

void round_trip(int socket, ReplyScanner& replies, std::string_view request) {
  std::array<char, 64 * 1024> input{};
  send_all(socket, request);
  while (true) {
    const ssize_t received = read(socket, input.data(), input.size());
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) fail("read: " + std::string(std::strerror(errno)));
    if (received == 0) fail("the server closed the probe's connection");
    if (replies.feed(input.data(), static_cast<std::size_t>(received)) > 0) return;
  }
}

void keep_longest(std::vector<LongTrip>& longest, LongTrip trip) {
  const auto longer = [](const LongTrip& a, const LongTrip& b) {
    return a.duration_ns > b.duration_ns;
  };
  longest.insert(std::upper_bound(longest.begin(), longest.end(), trip, longer), trip);
  if (longest.size() > kLongKept) longest.pop_back();
}

}  // namespace

void run_probe(const Options& options) {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = 1; };
  sigaction(SIGTERM, &action, nullptr);

  const int socket = connect_loopback(options.port);
  const std::string priority = raise_priority();
  ReplyScanner replies;
  Histogram trips;
  std::vector<LongTrip> longest;
  std::uint64_t long_trips = 0;
  std::uint64_t long_ns = 0;
  std::uint64_t key = options.seed;
  std::string request;
  const auto prepare = [&] {
    request.clear();
    key = key * 6'364'136'223'846'793'005ULL + 1'442'695'040'888'963'407ULL;
    RequestWriter::get(request, options.first + (key >> 20) % options.count);
  };
  for (int i = 0; i < 1000; ++i) {  // Warm: page faults and the connection's
                                    // first buffers are not the server's stalls.
    prepare();
    round_trip(socket, replies, request);
  }
  std::printf("ready\n");
  std::fflush(stdout);
  const std::uint64_t begin_ns = monotonic_ns();
  const std::uint64_t end_ns =
      options.duration_ms == 0 ? UINT64_MAX : begin_ns + options.duration_ms * 1'000'000;
  std::uint64_t now_ns = begin_ns;
  while (stop_requested == 0 && now_ns < end_ns) {
    prepare();
    const std::uint64_t before_ns = monotonic_ns();
    round_trip(socket, replies, request);
    now_ns = monotonic_ns();
    const std::uint64_t trip_ns = now_ns - before_ns;
    trips.record(trip_ns);
    if (trip_ns < kLongNs) continue;
    ++long_trips;
    long_ns += trip_ns;
    keep_longest(longest, {trip_ns, (realtime_ns() - trip_ns) / 1'000'000});
  }
  if (replies.errors() != 0) fail("the server answered with an error: " + replies.first_error());
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "{\"trips\": %llu, \"elapsed_ns\": %llu, \"misses\": %llu, "
      "\"p50_ns\": %llu, \"p99_ns\": %llu, "
      "\"p999_ns\": %llu, \"max_ns\": %llu, \"above_1ms\": %llu, "
      "\"above_1ms_total_ns\": %llu, "
      "\"priority\": \"%s\", \"longest\": [",
      number(trips.count()), number(now_ns - begin_ns), number(replies.misses()),
      number(trips.percentile_ns(50)), number(trips.percentile_ns(99)),
      number(trips.percentile_ns(99.9)), number(trips.max_ns()), number(long_trips),
      number(long_ns), priority.c_str());
  for (std::size_t i = 0; i < longest.size(); ++i) {
    std::printf("%s{\"ns\": %llu, \"began_unix_ms\": %llu}", i == 0 ? "" : ", ",
                number(longest[i].duration_ns), number(longest[i].began_unix_ms));
  }
  std::printf("]}\n");
}

}  // namespace loadgen
