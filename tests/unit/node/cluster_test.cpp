// Whole nodes as a cluster: what clients are told, what survives, and what is undone.
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/node/cluster_harness.hpp"

namespace holdfast::node {

namespace {

const std::string kReadOnly = "-READONLY You can't write against a read only replica.\r\n";
const std::string kMasterDown =
    "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n";

std::string bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

std::size_t other_than(std::size_t i) {
  return i == 0 ? 1 : 0;
}

}  // namespace

TEST_CASE("a write is answered when a majority holds it, and is on all members soon", "[cluster]") {
  ClusterHarness cluster(3);
  const auto primary = cluster.primary();
  REQUIRE(primary);
  cluster.execute(*primary, {"SET", "k", "v"});
  CHECK(cluster.output(*primary).empty());  // executed, held by nobody else
  cluster.settle();
  CHECK(cluster.output(*primary) == kOk);
  cluster.advance_ms(100);
  const std::string digest = cluster.digest(0);
  CHECK(digest.find("\"keys\":1") != std::string::npos);
  CHECK(cluster.digest(1) == digest);
  CHECK(cluster.digest(2) == digest);
}

TEST_CASE("a write without a majority is never answered", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  cluster.isolate(primary);
  cluster.execute(primary, {"SET", "k", "v"});
  cluster.settle();
  CHECK(cluster.output(primary).empty());
}

TEST_CASE("with acks async a write is answered at once", "[cluster]") {
  config::Options options;
  options.cluster.acks = config::Acks::kAsync;
  ClusterHarness cluster(3, options);
  const std::size_t primary = cluster.primary().value();
  cluster.isolate(primary);
  cluster.execute(primary, {"SET", "k", "v"});
  CHECK(cluster.output(primary) == kOk);
}

TEST_CASE("a replica refuses as Redis does, and reads for who says READONLY", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  REQUIRE(cluster.call(primary, {"SET", "gone", "v", "PX", "50"}) == kOk);
  cluster.advance_ms(30);
  const std::size_t replica = other_than(primary);
  CHECK(cluster.call(replica, {"SET", "k", "w"}) == kReadOnly);
  CHECK(cluster.call(replica, {"GET", "k"}) == kMasterDown);
  CHECK(cluster.call(replica, {"DBSIZE"}) == kMasterDown);
  CHECK(cluster.call(replica, {"PING"}) == "+PONG\r\n");
  CHECK(cluster.call(replica, {"MULTI"}) == kOk);
  CHECK(cluster.call(replica, {"SET", "k", "w"}) == kReadOnly);
  CHECK(cluster.call(replica, {"EXEC"}).substr(0, 10) == "-EXECABORT");
  CHECK(cluster.call(replica, {"READONLY"}) == kOk);
  CHECK(cluster.call(replica, {"GET", "k"}) == bulk("v"));
  CHECK(cluster.call(replica, {"SET", "k", "w"}) == kReadOnly);
  cluster.advance_ms(50);
  CHECK(cluster.call(replica, {"GET", "gone"}) == kNull);
  CHECK(cluster.call(replica, {"READWRITE"}) == kOk);
  CHECK(cluster.call(replica, {"GET", "k"}) == kMasterDown);
}

TEST_CASE("a killed primary is replaced, and what it answered is there", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  cluster.kill(first);
  const std::size_t second = cluster.primary().value();
  REQUIRE(second != first);
  CHECK(cluster.call(second, {"GET", "k"}) == bulk("v"));
  REQUIRE(cluster.call(second, {"SET", "k", "w"}) == kOk);
  cluster.start(first);
  cluster.advance_ms(500);
  CHECK(cluster.digest(first) == cluster.digest(second));
}

TEST_CASE("a deposed primary undoes what never came to be", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  const bool has_snapshot = GENERATE(false, true);
  REQUIRE(cluster.call(first, {"SET", "k", "kept"}) == kOk);
  REQUIRE(cluster.call(first, {"HSET", "h", "f", "kept"}) == ":1\r\n");
  if (has_snapshot) {
    REQUIRE(cluster.call(first, {"BGSAVE"}) == "+Background saving started\r\n");
    REQUIRE(cluster.call(first, {"SET", "behind", "kept"}) == kOk);
  }
  cluster.isolate(first);
  cluster.execute(first, {"SET", "k", "void"});
  cluster.execute(first, {"FLUSHALL"});
  cluster.effects(first);
  cluster.advance_ms(1000);
  CHECK(cluster.output(first).empty());
  CHECK(cluster.role(first) == "replica");
  const auto effects = cluster.effects(first);
  REQUIRE(effects.close.size() == 1);
  CHECK(effects.close.front().reason == "authority_lost");
  const std::size_t second = cluster.primary().value();
  REQUIRE(cluster.call(second, {"SET", "new", "v"}) == kOk);
  cluster.rejoin(first);
  cluster.advance_ms(1000);
  CHECK(cluster.digest(first) == cluster.digest(second));
  CHECK(cluster.call(second, {"GET", "k"}) == bulk("kept"));
}

TEST_CASE("a primary that hears nobody answers no reads and says no longer that it is master",
          "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  CHECK(cluster.call(first, {"ROLE"}).find("master") != std::string::npos);
  cluster.isolate(first);
  cluster.advance_ms(120);  // longer than the lease, shorter than an election timeout
  CHECK(cluster.call(first, {"ROLE"}).find("slave") != std::string::npos);
  CHECK(cluster.call(first, {"GET", "k"}).empty());
  CHECK(cluster.client(first).held);
  cluster.rejoin(first);
  cluster.advance_ms(20);
  if (cluster.role(first) == "master") {  // nobody had suspected it yet
    cluster.execute(first, {"PING"});
    CHECK(cluster.output(first) == bulk("v") + "+PONG\r\n");
  }
}

TEST_CASE("a held request is refused when authority is lost, as it was not carried out",
          "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  cluster.isolate(first);
  cluster.advance_ms(120);
  cluster.execute(first, {"SET", "k", "v"});
  REQUIRE(cluster.client(first).held);
  cluster.advance_ms(1000);
  CHECK(cluster.output(first) == kReadOnly);
  CHECK(cluster.client(first).fate == client::Fate::kCloseAfterReply);
}

TEST_CASE("a member with a wiped disk recovers by a snapshot", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  for (int i = 0; i < 300; ++i) {
    REQUIRE(cluster.call(primary, {"SET", "key:" + std::to_string(i), std::string(100, 'x')}) ==
            kOk);
  }
  // The log's beginning is gone when the oldest of five snapshots is behind it.
  for (int i = 0; i < 6; ++i) {
    REQUIRE(cluster.call(primary, {"SET", "k", std::to_string(i)}) == kOk);
    REQUIRE(cluster.call(primary, {"BGSAVE"}) == "+Background saving started\r\n");
    cluster.advance_ms(100);
  }
  const std::size_t wiped = other_than(primary);
  cluster.kill(wiped);
  // It cannot come from the primary's memory either.
  cluster.kill(primary);
  cluster.start(primary);
  cluster.start(wiped, true);
  const std::size_t now_primary = cluster.primary().value();
  REQUIRE(now_primary != wiped);
  cluster.advance_ms(3000);
  CHECK(cluster.digest(wiped) == cluster.digest(now_primary));
  CHECK(cluster.digest(wiped).find("\"keys\":301") != std::string::npos);
}

TEST_CASE("FAILOVER hands over without losing or failing a write", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  const std::size_t target = other_than(first);
  CHECK(cluster.call(target, {"FAILOVER"}) ==
        "-ERR FAILOVER is not valid when server is a replica.\r\n");
  CHECK(cluster.call(first, {"FAILOVER", "TO", "127.0.0.1", "9"}) ==
        "-ERR FAILOVER target HOST and PORT is not a replica.\r\n");
  CHECK(cluster.call(first, {"FAILOVER", "ABORT"}) == "-ERR No failover in progress.\r\n");
  REQUIRE(cluster.call(first, {"FAILOVER", "TO", "127.0.0.1", std::to_string(7001 + target)}) ==
          kOk);
  cluster.advance_ms(50);
  CHECK(cluster.primary().value() == target);
  CHECK(cluster.call(target, {"GET", "k"}) == bulk("v"));
}

TEST_CASE("WAIT counts the members that have the connection's last write", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(50);
  CHECK(cluster.call(primary, {"WAIT", "2", "0"}) == ":2\r\n");
  const std::size_t away = other_than(primary);
  cluster.kill(away);
  REQUIRE(cluster.call(primary, {"SET", "k", "w"}) == kOk);
  CHECK(cluster.call(primary, {"WAIT", "2", "200"}).empty());
  cluster.advance_ms(300);
  CHECK(cluster.output(primary) == ":1\r\n");
}

TEST_CASE("WAIT counts for writes whose replies nobody wanted", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  cluster.advance_ms(50);
  for (std::size_t i = 0; i < 3; ++i)
    if (i != primary) cluster.pause(i);
  cluster.execute(primary, {"CLIENT", "REPLY", "OFF"});
  cluster.execute(primary, {"SET", "k", "v"});
  cluster.execute(primary, {"CLIENT", "REPLY", "ON"});
  CHECK(cluster.call(primary, {"WAIT", "2", "0"}) == kOk);  // of REPLY ON
  for (std::size_t i = 0; i < 3; ++i)
    if (i != primary) cluster.resume(i);
  cluster.settle();
  CHECK(cluster.output(primary) == ":2\r\n");
}

TEST_CASE("WAIT and FAILOVER are answered by a primary that was busy for longer than its lease",
          "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(50);
  cluster.now.mono_us += 250'000;
  cluster.now.unix_ms += 250;
  REQUIRE(cluster.role(primary) == "replica");  // it cannot be sure at this moment
  cluster.execute(primary, {"WAIT", "2", "0"});
  CHECK(cluster.output(primary) == ":2\r\n");
  cluster.execute(primary, {"FAILOVER"});
  CHECK(cluster.output(primary) == kOk);
}

TEST_CASE("RESET ends READONLY, and the list of clients shows it", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t replica = other_than(cluster.primary().value());
  cluster.advance_ms(50);
  REQUIRE(cluster.call(replica, {"READONLY"}) == kOk);
  REQUIRE(cluster.call(replica, {"GET", "k"}) == "$-1\r\n");
  CHECK(cluster.call(replica, {"CLIENT", "INFO"}).find(" flags=r ") != std::string::npos);
  CHECK(cluster.call(replica, {"RESET"}) == "+RESET\r\n");
  CHECK(cluster.call(replica, {"GET", "k"}).substr(0, 11) == "-MASTERDOWN");
  CHECK(cluster.call(replica, {"CLIENT", "INFO"}).find(" flags=N ") != std::string::npos);
}

TEST_CASE("a member that lacks data says LOADING until it has found the others", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(100);
  const std::size_t away = other_than(primary);
  cluster.kill(away);
  for (std::size_t i = 0; i < 3; ++i)
    if (i != away) cluster.cut(away, i);
  cluster.start(away, true);
  cluster.advance_ms(100);
  CHECK(cluster.call(away, {"GET", "k"}).substr(0, 8) == "-LOADING");
  CHECK(cluster.call(away, {"SET", "k", "w"}).substr(0, 8) == "-LOADING");
  CHECK(cluster.call(away, {"PING"}) == "+PONG\r\n");
  cluster.rejoin(away);
  cluster.advance_ms(1'000);
  CHECK(cluster.call(away, {"SET", "k", "w"}).substr(0, 9) == "-READONLY");
}

TEST_CASE("who is blocked in WAIT is shown as such, and CLIENT UNBLOCK ends it", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(50);
  const std::string blocked = std::to_string(cluster.client(primary).id.value);
  client::Client& other = cluster.connect(primary);
  const auto ask = [&](const std::vector<std::string>& words) {
    cluster.execute(primary, other, words);
    return cluster.output(primary, other);
  };
  CHECK(ask({"CLIENT", "UNBLOCK", blocked}) == ":0\r\n");

  REQUIRE(cluster.call(primary, {"WAIT", "5", "0"}).empty());
  CHECK(ask({"CLIENT", "LIST", "ID", blocked}).find(" flags=b ") != std::string::npos);
  CHECK(ask({"INFO", "clients"}).find("\r\nblocked_clients:1\r\n") != std::string::npos);
  CHECK(ask({"INFO", "clients"}).find("\r\nclients_in_timeout_table:0\r\n") != std::string::npos);
  CHECK(ask({"CLIENT", "UNBLOCK", blocked}) == ":1\r\n");
  CHECK(ask({"CLIENT", "UNBLOCK", blocked, "ERROR"}) == ":0\r\n");
  cluster.settle();
  CHECK(cluster.output(primary) == ":2\r\n");

  REQUIRE(cluster.call(primary, {"WAIT", "5", "60000"}).empty());
  CHECK(ask({"INFO", "clients"}).find("\r\nclients_in_timeout_table:1\r\n") != std::string::npos);
  CHECK(ask({"CLIENT", "UNBLOCK", blocked, "ERROR"}) == ":1\r\n");
  cluster.settle();
  CHECK(cluster.output(primary) == "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
  CHECK(ask({"INFO", "errorstats"}).find("errorstat_UNBLOCKED:count=1") != std::string::npos);
  CHECK(ask({"INFO", "clients"}).find("\r\nblocked_clients:0\r\n") != std::string::npos);
  CHECK(cluster.call(primary, {"PING"}) == "+PONG\r\n");
}

TEST_CASE("keys expire on all members, by the primary's decision", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v", "PX", "100"}) == kOk);
  cluster.advance_ms(200);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(cluster.digest(i).find("\"keys\":0") != std::string::npos);
}

TEST_CASE(
    "with failover unilateral both of two serve while they are apart, and one side's writes are "
    "lost",
    "[cluster]") {
  config::Options options;
  options.cluster.failover = config::Failover::kUnilateral;
  ClusterHarness cluster(2, options);
  const std::size_t first = cluster.primary().value();
  const std::size_t second = other_than(first);
  REQUIRE(cluster.call(first, {"SET", "k", "both"}) == kOk);
  cluster.advance_ms(50);
  cluster.cut(first, second);
  cluster.advance_ms(2000);
  CHECK(cluster.role(first) == "master");
  CHECK(cluster.role(second) == "master");
  CHECK(cluster.call(first, {"SET", "first", "v"}) == kOk);
  CHECK(cluster.call(second, {"SET", "second", "v"}) == kOk);
  cluster.mend(first, second);
  cluster.advance_ms(3000);
  const std::size_t left = cluster.primary().value();
  CHECK(cluster.role(other_than(left)) == "replica");
  CHECK(cluster.digest(0) == cluster.digest(1));
  CHECK(cluster.call(left, {"GET", "k"}) == bulk("both"));
  CHECK(cluster.call(left, {"EXISTS", "first", "second"}) == ":1\r\n");
}

TEST_CASE("one member alone is a cluster too", "[cluster]") {
  ClusterHarness cluster(1);
  REQUIRE(cluster.primary() == 0);
  CHECK(cluster.call(0, {"SET", "k", "v"}) == kOk);
  cluster.kill(0);
  cluster.start(0);
  REQUIRE(cluster.primary() == 0);
  CHECK(cluster.call(0, {"GET", "k"}) == bulk("v"));
}

}  // namespace holdfast::node
