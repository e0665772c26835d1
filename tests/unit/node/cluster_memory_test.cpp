// A cluster whose members keep nothing on disk: every restart is a lost disk.
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/node/cluster_harness.hpp"

namespace holdfast::node {

namespace {

const std::string kNothingSaved =
    "-ERR persistence is off (persistence.enabled: no): the data lives in memory only and nothing "
    "was saved\r\n";

config::Options off(config::Options options = {}) {
  options.persistence.enabled = false;
  return options;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string claim(ClusterHarness& cluster, std::size_t i) {
  const std::string status = cluster.call(i, {"HOLDFAST", "STATUS"});
  const std::size_t at = status.find("\"claim\":\"") + 9;
  return status.substr(at, status.find('"', at) - at);
}

// It has fetched everything and counts.
void wait_sound(ClusterHarness& cluster, std::size_t i) {
  for (int tries = 0; tries < 1000 && claim(cluster, i) != "sound"; ++tries) cluster.advance_ms(10);
  REQUIRE(claim(cluster, i) == "sound");
  cluster.advance_ms(200);
}

// As an operator does it.
void put_into_memory(ClusterHarness& cluster, std::size_t i) {
  cluster.kill(i);
  cluster.set_in_memory(i, true);
  cluster.start(i);
  wait_sound(cluster, i);
}

std::uint64_t memory_bytes(ClusterHarness& cluster, std::size_t i) {
  return cluster.node(i).state().persistence.memory_bytes;
}

}  // namespace

TEST_CASE("members without persistence are killed one after the other and nothing is lost",
          "[cluster]") {
  ClusterHarness cluster(3, off());
  for (int i = 0; i < 6; ++i) {
    const std::size_t primary = cluster.primary().value();
    const std::string number = std::to_string(i);
    REQUIRE(cluster.call(primary, {"SET", "key:" + number, number}) == kOk);
    cluster.kill(primary);
    const std::size_t next = cluster.primary().value();
    CHECK(cluster.call(next, {"GET", "key:" + number}) == "$1\r\n" + number + "\r\n");
    REQUIRE(cluster.call(next, {"SET", "after:" + number, "v"}) == kOk);
    cluster.start(primary);
    CHECK(claim(cluster, primary) != "sound");
    wait_sound(cluster, primary);
    CHECK(cluster.digest(primary) == cluster.digest(cluster.primary().value()));
  }
  CHECK(cluster.call(cluster.primary().value(), {"DBSIZE"}) == ":12\r\n");
  for (std::size_t i = 0; i < 3; ++i) CHECK(cluster.disk(i).paths().empty());
}

TEST_CASE("a restarted member without persistence does not vote before it has met all others",
          "[cluster]") {
  ClusterHarness cluster(3, off());
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  const std::size_t restarted = (primary + 1) % 3;
  const std::size_t other = (primary + 2) % 3;
  cluster.kill(restarted);
  cluster.kill(primary);
  cluster.start(restarted);
  cluster.advance_ms(60'000);
  CHECK(cluster.role(other) == "replica");
  CHECK(cluster.role(restarted) == "replica");
}

TEST_CASE("all members without persistence restarted are an empty cluster that serves again",
          "[cluster]") {
  ClusterHarness cluster(3, off());
  REQUIRE(cluster.call(cluster.primary().value(), {"SET", "k", "v"}) == kOk);
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  for (std::size_t i = 0; i < 3; ++i) cluster.start(i);
  const std::size_t primary = cluster.primary().value();
  CHECK(cluster.call(primary, {"GET", "k"}) == "$-1\r\n");
  CHECK(cluster.call(primary, {"SET", "k", "new"}) == kOk);
}

TEST_CASE("of members of both kinds the one with a disk brings everything back", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t on_disk = cluster.primary().value();
  put_into_memory(cluster, (on_disk + 1) % 3);
  put_into_memory(cluster, (on_disk + 2) % 3);
  REQUIRE(cluster.call(cluster.primary().value(), {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(100);
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  for (std::size_t i = 0; i < 3; ++i) cluster.start(i);
  cluster.advance_ms(1000);
  const std::size_t primary = cluster.primary().value();
  CHECK(primary == on_disk);
  CHECK(cluster.call(primary, {"GET", "k"}) == "$1\r\nv\r\n");
  for (std::size_t i = 0; i < 3; ++i) wait_sound(cluster, i);
  cluster.kill(on_disk);
  CHECK(cluster.call(cluster.primary().value(), {"GET", "k"}) == "$1\r\nv\r\n");
}

TEST_CASE("a deposed primary without persistence undoes what never came to be", "[cluster]") {
  config::Options options;
  options.persistence.snapshot_log_bytes = 5'000;
  ClusterHarness cluster(3, off(options));
  const std::size_t first = cluster.primary().value();
  for (int i = 0; i < 100; ++i)
    REQUIRE(cluster.call(first, {"SET", "key:" + std::to_string(i), std::string(100, 'x')}) == kOk);
  REQUIRE(cluster.node(first).state().persistence.snapshots > 0);
  cluster.isolate(first);
  cluster.execute(first, {"FLUSHALL"});
  cluster.advance_ms(1000);
  const std::size_t second = cluster.primary().value();
  REQUIRE(cluster.call(second, {"SET", "new", "v"}) == kOk);
  cluster.rejoin(first);
  cluster.advance_ms(1000);
  CHECK(cluster.digest(first) == cluster.digest(second));
  CHECK(cluster.call(second, {"DBSIZE"}) == ":101\r\n");
}

TEST_CASE("a log in memory is bounded by snapshots whatever the options say", "[cluster]") {
  config::Options options;
  options.persistence.snapshot_log_bytes = 0;
  options.persistence.snapshot_schedule.rules.clear();
  ClusterHarness cluster(3, off(options));
  const std::size_t primary = cluster.primary().value();
  const std::string value(10'000, 'x');
  constexpr std::uint64_t kWritten = 100'000'000;
  std::uint64_t most = 0;
  for (std::uint64_t written = 0; written < kWritten; written += value.size()) {
    REQUIRE(cluster.call(primary, {"SET", "k", value}) == kOk);
    for (std::size_t i = 0; i < 3; ++i) most = std::max(most, memory_bytes(cluster, i));
  }
  CHECK(most > 30'000'000);
  CHECK(most < 45'000'000);
}

TEST_CASE("in memory there is one snapshot, and none by the clock", "[cluster]") {
  config::Options options;
  options.persistence.snapshot_schedule.rules = {{1, 1}};
  options.persistence.snapshot_log_bytes = 100'000;
  ClusterHarness cluster(3, off(options));
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(10'000);
  CHECK(cluster.node(primary).state().persistence.snapshots == 0);
  for (int i = 0; i < 1'000; ++i)
    REQUIRE(cluster.call(primary, {"SET", "k" + std::to_string(i % 10), std::string(1000, 'x')}) ==
            kOk);
  CHECK(cluster.node(primary).state().persistence.snapshots > 5);
  // One of the log's files, which are freed whole, and next to nothing else.
  CHECK(memory_bytes(cluster, primary) < 1'500'000);
}

TEST_CASE("a member without persistence shows none, though it keeps a log in memory", "[cluster]") {
  config::Options options;
  options.persistence.snapshot_log_bytes = 5'000;
  ClusterHarness cluster(3, off(options));
  const std::size_t primary = cluster.primary().value();
  for (int i = 0; i < 200; ++i)
    REQUIRE(cluster.call(primary, {"SET", "k", std::string(100, 'x')}) == kOk);
  REQUIRE(cluster.node(primary).state().persistence.snapshots > 0);
  cluster.advance_ms(5'000);
  CHECK(cluster.call(primary, {"SAVE"}) == kNothingSaved);
  CHECK(cluster.call(primary, {"BGSAVE"}) == kNothingSaved);
  CHECK(has(cluster.call(primary, {"SHUTDOWN", "SAVE"}), "Persistence is off"));
  CHECK(cluster.call(primary, {"LASTSAVE"}) == ":1700000000\r\n");
  CHECK(has(cluster.call(primary, {"CONFIG", "GET", "appendonly"}), "no"));
  CHECK(cluster.call(primary, {"CONFIG", "SET", "appendfsync", "always"}) == kOk);
  CHECK(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  const std::string info = cluster.call(primary, {"INFO", "persistence"});
  CHECK(has(info, "aof_enabled:0"));
  CHECK(has(info, "rdb_saves:0"));
  CHECK(has(info, "rdb_last_save_time:1700000000"));
  CHECK(has(info, "rdb_last_bgsave_time_sec:-1"));
  CHECK(!has(info, "log_segments"));
  const std::string status = cluster.call(primary, {"HOLDFAST", "STATUS"});
  CHECK(has(status, "\"persistence\":false"));
  CHECK(!has(status, "\"log_and_snapshot_memory_bytes\":0"));
  CHECK(has(cluster.call(primary, {"INFO", "memory"}),
            "mem_log_and_snapshots:" + std::to_string(memory_bytes(cluster, primary))));
}

TEST_CASE("a member with persistence has its log on disk and says so", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  const std::string status = cluster.call(primary, {"HOLDFAST", "STATUS"});
  CHECK(has(status, "\"persistence\":true"));
  CHECK(has(status, "\"log_and_snapshot_memory_bytes\":0"));
  CHECK(!has(cluster.call(primary, {"INFO", "memory"}), "mem_log_and_snapshots"));
}

}  // namespace holdfast::node
