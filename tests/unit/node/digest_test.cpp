// Digests: of the data as a client asks, and of every member at a marker in the log.
#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "tests/unit/node/cluster_harness.hpp"
#include "tests/unit/node/storage_fixture.hpp"

namespace holdfast::node {

namespace {

// More than a slice of the background's work.
constexpr int kKeys = 3000;

// In the text of a reply, what stands between the two.
std::string between(const std::string& text, std::string_view begin, std::string_view end) {
  const std::size_t from = text.find(begin);
  REQUIRE(from != std::string::npos);
  const std::size_t at = from + begin.size();
  return text.substr(at, text.find(end, at) - at);
}

std::string digest_in(const std::string& reply) {
  return between(reply, "\"digest\":\"", "\"");
}

std::string marked_in(const std::string& status) {
  return between(status, "\"marked_digests\":[", "]");
}

std::string taken(const std::string& digest, std::int64_t index, int keys) {
  return "{\"digest\":\"" + digest + "\",\"index\":" + std::to_string(index) +
         ",\"keys\":" + std::to_string(keys) + ",\"state\":\"taken\"}";
}

std::string skipped(std::int64_t index) {
  return "{\"index\":" + std::to_string(index) + ",\"state\":\"skipped\"}";
}

std::int64_t integer_in(const std::string& reply) {
  REQUIRE(reply[0] == ':');
  return std::stol(reply.substr(1));
}

class Marked : public ClusterHarness {
 public:
  Marked() : ClusterHarness(3) {
    primary_ = primary().value();
    for (int i = 0; i < kKeys; ++i) write(i, "v");
    settle();
    output(primary_);
    advance_ms(100);
  }

  std::size_t first() const { return primary_; }
  std::size_t replica() const { return (primary_ + 1) % 3; }
  void write(int i, const std::string& value) {
    execute(primary_, {"SET", "key:" + std::to_string(i), value});
  }
  std::string marked(std::size_t i) { return marked_in(call(i, {"HOLDFAST", "STATUS"})); }

 private:
  std::size_t primary_ = 0;
};

}  // namespace

TEST_CASE("all members take the same digest at a marker, whatever is written behind it",
          "[digest]") {
  Marked cluster;
  const std::string before = digest_in(cluster.digest(cluster.first()));
  cluster.execute(cluster.first(), {"HOLDFAST", "MARK"});
  for (int i = 0; i < kKeys; ++i) cluster.write(i, "other");
  cluster.settle();
  const std::int64_t index = integer_in(cluster.output(cluster.first()));
  cluster.advance_ms(100);
  for (std::size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK(cluster.marked(i) == taken(before, index, kKeys));
    CHECK(digest_in(cluster.digest(i)) != before);
  }
}

TEST_CASE("a member skips a marker that comes during another walk over its data", "[digest]") {
  Marked cluster;
  const std::string digest = digest_in(cluster.digest(cluster.first()));
  cluster.pause(cluster.replica());
  const std::int64_t first = integer_in(cluster.call(cluster.first(), {"HOLDFAST", "MARK"}));
  const std::string all = taken(digest, first, kKeys);
  cluster.advance_ms(50);
  cluster.execute(cluster.replica(), {"HOLDFAST", "DIGEST"});
  cluster.node(cluster.replica()).background(cluster.now, 100);  // it begins
  cluster.resume(cluster.replica());
  cluster.settle();
  CHECK(digest_in(cluster.output(cluster.replica())) == digest);
  cluster.advance_ms(50);
  for (std::size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK(cluster.marked(i) == (i == cluster.replica() ? skipped(first) : all));
  }

  SECTION("and takes the next") {
    const std::int64_t second = integer_in(cluster.call(cluster.first(), {"HOLDFAST", "MARK"}));
    cluster.advance_ms(50);
    CHECK(cluster.marked(cluster.replica()) == skipped(first) + "," + taken(digest, second, kKeys));
  }
  SECTION("which may be the one before's") {
    cluster.execute(cluster.first(), {"HOLDFAST", "MARK"});
    cluster.execute(cluster.first(), {"HOLDFAST", "MARK"});
    cluster.settle();
    cluster.output(cluster.first());
    cluster.advance_ms(50);
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(
          cluster.marked(i).ends_with(taken(digest, first + 1, kKeys) + "," + skipped(first + 2)));
  }
}

TEST_CASE("the last four markers are kept", "[digest]") {
  Marked cluster;
  const std::string digest = digest_in(cluster.digest(cluster.first()));
  std::string all;
  for (int i = 0; i < 6; ++i) {
    const std::int64_t index = integer_in(cluster.call(cluster.first(), {"HOLDFAST", "MARK"}));
    cluster.advance_ms(50);
    if (i >= 2) all += (all.empty() ? "" : ",") + taken(digest, index, kKeys);
  }
  for (std::size_t i = 0; i < 3; ++i) CHECK(cluster.marked(i) == all);
}

TEST_CASE("a deposed primary forgets what it took at a marker that never came to be", "[digest]") {
  Marked cluster;
  const std::size_t first = cluster.first();
  cluster.isolate(first);
  cluster.execute(first, {"HOLDFAST", "MARK"});
  SECTION("when it was taken") {
    cluster.settle();
    cluster.reconnect(first);  // the reply to MARK waits, and so would all behind it
    CHECK(cluster.marked(first).find("taken") != std::string::npos);
  }
  SECTION("when it was under way") {
    cluster.node(first).background(cluster.now, 100);
  }
  cluster.pause(first);
  const std::size_t second = cluster.primary().value();
  cluster.rejoin(first);
  cluster.resume(first);
  cluster.advance_ms(1000);
  CHECK(cluster.marked(first).empty());
  REQUIRE(cluster.call(second, {"SET", "k", "v"}) == kOk);
  const std::int64_t index = integer_in(cluster.call(second, {"HOLDFAST", "MARK"}));
  cluster.advance_ms(100);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(cluster.marked(i) == taken(digest_in(cluster.digest(second)), index, kKeys + 1));
}

TEST_CASE("a marker is a write: a replica refuses it, and a transaction takes none", "[digest]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  CHECK(cluster.call((primary + 1) % 3, {"HOLDFAST", "MARK"}).substr(0, 9) == "-READONLY");
  CHECK(cluster.call(primary, {"MULTI"}) == kOk);
  CHECK(cluster.call(primary, {"HOLDFAST", "MARK"}) ==
        "-ERR Command not allowed inside a transaction\r\n");
}

TEST_CASE("a server alone takes a digest at a marker, too", "[digest]") {
  Harness server;
  const auto rest = [&] {
    for (int i = 0; i < 10; ++i) server.node.background(server.now, 100);
    server.run(*server.client);
    return server.output(*server.client);
  };
  server.call({"SET", "k", "v"});
  server.call({"HOLDFAST", "DIGEST"});
  const std::string digest = digest_in(rest());
  CHECK(server.call({"HOLDFAST", "MARK"}) == ":2\r\n");
  server.call({"SET", "k", "other"});
  rest();
  CHECK(marked_in(server.call({"HOLDFAST", "STATUS"})) == taken(digest, 2, 1));
}

TEST_CASE("a snapshot that fails when it is told leaves a digest under way alone", "[digest]") {
  StorageHarness harness;
  harness.start_empty();
  for (int i = 0; i < kKeys; ++i) harness.call({"SET", "key:" + std::to_string(i), "v"});
  harness.persist();
  harness.output(*harness.client);
  const auto digest = [&] {
    for (int i = 0; i < 10; ++i) harness.requests();
    harness.run(*harness.client);
    return harness.output(*harness.client);
  };
  harness.call({"HOLDFAST", "DIGEST"});
  const std::string right = digest();
  harness.call({"BGSAVE"});
  while (harness.requests_of<log::FinishSnapshotRequest>().empty()) {
  }
  harness.output(*harness.client);
  harness.call({"HOLDFAST", "DIGEST"});
  harness.node.background(harness.now, 100);
  harness.tell(log::SnapshotFailed{"ENOSPC"});
  CHECK(digest() == right);
}

}  // namespace holdfast::node
