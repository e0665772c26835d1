// What a primary answers reads with: its lease, a majority's word for it, and while it hands over.
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/node/cluster_harness.hpp"

namespace holdfast::node {

namespace {

const std::string kNil = "$-1\r\n";

std::string bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

std::size_t other_than(std::size_t i) {
  return i == 0 ? 1 : 0;
}

config::Options by_quorum() {
  config::Options options;
  options.cluster.reads = config::Reads::kQuorum;
  return options;
}

// Without a majority to ask, by a clock that says what it said before.
std::string reads_in_the_past(config::Options options) {
  ClusterHarness cluster(3, std::move(options));
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "old"}) == kOk);
  const TimePoint before = cluster.now;
  cluster.pause(first);
  cluster.isolate(first);
  const std::size_t second = cluster.primary().value();
  REQUIRE(cluster.call(second, {"SET", "k", "new"}) == kOk);
  const TimePoint after = std::exchange(cluster.now, before);
  cluster.execute(first, {"GET", "k"});
  cluster.node(first).end_turn(before);
  const std::string said = cluster.output(first);
  cluster.now = after;
  cluster.resume(first);
  cluster.rejoin(first);
  cluster.advance_ms(1000);
  REQUIRE(cluster.role(second) == "master");
  CHECK(cluster.output(first).empty());  // nor is it said later
  return said;
}

}  // namespace

TEST_CASE("with reads quorum a read is answered when a majority says that this is the primary",
          "[cluster][reads]") {
  ClusterHarness cluster(3, by_quorum());
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(100);
  for (const char* key : {"k", "absent"}) {
    CAPTURE(key);
    cluster.execute(first, {"GET", key});
    CHECK(cluster.output(first).empty());
    cluster.settle();
    CHECK(cluster.output(first) == (std::string(key) == "k" ? bulk("v") : kNil));
  }
  // What says nothing about data waits for nobody.
  cluster.isolate(first);
  cluster.execute(first, {"PING"});
  CHECK(cluster.output(first) == "+PONG\r\n");
  CHECK(cluster.call(first, {"GET", "k"}).empty());
  cluster.rejoin(first);
  cluster.advance_ms(20);
  CHECK(cluster.output(first) == bulk("v"));
}

TEST_CASE("with reads quorum transactions, conditions that fail and walks are confirmed, too",
          "[cluster][reads]") {
  ClusterHarness cluster(3, by_quorum());
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  REQUIRE(cluster.call(first, {"MULTI"}) == kOk);
  REQUIRE(cluster.call(first, {"GET", "k"}) == "+QUEUED\r\n");
  cluster.isolate(first);
  CHECK(cluster.call(first, {"EXEC"}).empty());
  cluster.rejoin(first);
  cluster.advance_ms(20);
  REQUIRE(cluster.output(first) == "*1\r\n" + bulk("v"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"SET", "k", "w", "NX"}, {"DBSIZE"}, {"DEL", "absent"}}) {
    CAPTURE(words[0]);
    cluster.execute(first, words);
    CHECK(cluster.output(first).empty());
    cluster.settle();
    CHECK_FALSE(cluster.output(first).empty());
  }
}

TEST_CASE("a primary whose clock stands still answers no read with reads quorum",
          "[cluster][reads]") {
  CHECK(reads_in_the_past(by_quorum()).empty());
  // A lease is as good as the clock: so this test sees what it is about.
  CHECK(reads_in_the_past({}) == bulk("old"));
}

TEST_CASE("a disk that fails lets no read leave that a majority has not confirmed",
          "[cluster][reads]") {
  ClusterHarness cluster(3, by_quorum());
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  cluster.isolate(first);
  cluster.disk(first).set_weather({.write_error = 1'000'000, .sync_error = 1'000'000});
  CHECK(cluster.call(first, {"GET", "k"}).empty());
  CHECK(cluster.call(first, {"SET", "k", "w"}).empty());
  REQUIRE(cluster.call(first, {"HOLDFAST", "STATUS"}).empty());  // behind the others
  CHECK_FALSE(cluster.node(first).state().persistence.disk_error.empty());
  CHECK(cluster.output(first).empty());
}

TEST_CASE("with reads quorum a replica answers who says READONLY", "[cluster][reads]") {
  ClusterHarness cluster(3, by_quorum());
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(100);
  const std::size_t replica = other_than(first);
  REQUIRE(cluster.call(replica, {"READONLY"}) == kOk);
  CHECK(cluster.call(replica, {"GET", "k"}) == bulk("v"));
}

TEST_CASE("reads go on while FAILOVER waits for its target, writes wait", "[cluster][reads]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  const std::size_t target = other_than(first);
  cluster.pause(target);
  REQUIRE(cluster.call(first, {"SET", "k", "w"}) == kOk);  // the target lacks it
  REQUIRE(cluster.call(first, {"FAILOVER", "TO", "127.0.0.1", std::to_string(7001 + target),
                               "TIMEOUT", "10000"}) == kOk);
  cluster.advance_ms(50);
  CHECK(cluster.call(first, {"GET", "k"}) == bulk("w"));
  CHECK(cluster.call(first, {"SET", "k", "x"}).empty());
  CHECK(cluster.client(first).held);
  cluster.resume(target);
  cluster.advance_ms(50);
  CHECK(cluster.primary().value() == target);
}

TEST_CASE("an overdue key is not said to be gone while FAILOVER lets nothing be deleted",
          "[cluster][reads]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  const std::size_t target = other_than(first);
  REQUIRE(cluster.call(first, {"CLIENT", "REPLY", "OFF"}).empty());
  REQUIRE(cluster.call(first, {"CLIENT", "REPLY", "ON"}) == kOk);
  cluster.pause(target);
  REQUIRE(cluster.call(first, {"SET", "k", "v", "PX", "50"}) == kOk);
  REQUIRE(cluster.call(first, {"FAILOVER", "TO", "127.0.0.1", std::to_string(7001 + target),
                               "TIMEOUT", "300"}) == kOk);
  cluster.advance_ms(60);
  CHECK(cluster.call(first, {"GET", "k"}).empty());
  CHECK(cluster.client(first).held);
  cluster.advance_ms(300);  // the hand-over has failed
  REQUIRE(cluster.role(first) == "master");
  cluster.execute(first, {"PING"});
  cluster.settle();
  CHECK(cluster.output(first) == kNil + "+PONG\r\n");
}

}  // namespace holdfast::node
