// How late keys are deleted, seen from outside: every millisecond DBSIZE and
// INFO's expired_keys.
//
// The k-th key that is gone is matched with the k-th time in the schedule. This
// gives the distribution of lateness exactly if keys go in the order of their
// expiry, and its mean exactly in any case. Each lateness is an upper bound: it
// ends when the poll's reply is read. A key that is gone before its time is
// counted as early, which must never happen.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <vector>

#include "modes.hpp"
#include "requests.hpp"
#include "system.hpp"

namespace loadgen {
namespace {

constexpr std::uint64_t kPollNs = 1'000'000;
constexpr std::uint64_t kSlowPollNs = 100'000'000;

struct Counts {
  std::int64_t keys = 0;
  std::int64_t expired = -1;  // -1: INFO does not tell.
};

std::int64_t number_at(std::string_view text) {
  std::int64_t number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// One poll: both questions in one write, both answers in whatever reads it
// takes.
Counts poll(int socket) {
  send_all(socket, "*1\r\n$6\r\nDBSIZE\r\n*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n");
  static std::string text;
  text.clear();
  std::array<char, 16 * 1024> input{};
  while (true) {
    const ssize_t received = read(socket, input.data(), input.size());
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) fail("the server closed the watching connection");
    text.append(input.data(), static_cast<std::size_t>(received));
    const auto first_end = text.find("\r\n");
    if (first_end == std::string::npos) continue;
    if (text[0] != ':') fail("DBSIZE answered " + text.substr(0, first_end));
    const auto second_end = text.find("\r\n", first_end + 2);
    if (second_end == std::string::npos) continue;
    if (text[first_end + 2] != '$') fail("INFO answered " + text.substr(first_end + 2));
    const auto info_bytes = number_at(std::string_view(text).substr(first_end + 3));
    if (text.size() < second_end + 2 + static_cast<std::size_t>(info_bytes) + 2) continue;
    Counts counts{.keys = number_at(std::string_view(text).substr(1))};
    constexpr std::string_view kField = "\r\nexpired_keys:";
    const auto field = text.find(kField, second_end);
    if (field != std::string::npos) {
      counts.expired = number_at(std::string_view(text).substr(field + kField.size()));
    }
    return counts;
  }
}

// One way of counting what is gone, matched against the schedule.
class Tally {
 public:
  explicit Tally(const Options& options) : x_options(options) {}

  void see(std::int64_t gone, std::uint64_t now_ns) {
    gone = std::min(gone, static_cast<std::int64_t>(x_options.count));
    while (static_cast<std::int64_t>(x_lateness_us.size()) < gone) {
      const std::uint64_t due_ms = expiry_ms_of_rank(x_options, x_lateness_us.size());
      const auto late_us =
          static_cast<std::int64_t>(now_ns / 1000) - static_cast<std::int64_t>(due_ms * 1000);
      if (late_us < 0) ++x_early;
      x_lateness_us.push_back(late_us);
    }
  }

  [[nodiscard]] bool complete() const { return x_lateness_us.size() == x_options.count; }
  [[nodiscard]] std::size_t gone() const { return x_lateness_us.size(); }

  // Keys that are not gone count as infinitely late: a percentile that falls
  // among them is null.
  void print(const char* name) {
    std::sort(x_lateness_us.begin(), x_lateness_us.end());
    std::printf(
        "\"%s\": {\"gone\": %zu, \"early\": %llu, \"p50_us\": %s, "
        "\"p99_us\": %s, \"max_us\": %s}",
        name, x_lateness_us.size(), static_cast<unsigned long long>(x_early),
        percentile(50).c_str(), percentile(99).c_str(), percentile(100).c_str());
  }

 private:
  [[nodiscard]] std::string percentile(std::uint64_t percent) const {
    const std::uint64_t rank = std::min(x_options.count * percent / 100, x_options.count - 1);
    return rank < x_lateness_us.size() ? std::to_string(x_lateness_us[rank]) : "null";
  }

  const Options& x_options;
  std::vector<std::int64_t> x_lateness_us;
  std::uint64_t x_early = 0;
};

struct Sample {
  std::int64_t after_first_due_ms;
  std::size_t gone;
};

}  // namespace

void run_lateness(const Options& options) {
  const int socket = connect_loopback(options.port);
  const std::string priority = raise_priority();
  const Counts before = poll(socket);
  if (realtime_ns() / 1'000'000 >= options.expire_from_ms) fail("started after the first expiry");
  Tally by_size(options);
  Tally by_counter(options);
  std::vector<Sample> samples;
  const std::uint64_t last_due_ms = expiry_ms_of_rank(options, options.count - 1);
  std::uint64_t next_poll_ns = monotonic_ns();
  std::uint64_t polls = 0;
  std::uint64_t longest_gap_ns = 0;
  std::uint64_t previous_ns = 0;
  while (true) {
    sleep_until_monotonic_ns(next_poll_ns);
    const Counts counts = poll(socket);
    const std::uint64_t now_ns = realtime_ns();
    const std::uint64_t now_ms = now_ns / 1'000'000;
    ++polls;
    by_size.see(before.keys - counts.keys, now_ns);
    if (before.expired >= 0) by_counter.see(counts.expired - before.expired, now_ns);
    const auto after_ms =
        static_cast<std::int64_t>(now_ms) - static_cast<std::int64_t>(options.expire_from_ms);
    if (samples.empty() || after_ms >= samples.back().after_first_due_ms + 500) {
      samples.push_back({after_ms, by_size.gone()});
    }
    const bool counted = by_size.complete() && (before.expired < 0 || by_counter.complete());
    if (counted || now_ms > last_due_ms + options.watch_ms) break;
    const bool fast = now_ms < last_due_ms + 1000;
    if (fast && previous_ns != 0) longest_gap_ns = std::max(longest_gap_ns, now_ns - previous_ns);
    previous_ns = now_ns;
    next_poll_ns =
        std::max(next_poll_ns, monotonic_ns() - kPollNs) + (fast ? kPollNs : kSlowPollNs);
  }
  std::printf(
      "{\"count\": %llu, \"polls\": %llu, \"longest_poll_gap_us\": "
      "%llu, \"priority\": \"%s\", ",
      static_cast<unsigned long long>(options.count), static_cast<unsigned long long>(polls),
      static_cast<unsigned long long>(longest_gap_ns / 1000), priority.c_str());
  by_size.print("by_dbsize");
  std::printf(", ");
  if (before.expired >= 0) {
    by_counter.print("by_expired_keys");
  } else {
    std::printf("\"by_expired_keys\": null");
  }
  std::printf(", \"samples\": [");
  for (std::size_t i = 0; i < samples.size(); ++i) {
    std::printf("%s[%lld, %zu]", i == 0 ? "" : ", ",
                static_cast<long long>(samples[i].after_first_due_ms), samples[i].gone);
  }
  std::printf("]}\n");
}

}  // namespace loadgen
