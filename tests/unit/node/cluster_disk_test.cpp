// Disks that hang, fall behind or cannot be read: what members and their clients see.
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/node/cluster_harness.hpp"

namespace holdfast::node {

namespace {

bool says(ClusterHarness& cluster, std::size_t i, const std::string& text) {
  return cluster.call(i, {"HOLDFAST", "STATUS"}).find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a primary whose disk hangs without an error hands over", "[cluster][disk]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "1"}) == "+OK\r\n");
  cluster.hang_disk(first, true);
  REQUIRE(cluster.call(first, {"SET", "k", "2"}) == "+OK\r\n");  // the others persist it
  cluster.advance_ms(4'900);
  REQUIRE(cluster.role(first) == "master");
  cluster.advance_ms(300);
  const std::size_t second = cluster.primary().value();
  REQUIRE(second != first);
  CHECK(cluster.call(second, {"GET", "k"}) == "$1\r\n2\r\n");
  CHECK(cluster.call(second, {"SET", "k", "3"}) == "+OK\r\n");
  CHECK(says(cluster, first, "\"disk_error\":\"the disk does not answer\""));
  cluster.hang_disk(first, false);
  cluster.advance_ms(500);
  CHECK(says(cluster, first, "\"disk_error\":\"\""));
  CHECK(cluster.digest(first) == cluster.digest(second));
}

TEST_CASE("writes wait, and fill no memory, while no majority keeps up", "[cluster][disk]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  for (std::size_t i = 0; i < 3; ++i)
    if (i != primary) cluster.pause(i);
  client::Client& writer = cluster.client(primary);
  const std::string value(12'000, 'x');
  const std::size_t enough = 2 * 128 * 1024 * 1024 / value.size();
  std::size_t written = 0;
  for (; !writer.held && written < enough; ++written) {
    cluster.execute(primary, writer, {"SET", "key:" + std::to_string(written % 100), value});
    if (written % 64 == 0) cluster.settle();
  }
  CHECK(written < enough * 6 / 10);
  CHECK(writer.held);
  CHECK(cluster.node(primary).holds(cluster.now));
  client::Client& reader = cluster.connect(primary);
  cluster.execute(primary, reader, {"GET", "absent"});
  CHECK(cluster.output(primary, reader) == "$-1\r\n");

  for (std::size_t i = 0; i < 3; ++i)
    if (i != primary) cluster.resume(i);
  cluster.settle();
  CHECK_FALSE(cluster.node(primary).holds(cluster.now));
  CHECK(cluster.node(primary).run_one(writer, cluster.now) == Step::kRan);
}

TEST_CASE("with acks async writes are refused in the end when no majority persists any",
          "[cluster][disk]") {
  config::Options options;
  options.cluster.acks = config::Acks::kAsync;
  ClusterHarness cluster(3, options);
  const std::size_t primary = cluster.primary().value();
  cluster.hang_disk((primary + 1) % 3, true);
  cluster.kill((primary + 2) % 3);
  const std::string value(12'000, 'x');
  client::Client& writer = cluster.client(primary);
  for (int written = 0; !writer.held && written < 20'000; ++written) {
    cluster.execute(primary, writer, {"SET", "key:" + std::to_string(written % 100), value});
    if (written % 64 == 0) cluster.settle();
  }
  REQUIRE(writer.held);
  cluster.advance_ms(5'200);
  REQUIRE(cluster.role(primary) == "master");
  CHECK_FALSE(cluster.node(primary).holds(cluster.now));
  client::Client& other = cluster.connect(primary);
  cluster.execute(primary, other, {"SET", "k", "v"});
  CHECK(cluster.output(primary, other).substr(0, 11) == "-NOREPLICAS");
}

TEST_CASE("READONLY is answered about keys whose last entries are void", "[cluster][disk]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "kept"}) == "+OK\r\n");
  cluster.isolate(first);
  for (int i = 0; i < 100; ++i) cluster.execute(first, {"SET", "void:" + std::to_string(i), "v"});
  cluster.advance_ms(1'000);
  REQUIRE(cluster.primary().value() != first);
  cluster.rejoin(first);
  cluster.advance_ms(1'000);
  cluster.reconnect(first);
  REQUIRE(cluster.call(first, {"READONLY"}) == "+OK\r\n");
  CHECK(cluster.call(first, {"GET", "k"}) == "$4\r\nkept\r\n");
  CHECK(cluster.call(first, {"GET", "void:99"}) == "$-1\r\n");
}

TEST_CASE("a member that cannot read back its log ends instead of leading without serving",
          "[cluster][disk]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  const std::string value(12'000, 'x');
  for (int i = 0; i < 1'200; ++i)  // more than the tail that a start keeps at hand
    REQUIRE(cluster.call(first, {"SET", "key:" + std::to_string(i % 100), value}) == "+OK\r\n");
  cluster.advance_ms(100);
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  for (std::size_t i = 0; i < 3; ++i) {
    cluster.start(i);
    cluster.hold_background(i, false);
  }
  for (std::size_t i = 0; i < 3; ++i) cluster.settle();
  for (std::size_t i = 0; i < 3; ++i) cluster.disk(i).set_weather({.read_error = 1'000'000});
  std::string fatal;
  for (int i = 0; i < 2'000 && fatal.empty(); ++i) {
    cluster.advance_ms(5);
    for (std::size_t one = 0; one < 3; ++one) fatal += cluster.effects(one).fatal;
  }
  CHECK(fatal.find("the log cannot be read back: ") != std::string::npos);
}

}  // namespace holdfast::node
