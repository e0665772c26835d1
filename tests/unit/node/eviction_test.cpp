#include <catch2/catch.hpp>

#include "base/random.hpp"
#include "fixture.hpp"
#include "tests/unit/node/cluster_harness.hpp"
#include "tests/unit/node/storage_fixture.hpp"

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

std::uint64_t evicted(Harness& harness) {
  return harness.node.state().statistics.evicted_keys;
}

void fill(Harness& harness, int count, std::size_t value_bytes = 100) {
  const std::string value(value_bytes, 'x');
  for (int i = 0; i < count; ++i) harness.call({"SET", "k" + std::to_string(i), value});
}

// All that the background has to do; it must end.
void work_off(Harness& harness) {
  for (int slices = 0; harness.node.background(harness.now, 64); ++slices) REQUIRE(slices < 10'000);
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

TEST_CASE("large values written into a full node of small keys do not pile up above the limit",
          "[eviction]") {
  Harness harness(with_policy(EvictionPolicy::kAllkeysLru));
  fill(harness, 20'000);
  const std::size_t limit = used(harness) + 100'000;
  limit_to(harness, limit);
  const std::string large(1 << 20, 'z');
  for (int i = 0; i < 40; ++i) {
    CHECK(harness.call({"SET", "large" + std::to_string(i), large}) == kOk);
    CHECK(used(harness) <= limit + large.size() + 10'000);
    work_off(harness);
    CHECK(used(harness) <= limit);
  }
}

TEST_CASE("a command evicts a bounded number of keys, and the background goes on", "[eviction]") {
  Harness harness(with_policy(EvictionPolicy::kAllkeysLru));
  fill(harness, 40'000);
  limit_to(harness, used(harness) / 2);
  std::uint64_t before = evicted(harness);
  harness.call({"PING"});
  CHECK(evicted(harness) - before >= 1000);
  CHECK(evicted(harness) - before <= 2000);
  before = evicted(harness);
  harness.node.background(harness.now, 64);
  CHECK(evicted(harness) - before == 64);
}

TEST_CASE("a limit lowered far below what is used is met without a command, and not undershot",
          "[eviction]") {
  const auto policy = GENERATE(EvictionPolicy::kAllkeysLru, EvictionPolicy::kAllkeysRandom);
  const int percent = GENERATE(50, 20, 5);
  Harness harness(with_policy(policy));
  const std::size_t empty = used(harness);
  fill(harness, 40'000);
  const std::size_t limit =
      empty + (used(harness) - empty) * static_cast<std::size_t>(percent) / 100;
  limit_to(harness, limit);
  work_off(harness);
  CHECK(used(harness) <= limit);
  CHECK(used(harness) > limit - limit / 20);
  CHECK(harness.keys() > 40'000 * static_cast<std::size_t>(percent) / 100 * 8 / 10);
}

TEST_CASE("where very few keys expire they are found, and no others go", "[eviction]") {
  const auto policy = GENERATE(EvictionPolicy::kVolatileLru, EvictionPolicy::kVolatileTtl,
                               EvictionPolicy::kVolatileRandom);
  Harness harness(with_policy(policy));
  fill(harness, 100'000, 1);
  for (int i = 0; i < 200; ++i)
    harness.call({"SET", "expires" + std::to_string(i), std::string(100, 'x'), "EX", "1000"});
  limit_to(harness, 1'000'000);
  work_off(harness);
  CHECK(evicted(harness) == 200);
  CHECK(harness.keys() == 100'000);
}

TEST_CASE("what is evicted and waits for the disk is not evicted for twice", "[eviction]") {
  StorageHarness harness(with_policy(EvictionPolicy::kAllkeysLru));
  harness.start_empty();
  fill(harness, 5000);
  harness.persist();
  const std::size_t limit = used(harness) / 4 * 3;
  limit_to(harness, limit);
  for (int i = 0; i < 1000; ++i) harness.node.background(harness.now, 64);  // nothing is persisted
  CHECK(used(harness) <= limit);
  CHECK(used(harness) > limit - limit / 20);
  CHECK(harness.keys() > 3400);
}

TEST_CASE("where nothing can be evicted the background does not try without end", "[eviction]") {
  const auto policy = GENERATE(EvictionPolicy::kNoEviction, EvictionPolicy::kVolatileLru);
  Harness harness(with_policy(policy));
  fill(harness, 10);
  limit_to(harness, 1);
  const LogIndex before = harness.node.committed();
  work_off(harness);
  CHECK(harness.node.committed() == before);
  CHECK(harness.call({"SET", "a", "1"}) == kOom);
}

TEST_CASE("while the disk fails nothing is evicted", "[eviction]") {
  StorageHarness harness(with_policy(EvictionPolicy::kAllkeysLru));
  harness.start_empty();
  fill(harness, 100);
  harness.persist();
  log::Failed failed;
  failed.error.kind = log::FileErrorKind::kNoSpace;
  failed.error.message = "No space left on device";
  harness.tell(failed);
  limit_to(harness, 1);
  CHECK(harness.call({"GET", "k1"})[0] == '$');
  harness.node.background(harness.now, 64);
  CHECK(evicted(harness) == 0);
}

TEST_CASE("a replica evicts nothing, and as a primary what is above its own limit",
          "[eviction][cluster]") {
  config::Options options;
  options.memory.maxmemory_policy = EvictionPolicy::kAllkeysLru;
  ClusterHarness cluster(3, options);
  const std::size_t first = cluster.primary().value();
  for (int i = 0; i < 3000; ++i)
    cluster.execute(first, {"SET", "k" + std::to_string(i), std::string(200, 'x')});
  cluster.advance_ms(100);
  const auto used = [&](std::size_t i) { return cluster.node(i).state().keyspace.used_bytes(); };
  const std::size_t limit = used(first) / 2;
  for (std::size_t i = 0; i < 3; ++i)
    if (i != first) cluster.call(i, {"CONFIG", "SET", "maxmemory", std::to_string(limit)});
  cluster.advance_ms(100);
  CHECK(used((first + 1) % 3) > limit);
  cluster.kill(first);
  const std::size_t second = cluster.primary().value();
  cluster.advance_ms(200);
  CHECK(used(second) <= limit);
  CHECK(used(second) > limit / 10 * 9);
  cluster.start(first);
  cluster.advance_ms(500);
  CHECK(cluster.digest(first) == cluster.digest(second));
}
