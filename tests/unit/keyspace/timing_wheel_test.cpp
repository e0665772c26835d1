#include "server/keyspace/timing_wheel.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <memory>
#include <vector>

#include "base/random.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

constexpr std::size_t kManySteps = 1'000'000;

TimingWheel::Node* pop(TimingWheel& wheel, UnixMs now) {
  std::size_t steps = kManySteps;
  return wheel.pop_due(now, steps);
}

UnixMs earliest(const std::vector<TimingWheel::Node>& nodes) {
  UnixMs found = TimingWheel::kNever;
  for (const auto& node : nodes)
    if (node.scheduled()) found = std::min(found, node.due);
  return found;
}

}  // namespace

TEST_CASE("the wheel gives out exactly what is due, whatever was inserted, moved and removed",
          "[keyspace][wheel]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    TimingWheel wheel;
    std::vector<TimingWheel::Node> nodes(60);
    const UnixMs spans[] = {3, 70, 5'000, 400'000, 90'000'000, 40'000'000'000};
    UnixMs now = seed % 2 == 0 ? 0 : 1'700'000'000'000;
    for (int step = 0; step < 4'000; ++step) {
      auto& node = nodes[random.below(nodes.size())];
      const auto span = static_cast<std::uint64_t>(spans[random.below(6)]);
      switch (random.below(8)) {
        case 0:
          wheel.remove(node);
          break;
        case 1:
          now += static_cast<UnixMs>(random.below(span));
          break;
        case 2:  // as a runner does: sleep until the bound
          if (wheel.next_due() != TimingWheel::kNever) now = std::max(now, wheel.next_due());
          break;
        case 3:
          if (random.below(10) == 0) now = std::max<UnixMs>(0, now - static_cast<UnixMs>(span));
          break;
        default:
          wheel.remove(node);
          wheel.insert(node, now + static_cast<UnixMs>(random.below(span)) - 2);
      }
      REQUIRE(wheel.next_due() <= earliest(nodes));
      while (auto* due = pop(wheel, now)) {
        REQUIRE_FALSE(due->scheduled());
        REQUIRE(due->due <= now);
      }
      REQUIRE(earliest(nodes) > now);
      const auto scheduled =
          std::count_if(nodes.begin(), nodes.end(), [](auto& n) { return n.scheduled(); });
      REQUIRE(wheel.size() == static_cast<std::size_t>(scheduled));
      REQUIRE(wheel.next_due() > now);
    }
  }
}

TEST_CASE("a distant node costs few wake-ups and comes at its millisecond", "[keyspace][wheel]") {
  TimingWheel wheel;
  TimingWheel::Node node;
  UnixMs now = 1'700'000'000'123;
  CHECK(pop(wheel, now) == nullptr);
  const UnixMs due = now + 30 * 60 * 1000 + 17;
  wheel.insert(node, due);
  int wakes = 0;
  TimingWheel::Node* found = nullptr;
  while (found == nullptr) {
    REQUIRE(wheel.next_due() > now);
    REQUIRE(wheel.next_due() <= due);
    now = wheel.next_due();
    found = pop(wheel, now);
    ++wakes;
  }
  CHECK(found == &node);
  CHECK(now == due);
  CHECK(wakes <= 5);
}

TEST_CASE("the ends of time are legal", "[keyspace][wheel]") {
  TimingWheel wheel;
  TimingWheel::Node nodes[4];
  wheel.insert(nodes[0], std::numeric_limits<UnixMs>::min());
  wheel.insert(nodes[1], 0);
  wheel.insert(nodes[2], TimingWheel::kNever - 1);
  wheel.insert(nodes[3], TimingWheel::kNever - 100);
  CHECK(pop(wheel, 0) != nullptr);
  CHECK(pop(wheel, 0) != nullptr);
  CHECK(pop(wheel, 1'700'000'000'000) == nullptr);
  CHECK(pop(wheel, TimingWheel::kNever - 2) == &nodes[3]);
  CHECK(pop(wheel, TimingWheel::kNever - 2) == nullptr);
  CHECK(pop(wheel, TimingWheel::kNever - 1) == &nodes[2]);
  CHECK(wheel.empty());
}

TEST_CASE("a crowd steps down in slices", "[keyspace][wheel]") {
  TimingWheel wheel;
  std::vector<TimingWheel::Node> nodes(10'000);
  Random random(3);
  for (auto& node : nodes) wheel.insert(node, 5'000 + static_cast<UnixMs>(random.below(100'000)));
  UnixMs now = 0;
  std::size_t popped = 0;
  while (popped < nodes.size()) {
    now += 1'000;
    while (wheel.next_due() <= now) {
      std::size_t steps = 100;
      if (auto* node = wheel.pop_due(now, steps)) {
        REQUIRE(node->due <= now);
        ++popped;
      }
    }
    REQUIRE(earliest(nodes) > now);
  }
  CHECK(wheel.empty());
}
