#include <catch2/catch.hpp>

#include "base/random.hpp"
#include "fixture.hpp"

using namespace holdfast;
using namespace holdfast::node;
using config::EvictionPolicy;

namespace {

const std::string kOom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

config::Options with_policy(EvictionPolicy policy) {
  config::Options options;
  options.memory.maxmemory_policy = policy;
  return options;
}

std::size_t used(Harness& harness) {
  return harness.node.state().keyspace.used_bytes();
}

void limit_to(Harness& harness, std::size_t bytes) {
  harness.call({"CONFIG", "SET", "maxmemory", std::to_string(bytes)});
}

}  // namespace

TEST_CASE("without eviction a full node refuses what adds data, and nothing else", "[eviction]") {
  Harness harness;
  harness.call({"SET", "k", "v"});
  limit_to(harness, 1);
  CHECK(harness.call({"SET", "a", "1"}) == kOom);
  CHECK(harness.call({"APPEND", "k", "x"}) == kOom);
  CHECK(harness.call({"GET", "k"}) == "$1\r\nv\r\n");
  CHECK(harness.call({"EXPIRE", "k", "100"}) == ":1\r\n");
  CHECK(harness.call({"DEL", "k"}) == ":1\r\n");
}

TEST_CASE("a transaction without memory takes no command but its end", "[eviction]") {
  Harness harness;
  harness.call({"SET", "k", "v"});
  limit_to(harness, 1);
  CHECK(harness.call({"MULTI"}) == kOk);
  CHECK(harness.call({"GET", "k"}) == kOom);
  CHECK(harness.call({"EXEC"}) ==
        "-EXECABORT Transaction discarded because of previous errors.\r\n");
  CHECK(harness.call({"MULTI"}) == kOk);
  CHECK(harness.call({"EXEC"}) == "*0\r\n");
  CHECK(harness.call({"MULTI"}) == kOk);
  CHECK(harness.call({"DISCARD"}) == kOk);
}

TEST_CASE("a transaction queued with memory and executed without is refused", "[eviction]") {
  Harness harness;
  client::Client& other = harness.connect();
  harness.call({"MULTI"});
  harness.call({"SET", "a", "1"});
  harness.call_as(other, {"CONFIG", "SET", "maxmemory", "1"});
  CHECK(harness.call({"EXEC"}) ==
        "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
        "'maxmemory'.\r\n");
  CHECK(harness.keys() == 0);
}

TEST_CASE("each policy keeps memory within its limit under random writes", "[eviction]") {
  const auto policy = GENERATE(EvictionPolicy::kAllkeysLru, EvictionPolicy::kVolatileLru,
                               EvictionPolicy::kVolatileTtl, EvictionPolicy::kAllkeysRandom,
                               EvictionPolicy::kVolatileRandom);
  Harness harness(with_policy(policy));
  for (int i = 0; i < 100; ++i) harness.call({"SET", "stays" + std::to_string(i), "v"});
  constexpr std::size_t kLargest = 9000;
  const std::size_t limit = used(harness) + 400'000;
  limit_to(harness, limit);
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "k" + std::to_string(random.below(3000));
    switch (random.below(4)) {
      case 0:
        CHECK(harness.call({"SET", key, std::string(random.below(600), 'x'), "EX",
                            std::to_string(1 + random.below(10'000))}) == kOk);
        break;
      case 1:
        CHECK(harness.call({"SET", key, std::string(random.below(kLargest), 'x'), "PX",
                            std::to_string(1 + random.below(2'000))}) == kOk);
        break;
      case 2:
        CHECK(harness.call({"DEL", key})[0] == ':');
        break;
      case 3:
        harness.call({"GET", key});
        harness.advance_ms(static_cast<std::int64_t>(random.below(20)));
        harness.node.background(harness.now, 100);
        break;
    }
    REQUIRE(used(harness) <= limit + 2 * kLargest);
  }
  CHECK(harness.node.state().statistics.evicted_keys > 1000);
  if (policy == EvictionPolicy::kVolatileLru || policy == EvictionPolicy::kVolatileTtl ||
      policy == EvictionPolicy::kVolatileRandom) {
    for (int i = 0; i < 100; ++i)
      CHECK(harness.call({"EXISTS", "stays" + std::to_string(i)}) == ":1\r\n");
  }
}

TEST_CASE("a volatile policy without expiring keys refuses, and makes no log entry", "[eviction]") {
  const auto policy = GENERATE(EvictionPolicy::kVolatileLru, EvictionPolicy::kVolatileTtl,
                               EvictionPolicy::kVolatileRandom);
  Harness harness(with_policy(policy));
  harness.call({"SET", "k", "v"});
  limit_to(harness, 1);
  const LogIndex before = harness.node.committed();
  CHECK(harness.call({"SET", "a", "1"}) == kOom);
  CHECK(harness.call({"GET", "k"}) == "$1\r\nv\r\n");
  CHECK(harness.node.committed() == before);
}

TEST_CASE("of the keys with a time to live, those that would go soonest are evicted first",
          "[eviction]") {
  Harness harness(with_policy(EvictionPolicy::kVolatileTtl));
  const std::string value(1000, 'x');
  for (int i = 0; i < 400; ++i)
    harness.call({"SET", "k" + std::to_string(i), value, "EX", std::to_string(1000 + i * 100)});
  limit_to(harness, used(harness) - 100'000);
  harness.call({"PING"});
  harness.call({"PING"});
  int early = 0;
  int late = 0;
  for (int i = 0; i < 200; ++i) {
    early += harness.call({"EXISTS", "k" + std::to_string(i)}) == ":1\r\n" ? 1 : 0;
    late += harness.call({"EXISTS", "k" + std::to_string(200 + i)}) == ":1\r\n" ? 1 : 0;
  }
  CHECK(late >= 195);  // it samples
  CHECK(early < 160);
}

TEST_CASE("the keys that were used lately outlive the others", "[eviction]") {
  Harness harness(with_policy(EvictionPolicy::kAllkeysLru));
  const std::string value(1000, 'x');
  for (int i = 0; i < 400; ++i) harness.call({"SET", "k" + std::to_string(i), value});
  harness.advance_ms(60'000);
  for (int i = 0; i < 200; ++i) harness.call({"GET", "k" + std::to_string(i)});
  limit_to(harness, used(harness) - 100'000);
  harness.call({"PING"});
  harness.call({"PING"});
  int used_lately = 0;
  for (int i = 0; i < 200; ++i)
    used_lately += harness.call({"EXISTS", "k" + std::to_string(i)}) == ":1\r\n" ? 1 : 0;
  CHECK(used_lately >= 195);
  CHECK(harness.keys() < 320);
}
