#include "replication/transport/peer_network.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/transport/cluster.hpp"

namespace holdfast::transport::test {

namespace {

using Events = std::vector<std::string>;

// Member 1 (dials) and member 2 (listens), linked.
struct Linked {
  explicit Linked(LinkLimits limits = {}) : one(io, member(1), limits), two(io, member(2), limits) {
    one.listen();
    one.knows(NodeId{2}, two.listen());
    one.network().dial();
    REQUIRE(run_until(io, [&] { return one.connects == 1 && two.connects == 1; }));
  }

  asio::io_context io;
  Member one;
  Member two;
};

wire::Message bulk(std::size_t byte_count) {
  wire::SnapshotChunk chunk;
  chunk.bytes = Rope::copy_of(std::string(byte_count, 's'));
  return {Term{1}, 0, std::move(chunk)};
}

}  // namespace

TEST_CASE("members find each other, and what they say arrives in order", "[peer_network]") {
  asio::io_context io;
  Member one(io, member(1));
  Member two(io, member(2));
  Member three(io, member(3));
  one.listen();
  const std::uint16_t port_two = two.listen();
  const std::uint16_t port_three = three.listen();
  one.knows(NodeId{2}, port_two);
  one.knows(NodeId{3}, port_three);
  two.knows(NodeId{3}, port_three);
  for (Member* each : {&one, &two, &three}) each->network().dial();
  const std::vector<Member*> all{&one, &two, &three};
  REQUIRE(run_until(io, [&] {
    return std::all_of(all.begin(), all.end(), [](const Member* m) { return m->connects == 2; });
  }));
  for (Member* each : all) each->events.clear();

  for (std::uint64_t round = 1; round <= 3; ++round)
    REQUIRE(one.network().send(NodeId{3}, heartbeat(round)));
  one.network().flush();
  CHECK(three.says(NodeId{1}, 9));
  REQUIRE(run_until(io, [&] { return three.received == 3 && one.received == 1; }));
  CHECK(three.events == Events{"1 says 1", "1 says 2", "1 says 3"});
  CHECK(one.events == Events{"3 says 9"});
  CHECK(two.events.empty());

  const std::vector<PeerState> peers = one.network().peers();
  REQUIRE(peers.size() == 2);
  CHECK(peers[0].name == "ben");
  CHECK(peers[0].is_connected);
  CHECK(peers[1].id == NodeId{3});
}

TEST_CASE("nothing leaves before the flush", "[peer_network]") {
  Linked cluster;
  REQUIRE(cluster.one.network().send(NodeId{2}, heartbeat(1)));
  CHECK(cluster.one.network().peers()[0].queued_bytes > 0);
  cluster.one.network().flush();
  CHECK(cluster.one.network().peers()[0].queued_bytes == 0);
  CHECK(run_until(cluster.io, [&] { return cluster.two.received == 1; }));
}

TEST_CASE("to a peer without a link nothing is sent", "[peer_network]") {
  asio::io_context io;
  Member one(io, member(1));
  CHECK_FALSE(one.network().send(NodeId{3}, heartbeat(1)));
  CHECK_FALSE(one.network().peers()[1].is_connected);
}

TEST_CASE("what has arrived can be drained without the loop", "[peer_network]") {
  Linked cluster;
  // More than one visit takes.
  for (int i = 0; i < 3; ++i) REQUIRE(cluster.one.network().send(NodeId{2}, bulk(100'000)));
  cluster.one.says(NodeId{2}, 4);
  cluster.two.keep_messages = false;
  const core::MonoTime sent = boot_time();
  for (int i = 0; i < 1000 && cluster.two.received < 4; ++i) {
    cluster.one.network().flush();
    cluster.two.network().drain();
  }
  CHECK(cluster.two.received == 4);
  CHECK(cluster.two.network().drain());
  CHECK(std::all_of(cluster.two.times.begin(), cluster.two.times.end(),
                    [&](core::MonoTime now) { return now >= sent; }));
}

TEST_CASE("large messages pass whole, whatever the socket takes at once", "[peer_network]") {
  Linked cluster;
  cluster.two.keep_messages = false;
  for (int i = 0; i < 20; ++i)
    REQUIRE(cluster.one.network().send(NodeId{2}, bulk(wire::kPayloadBytesMax)));
  cluster.one.network().flush();
  CHECK(run_until(cluster.io, [&] { return cluster.two.received == 20; }));
  CHECK(cluster.one.network().peers()[0].queued_bytes == 0);
}

TEST_CASE("a member that restarts is linked again", "[peer_network]") {
  Linked cluster;
  const std::uint16_t port = cluster.two.network().port();
  cluster.two.stop();
  REQUIRE(run_until(cluster.io, [&] { return cluster.one.logged("peer not reached node=2"); }));
  CHECK(cluster.one.events == Events{"connected 2", "lost 2"});
  CHECK_FALSE(cluster.one.says(NodeId{2}, 1));
  CHECK_FALSE(cluster.one.network().peers()[0].last_failure.empty());

  // At another address, as a container that was replaced.
  Member again(cluster.io, member(2));
  const std::uint16_t new_port = again.listen();
  CHECK(new_port != port);
  cluster.one.knows(NodeId{2}, new_port);
  REQUIRE(run_until(cluster.io, [&] { return again.connects == 1; }));
  REQUIRE(run_until(cluster.io, [&] { return cluster.one.connects == 2; }));
  CHECK(cluster.one.says(NodeId{2}, 5));
  REQUIRE(run_until(cluster.io, [&] { return again.received == 1; }));
  CHECK(again.events == Events{"connected 1", "1 says 5"});
}

TEST_CASE("a name is resolved, and one that has no address is told", "[peer_network]") {
  asio::io_context io;
  Member one(io, member(1));
  Member two(io, member(2));
  one.listen();
  const std::uint16_t port = two.listen();
  one.network().set_address(NodeId{2}, {"no-such-name.invalid", port});
  one.network().dial();
  REQUIRE(run_until(io, [&] { return one.logged("cannot resolve the name"); }));
  one.network().set_address(NodeId{2}, {"localhost", port});
  CHECK(run_until(io, [&] { return one.connects == 1 && two.connects == 1; }));
}

TEST_CASE("a peer that does not read is given up once its queue is full", "[peer_network]") {
  LinkLimits limits;
  limits.queue_bytes_max = std::size_t{8} << 20;
  Linked cluster(limits);
  // Nobody runs the reader's loop: the kernel's buffers fill, then the queue.
  int sent = 0;
  while (sent < 100 && cluster.one.network().send(NodeId{2}, bulk(wire::kPayloadBytesMax))) {
    cluster.one.network().flush();
    CHECK(cluster.one.network().peers()[0].queued_bytes <= limits.queue_bytes_max);
    ++sent;
  }
  CHECK(sent >= 8);
  CHECK(sent < 100);
  CHECK(cluster.one.events == Events{"connected 2"});  // told later, not from within send
  cluster.two.keep_messages = false;
  REQUIRE(run_until(cluster.io, [&] { return cluster.one.events.size() >= 2; }));
  CHECK(cluster.one.events[1] == "lost 2");
  CHECK(cluster.one.logged("reason=reads_too_slowly"));
}

TEST_CASE("after stop nothing is heard any more", "[peer_network]") {
  Linked cluster;
  cluster.one.says(NodeId{2}, 1);
  cluster.two.network().stop();
  cluster.two.events.clear();
  REQUIRE(run_until(cluster.io, [&] { return cluster.one.events.size() == 2; }));
  CHECK(cluster.two.events.empty());
  CHECK_FALSE(cluster.two.says(NodeId{1}, 1));
}

TEST_CASE("what goes over the links is counted, also of those that have ended", "[peer_network]") {
  Linked test;
  const std::uint64_t before = test.two.network().traffic().input_bytes;
  REQUIRE(test.one.network().send(NodeId{2}, bulk(100'000)));
  test.one.network().flush();
  test.two.keep_messages = false;
  REQUIRE(run_until(test.io, [&] { return test.two.received == 1; }));
  const std::uint64_t sent = test.one.network().traffic().output_bytes;
  CHECK(sent > 100'000);
  CHECK(sent < 101'000);
  CHECK(test.two.network().traffic().input_bytes - before == sent);
  CHECK(test.two.network().traffic().output_bytes == 0);
  test.one.stop();
  REQUIRE(run_until(test.io, [&] { return test.two.events.back() == "lost 1"; }));
  CHECK(test.two.network().traffic().input_bytes - before == sent);
}

}  // namespace holdfast::transport::test
