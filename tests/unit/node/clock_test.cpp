#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace holdfast;
using namespace holdfast::node;

namespace {
constexpr std::int64_t kHourMs = 3'600'000;
}

TEST_CASE("a key is gone at its millisecond, though nobody looks", "[node]") {
  Harness harness;
  harness.call({"SET", "k", "v", "PX", "100"});
  CHECK(harness.node.next_due() <= harness.now.unix_ms + 100);
  harness.advance_ms(99);
  while (harness.node.background(harness.now, 100)) {
  }
  CHECK(harness.keys() == 1);
  harness.advance_ms(1);
  harness.node.background(harness.now, 100);
  CHECK(harness.keys() == 0);
  CHECK(harness.node.state().statistics.expired_keys == 1);
}

TEST_CASE("many keys that are due at once go in slices of the size asked for", "[node]") {
  Harness harness;
  constexpr std::size_t kKeys = 20'000;
  const std::string moment = std::to_string(harness.now.unix_ms + 1000);
  for (std::size_t i = 0; i < kKeys; ++i)
    harness.call({"SET", "k" + std::to_string(i), "v", "PXAT", moment});
  harness.advance_ms(1000);
  std::size_t before = harness.keys();
  std::size_t slices = 0;
  while (harness.node.background(harness.now, 512)) {
    CHECK(before - harness.keys() <= 512);
    before = harness.keys();
    REQUIRE(++slices < kKeys);
  }
  CHECK(harness.keys() == 0);
  CHECK(slices >= kKeys / 512);
  CHECK(harness.node.state().statistics.expired_keys == kKeys);
}

TEST_CASE("command time does not go back when the wall clock does", "[node]") {
  Harness harness;
  harness.call({"SET", "old", "v", "PX", "500"});
  harness.call({"SET", "k", "v", "PX", "10000"});
  harness.advance_ms(1000);
  CHECK(harness.call({"GET", "old"}) == kNull);
  const UnixMs before = harness.node.command_time(harness.now).unix_ms;
  harness.step_wall_ms(-kHourMs);
  CHECK(harness.node.command_time(harness.now).unix_ms == before);
  CHECK(harness.call({"PTTL", "k"}) == ":9000\r\n");
}

TEST_CASE("keys expire on time though the wall clock was set back by an hour", "[node]") {
  Harness harness;
  harness.call({"SET", "before", "v", "PX", "2000"});
  harness.advance_ms(1000);
  harness.node.background(harness.now, 100);
  harness.step_wall_ms(-kHourMs);
  harness.call({"SET", "after", "v", "PX", "2000"});
  harness.advance_ms(999);
  harness.node.background(harness.now, 100);
  CHECK(harness.keys() == 2);
  harness.advance_ms(1);
  harness.node.background(harness.now, 100);
  CHECK(harness.keys() == 1);
  harness.advance_ms(1000);
  harness.node.background(harness.now, 100);
  CHECK(harness.keys() == 0);
}

TEST_CASE("a wall clock that jumps ahead expires what is due by it, and the wheel goes on",
          "[node]") {
  Harness harness;
  harness.call({"SET", "soon", "v", "EX", "60"});
  harness.call({"SET", "late", "v", "EX", "7200"});
  harness.step_wall_ms(kHourMs);
  while (harness.node.background(harness.now, 100)) {
  }
  CHECK(harness.keys() == 1);
  SECTION("and back") {
    harness.step_wall_ms(-kHourMs);
  }
  SECTION("and a hundred years more and back") {
    harness.step_wall_ms(kHourMs * 24 * 365 * 100);
    while (harness.node.background(harness.now, 100)) {
    }
    CHECK(harness.keys() == 0);
    harness.step_wall_ms(-kHourMs * 24 * 365 * 100);
  }
  CHECK(harness.call({"SET", "new", "v", "PX", "100"}) == kOk);
  harness.advance_ms(100);
  while (harness.node.background(harness.now, 100)) {
  }
  CHECK(harness.call({"EXISTS", "new"}) == ":0\r\n");
}

TEST_CASE("a pause ends though the wall clock was set back in it", "[node]") {
  Harness harness;
  client::Client& control = harness.connect();
  harness.call_as(control, {"CLIENT", "PAUSE", "100", "WRITE"});
  CHECK(harness.call({"SET", "k", "v"}).empty());
  harness.step_wall_ms(-kHourMs);
  harness.advance_ms(100);
  CHECK(harness.run(*harness.client) == Step::kNeedMore);
  CHECK(harness.output(*harness.client) == kOk);
}

TEST_CASE("an older sample than one that was seen changes nothing", "[node]") {
  Harness harness;
  const TimePoint older = harness.now;
  harness.advance_ms(50);
  const TimePoint newest = harness.node.command_time(harness.now);
  CHECK(harness.node.command_time(older).unix_us == newest.unix_us);
  CHECK(harness.node.command_time(older).mono_us == newest.mono_us);
}

TEST_CASE("command time meets the wall clock again without a jump", "[node]") {
  Harness harness;
  harness.node.command_time(harness.now);
  harness.step_wall_ms(-1000);
  UnixMs last = 0;
  for (int i = 0; i < 50; ++i) {
    harness.now.mono_us += 100'000;
    harness.step_wall_ms(150);  // the clock is slewed back to where it should be
    const UnixMs shown = harness.node.command_time(harness.now).unix_ms;
    if (last != 0) {
      CHECK(shown >= last);
      CHECK(shown - last <= 150);
    }
    last = shown;
  }
  CHECK(last == harness.now.unix_ms);
}
