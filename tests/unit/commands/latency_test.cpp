#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include "server/commands/latency_histogram.hpp"
#include "tests/unit/commands/fixture.hpp"

using namespace holdfast;
using namespace holdfast::commands;

namespace {

double shown_us(std::int64_t duration_us) {
  LatencyHistogram histogram;
  histogram.record(duration_us);
  return histogram.percentile_us(50);
}

using Bounds = std::vector<std::pair<std::int64_t, std::uint64_t>>;

Bounds bounds_of(const LatencyHistogram& histogram) {
  Bounds bounds;
  histogram.for_each_bound(
      [&](std::int64_t bound_us, std::uint64_t count) { bounds.emplace_back(bound_us, count); });
  return bounds;
}

CommandStatistics& statistics_of(Server& server, std::string_view command) {
  return server.state.statistics.by_command[find_by_full_name(command)->number];
}

}  // namespace

// What redis-server 7.0.15 showed of commands that took so long.
TEST_CASE("a duration is shown as Redis shows it", "[latency]") {
  CHECK(shown_us(0) == 0.001);
  CHECK(shown_us(1) == 1.003);
  CHECK(shown_us(5) == 5.023);
  CHECK(shown_us(16) == 16.063);
  CHECK(shown_us(36) == 36.095);
  CHECK(shown_us(45) == 45.055);
  CHECK(shown_us(59) == 59.135);
  CHECK(shown_us(76) == 76.287);
}

TEST_CASE("a duration is shown a percent too long at most, and a second at most", "[latency]") {
  for (std::int64_t us = 1; us <= 1'000'000; us += 1 + us / 100) {
    CAPTURE(us);
    CHECK(shown_us(us) >= static_cast<double>(us));
    CHECK(shown_us(us) < static_cast<double>(us) * 1.01);
  }
  CHECK(shown_us(5'000'000) == shown_us(1'000'000));
  CHECK(shown_us(-1) == shown_us(0));
}

TEST_CASE("percentiles tell what so many calls did not exceed", "[latency]") {
  LatencyHistogram histogram;
  for (std::int64_t us = 1; us <= 100; ++us) histogram.record(us);
  CHECK(histogram.total() == 100);
  CHECK(histogram.percentile_us(0) == 1.003);
  CHECK(histogram.percentile_us(50) == 50.175);
  CHECK(histogram.percentile_us(99) == 99.327);
  CHECK(histogram.percentile_us(100) == 100.351);
}

TEST_CASE("bounds double, count upwards, and leave out what adds nothing", "[latency]") {
  LatencyHistogram histogram;
  CHECK(bounds_of(histogram).empty());
  for (const std::int64_t us : {0, 1, 2, 3, 33, 34, 264, 265, 2113, 1'000'000, 9'000'000})
    histogram.record(us);
  CHECK(bounds_of(histogram) == Bounds{{1, 2},
                                       {2, 3},
                                       {4, 4},
                                       {33, 5},
                                       {66, 6},
                                       {264, 7},
                                       {528, 8},
                                       {2113, 9},
                                       {1'073'741, 11}});
}

TEST_CASE("LATENCY HISTOGRAM tells of the commands that were called", "[latency]") {
  Server server;
  CHECK(server.run({"LATENCY", "HISTOGRAM"}) == "*0\r\n");
  statistics_of(server, "get").note_duration(5, true);
  statistics_of(server, "get").note_duration(20, true);
  statistics_of(server, "config|get").note_duration(1, true);
  const std::string get = bulk("get") + "*4\r\n" + bulk("calls") + number(2) +
                          bulk("histogram_usec") + "*4\r\n" + number(8) + number(1) + number(33) +
                          number(2);
  const std::string config = bulk("config|get") + "*4\r\n" + bulk("calls") + number(1) +
                             bulk("histogram_usec") + "*2\r\n" + number(1) + number(1);
  CHECK(server.run({"LATENCY", "HISTOGRAM"}) == "*4\r\n" + config + get);
  CHECK(server.run({"LATENCY", "HISTOGRAM", "get", "nosuch", "set"}) == "*2\r\n" + get);
  CHECK(server.run({"LATENCY", "HISTOGRAM", "CONFIG"}) == "*2\r\n" + config);
  CHECK(server.run({"LATENCY", "HISTOGRAM", "config|get", "get"}) == "*4\r\n" + config + get);
  server.run({"CONFIG", "RESETSTAT"});
  CHECK(server.run({"LATENCY", "HISTOGRAM"}) == "*0\r\n");
}

TEST_CASE("INFO latencystats shows the percentiles that were asked for", "[latency]") {
  Server server;
  statistics_of(server, "get").note_duration(5, true);
  CHECK(server.run({"INFO", "latencystats"}) ==
        bulk("# Latencystats\r\nlatency_percentiles_usec_get:p50=5.023,p99=5.023,p99.9=5.023\r\n"));
  server.run({"CONFIG", "SET", "latency-tracking-info-percentiles", "100 0"});
  CHECK(server.run({"INFO", "latencystats"}) ==
        bulk("# Latencystats\r\nlatency_percentiles_usec_get:p100=5.023,p0=5.023\r\n"));
  server.run({"CONFIG", "SET", "latency-tracking-info-percentiles", ""});
  CHECK(server.run({"INFO", "latencystats"}) ==
        bulk("# Latencystats\r\nlatency_percentiles_usec_get:\r\n"));
  server.run({"CONFIG", "SET", "latency-tracking", "no"});
  CHECK(server.run({"INFO", "latencystats"}) == bulk("# Latencystats\r\n"));
}

TEST_CASE("nothing is counted while latency-tracking is off", "[latency]") {
  CommandStatistics statistics;
  statistics.note_duration(7, false);
  CHECK(statistics.latency == nullptr);
  statistics.note_duration(7, true);
  statistics.note_duration(7, false);
  CHECK(statistics.latency->total() == 1);
  CHECK(statistics.microseconds == 21);
}
