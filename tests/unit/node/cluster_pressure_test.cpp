// A cluster whose members lag or whose disks fail: what is bounded, and what is said.
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/node/cluster_harness.hpp"

namespace holdfast::node {

namespace {

const std::string kNoReplicas = "-NOREPLICAS Not enough good replicas to write.\r\n";

sim::SimDisk::Weather failing_writes() {
  return {.write_error = 1'000'000, .sync_error = 1'000'000};
}

bool says(ClusterHarness& cluster, std::size_t i, const std::string& text) {
  return cluster.call(i, {"HOLDFAST", "STATUS"}).find(text) != std::string::npos;
}

std::uint64_t applied_by(ClusterHarness& cluster, std::size_t i) {
  const std::string status = cluster.call(i, {"HOLDFAST", "STATUS"});
  const std::string name = "\"applied_index\":";
  return std::stoull(status.substr(status.find(name) + name.size()));
}

}  // namespace

TEST_CASE("one sound, one whose disk fails, one away: writes are refused, not held for ever",
          "[cluster][pressure]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  const std::size_t failing = (primary + 1) % 3;
  const std::size_t away = (primary + 2) % 3;
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(100);
  cluster.disk(failing).set_weather(failing_writes());
  cluster.kill(away);
  CHECK(cluster.call(primary, {"SET", "waits", "1"}).empty());
  cluster.advance_ms(4'900);
  CHECK(cluster.output(primary).empty());
  cluster.effects(primary);
  cluster.advance_ms(200);
  std::string said;
  for (const commands::LogLine& line : cluster.effects(primary).log_lines) said += line.text + "\n";
  CHECK(said.find("writes are refused with NOREPLICAS") != std::string::npos);
  CHECK(said.find("(not connected)") != std::string::npos);

  cluster.reconnect(primary);
  CHECK(cluster.call(primary, {"SET", "refused", "1"}) == kNoReplicas);
  CHECK(cluster.call(primary, {"GET", "k"}) == "$1\r\nv\r\n");
  CHECK(says(cluster, primary, "\"stalled\":true"));
  REQUIRE(cluster.call(primary, {"MULTI"}) == kOk);
  CHECK(cluster.call(primary, {"SET", "refused", "1"}) == kNoReplicas);
  CHECK(cluster.call(primary, {"EXEC"}) ==
        "-EXECABORT Transaction discarded because of previous errors.\r\n");

  cluster.disk(failing).set_weather({});
  cluster.advance_ms(3'000);
  CHECK(says(cluster, primary, "\"stalled\":false"));
  CHECK(cluster.call(primary, {"GET", "waits"}) == "$1\r\n1\r\n");
  CHECK(cluster.call(primary, {"SET", "taken", "1"}) == kOk);
  CHECK(cluster.call(primary, {"GET", "refused"}) == "$-1\r\n");
}

TEST_CASE("with acks async writes go on without a majority's disks", "[cluster][pressure]") {
  config::Options options;
  options.cluster.acks = config::Acks::kAsync;
  ClusterHarness cluster(3, options);
  const std::size_t primary = cluster.primary().value();
  cluster.disk((primary + 1) % 3).set_weather(failing_writes());
  cluster.kill((primary + 2) % 3);
  CHECK(cluster.call(primary, {"SET", "k", "1"}) == kOk);
  cluster.advance_ms(6'000);
  REQUIRE(cluster.role(primary) == "master");
  CHECK(cluster.call(primary, {"SET", "k", "2"}) == kOk);
}

TEST_CASE("what is committed while a member reloads does not pile up in its memory",
          "[cluster][pressure]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "kept", "PX", "3600000"}) == kOk);
  cluster.advance_ms(100);
  cluster.isolate(first);
  cluster.execute(first, {"SET", "k", "void"});
  cluster.hold_background(first, true);  // the reload does not get on
  cluster.advance_ms(600);
  REQUIRE(says(cluster, first, "\"loading\":true"));
  const std::size_t second = cluster.primary().value();
  cluster.rejoin(first);
  cluster.advance_ms(100);
  const std::uint64_t before = applied_by(cluster, first);
  const std::string value(12'000, 'x');
  // Less than is kept.
  for (int i = 0; i < 100; ++i)
    REQUIRE(cluster.call(second, {"SET", "key:" + std::to_string(i), value}) == kOk);
  cluster.advance_ms(100);
  CHECK(applied_by(cluster, first) == before);
  for (int i = 0; i < 1'500; ++i)
    REQUIRE(cluster.call(second, {"SET", "key:" + std::to_string(i), value}) == kOk);
  cluster.advance_ms(100);
  REQUIRE(says(cluster, first, "\"loading\":true"));
  // It is to be read from the log, then.
  CHECK(applied_by(cluster, first) > before + 1'000);
  cluster.hold_background(first, false);
  cluster.advance_ms(1'000);
  REQUIRE(says(cluster, first, "\"loading\":false"));
  CHECK(cluster.digest(first) == cluster.digest(second));
  CHECK(cluster.digest(first).find("\"keys\":1501") != std::string::npos);
}

}  // namespace holdfast::node
