// Whole nodes as a cluster: what ROLE, INFO and STATUS say of a member, as Redis would.
#include <catch2/catch.hpp>
#include <string>

#include "tests/unit/node/cluster_harness.hpp"

namespace holdfast::node {

namespace {

// "name:value" of INFO.
std::string fact(ClusterHarness& cluster, std::size_t i, const std::string& name,
                 const std::string& section = "replication") {
  const std::string text = cluster.call(i, {"INFO", section});
  const std::size_t at = text.find("\r\n" + name + ":");
  if (at == std::string::npos) return "no " + name;
  return text.substr(at + 2, text.find('\r', at + 2) - at - 2);
}

std::int64_t number(ClusterHarness& cluster, std::size_t i, const std::string& name,
                    const std::string& section) {
  const std::string text = fact(cluster, i, name, section);
  REQUIRE(text.starts_with(name + ":"));
  return std::stoll(text.substr(name.size() + 1));
}

bool says(ClusterHarness& cluster, std::size_t i, const std::vector<std::string>& words,
          std::string_view part) {
  return cluster.call(i, words).find(part) != std::string::npos;
}

// A primary whose log no longer begins at the beginning, and a member that runs with an empty disk.
struct Wiped {
  Wiped() {
    primary = cluster.primary().value();
    for (int i = 0; i < 100; ++i) {
      const std::string key = "key:" + std::to_string(i);
      REQUIRE(cluster.call(primary, {"SET", key, std::string(1000, 'x')}) == kOk);
    }
    for (int i = 0; i < 2; ++i) {
      cluster.call(primary, {"BGSAVE"});
      cluster.advance_ms(100);
    }
    wiped = (primary + 1) % 3;
    cluster.kill(wiped);
    cluster.kill(primary);
    cluster.start(primary);
    cluster.start(wiped, true);
  }
  static config::Options options() {
    config::Options made;
    made.persistence.snapshots_kept = 1;
    return made;
  }
  // The line that the primary has about it.
  std::string line() {
    const std::string port = std::to_string(7001 + wiped);
    for (const char* name : {"slave0", "slave1"}) {
      const std::string one = fact(cluster, primary, name);
      if (one.find("port=" + port) != std::string::npos) return one;
    }
    return "no line";
  }

  ClusterHarness cluster{3, options()};
  std::size_t primary;
  std::size_t wiped;
};

}  // namespace

TEST_CASE("a member whose disk takes no snapshot is shown as one that is not in sync",
          "[cluster][view]") {
  Wiped test;
  ClusterHarness& cluster = test.cluster;
  cluster.disk(test.wiped).set_capacity(50'000);
  test.primary = cluster.primary().value();
  cluster.advance_ms(1000);
  CHECK(fact(cluster, test.wiped, "master_link_status") == "master_link_status:down");
  CHECK(fact(cluster, test.wiped, "master_sync_in_progress") == "master_sync_in_progress:1");
  CHECK(says(cluster, test.wiped, {"ROLE"}, "$4\r\nsync\r\n"));
  CHECK(test.line().find("state=online") == std::string::npos);
  CHECK(test.line().find("offset=0,") != std::string::npos);
  CHECK(!says(cluster, test.primary, {"ROLE"}, std::to_string(7001 + test.wiped)));

  cluster.disk(test.wiped).set_capacity(std::uint64_t{1} << 30);
  cluster.advance_ms(8'000);
  CHECK(fact(cluster, test.wiped, "master_link_status") == "master_link_status:up");
  CHECK(fact(cluster, test.wiped, "master_sync_in_progress") == "master_sync_in_progress:0");
  CHECK(says(cluster, test.wiped, {"ROLE"}, "$9\r\nconnected\r\n"));
  CHECK(test.line().find("state=online") != std::string::npos);
  CHECK(says(cluster, test.primary, {"ROLE"}, std::to_string(7001 + test.wiped)));
}

TEST_CASE("a member that still loads the primary's snapshot is not in sync", "[cluster][view]") {
  Wiped test;
  ClusterHarness& cluster = test.cluster;
  cluster.isolate(test.wiped);
  cluster.settle();
  cluster.hold_background(test.wiped, true);
  test.primary = cluster.primary().value();
  cluster.rejoin(test.wiped);
  cluster.advance_ms(1000);
  CHECK(fact(cluster, test.wiped, "master_link_status") == "master_link_status:down");
  CHECK(fact(cluster, test.wiped, "master_sync_in_progress") == "master_sync_in_progress:1");
  CHECK(says(cluster, test.wiped, {"ROLE"}, "$4\r\nsync\r\n"));
  cluster.hold_background(test.wiped, false);
  cluster.advance_ms(1000);
  CHECK(fact(cluster, test.wiped, "master_link_status") == "master_link_status:up");
  CHECK(says(cluster, test.wiped, {"ROLE"}, "$9\r\nconnected\r\n"));
}

TEST_CASE("FAILOVER is waiting-for-sync until it has handed over", "[cluster][view]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(50);
  const std::size_t target = (primary + 1) % 3;
  CHECK(fact(cluster, primary, "master_failover_state") == "master_failover_state:no-failover");
  const std::vector<std::string> failover{"FAILOVER", "TO", "127.0.0.1",
                                          std::to_string(7001 + target)};
  cluster.pause(target);
  REQUIRE(cluster.call(primary, {"SET", "k", "w"}) == kOk);
  REQUIRE(cluster.call(primary, failover) == kOk);
  CHECK(fact(cluster, primary, "master_failover_state") ==
        "master_failover_state:waiting-for-sync");
  CHECK(cluster.call(primary, {"FAILOVER", "ABORT"}) == kOk);
  CHECK(fact(cluster, primary, "master_failover_state") == "master_failover_state:no-failover");
  cluster.resume(target);
  cluster.advance_ms(50);

  cluster.pause(target);  // it has everything, but does not hear that it may take over
  REQUIRE(cluster.call(primary, failover) == kOk);
  CHECK(fact(cluster, primary, "master_failover_state") ==
        "master_failover_state:failover-in-progress");
  cluster.resume(target);
  REQUIRE(cluster.primary() == target);
}

TEST_CASE("FAILOVER ABORT takes no other argument", "[cluster][view]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  CHECK(cluster.call(primary, {"FAILOVER", "ABORT"}) == "-ERR No failover in progress.\r\n");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"FAILOVER", "ABORT", "TIMEOUT", "5"},
                                             {"FAILOVER", "TIMEOUT", "5", "ABORT"},
                                             {"FAILOVER", "ABORT", "FORCE"},
                                             {"FAILOVER", "TO", "127.0.0.1", "7001", "ABORT"}})
    CHECK(cluster.call(primary, words) == "-ERR syntax error\r\n");
}

TEST_CASE("one member alone shows a lease as long as others have", "[cluster][view]") {
  ClusterHarness cluster(1);
  cluster.primary().value();
  CHECK(says(cluster, 0, {"HOLDFAST", "STATUS"},
             "\"lease_ms\":" + std::to_string(config::ClusterOptions{}.lease_ms) + ","));
}

TEST_CASE("a member that has found no primary yet syncs with nobody", "[cluster][view]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  const std::size_t away = (primary + 1) % 3;
  cluster.kill(away);
  cluster.isolate(away);
  cluster.start(away, true);
  cluster.advance_ms(500);
  CHECK(fact(cluster, away, "master_link_status") == "master_link_status:down");
  CHECK(fact(cluster, away, "master_sync_in_progress") == "master_sync_in_progress:0");
  CHECK(says(cluster, away, {"ROLE"}, "$7\r\nconnect\r\n"));
}

TEST_CASE("a member that is cut off names the primary that it had, and counts the time without it",
          "[cluster][view]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  const std::size_t away = (primary + 1) % 3;
  cluster.advance_ms(100);
  REQUIRE(fact(cluster, away, "master_link_status") == "master_link_status:up");
  cluster.isolate(away);
  cluster.advance_ms(7'000);
  CHECK(fact(cluster, away, "master_host") == "master_host:127.0.0.1");
  CHECK(fact(cluster, away, "master_port") == "master_port:" + std::to_string(7001 + primary));
  CHECK(fact(cluster, away, "master_link_status") == "master_link_status:down");
  CHECK(fact(cluster, away, "master_last_io_seconds_ago") == "master_last_io_seconds_ago:-1");
  CHECK(fact(cluster, away, "master_link_down_since_seconds") ==
        "master_link_down_since_seconds:7");
  CHECK(fact(cluster, away, "master_sync_in_progress") == "master_sync_in_progress:0");
  // Who asks where to go is not sent there.
  CHECK(says(cluster, away, {"ROLE"}, "$5\r\nslave\r\n$0\r\n\r\n:0\r\n$7\r\nconnect\r\n"));
  CHECK(says(cluster, away, {"HOLDFAST", "STATUS"}, "\"primary\":null"));

  cluster.rejoin(away);
  cluster.advance_ms(1'000);
  CHECK(fact(cluster, away, "master_link_status") == "master_link_status:up");
  CHECK(fact(cluster, away, "master_link_down_since_seconds") ==
        "no master_link_down_since_seconds");
}

TEST_CASE("a primary that was cut off names none of those before it", "[cluster][view]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  cluster.advance_ms(100);
  cluster.kill(first);
  const std::size_t second = cluster.primary().value();
  cluster.isolate(second);
  cluster.advance_ms(3'000);
  CHECK(fact(cluster, second, "role") == "role:slave");
  CHECK(fact(cluster, second, "master_host") == "master_host:");
  CHECK(fact(cluster, second, "master_link_down_since_seconds") ==
        "master_link_down_since_seconds:-1");
}

TEST_CASE("a deposed primary that loads again says how long that takes, not how long it runs",
          "[cluster][view]") {
  ClusterHarness cluster(3);
  const std::size_t writer = cluster.primary().value();
  for (int i = 0; i < 60; ++i)
    REQUIRE(cluster.call(writer, {"SET", "k", std::string(1000, 'x')}) == kOk);
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  for (std::size_t i = 0; i < 3; ++i) cluster.start(i);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  REQUIRE(cluster.call(first, {"BGSAVE"}) == "+Background saving started\r\n");
  cluster.advance_ms(20'000);
  cluster.isolate(first);
  cluster.execute(first, {"SET", "k", "void"});
  cluster.settle();
  cluster.pause(first);
  REQUIRE(cluster.primary().has_value());
  cluster.rejoin(first);
  cluster.hold_background(first, true);
  cluster.resume(first);
  const std::int64_t begun = cluster.now.unix_ms / 1000;
  cluster.advance_ms(3'000);
  REQUIRE(number(cluster, first, "loading", "persistence") == 1);
  cluster.node(first).background(cluster.now, 1);
  const std::int64_t done = number(cluster, first, "loading_loaded_bytes", "persistence");
  const std::int64_t total = number(cluster, first, "loading_total_bytes", "persistence");
  CHECK(done > 0);
  CHECK(total >= done);
  CHECK(total < 10'000);
  CHECK(number(cluster, first, "loading_eta_seconds", "persistence") <= 10);
  const std::int64_t start = number(cluster, first, "loading_start_time", "persistence");
  CHECK(start >= begun);
  CHECK(start <= begun + 1);
  cluster.hold_background(first, false);
  cluster.advance_ms(100);
  CHECK(number(cluster, first, "loading", "persistence") == 0);
}

TEST_CASE("a primary counts who took its snapshot and who went on from its log",
          "[cluster][view]") {
  Wiped test;
  ClusterHarness& cluster = test.cluster;
  const std::size_t primary = cluster.primary().value();
  cluster.advance_ms(1'000);
  CHECK(number(cluster, primary, "sync_full", "stats") == 1);
  CHECK(number(cluster, primary, "sync_partial_ok", "stats") == 1);
  CHECK(number(cluster, primary, "sync_partial_err", "stats") == 0);  // it had nothing

  REQUIRE(cluster.call(primary, {"CONFIG", "RESETSTAT"}) == kOk);
  cluster.cut(primary, test.wiped);
  cluster.advance_ms(20);
  cluster.mend(primary, test.wiped);
  cluster.advance_ms(100);
  REQUIRE(cluster.primary() == primary);
  CHECK(number(cluster, primary, "sync_full", "stats") == 0);
  CHECK(number(cluster, primary, "sync_partial_ok", "stats") == 1);
  CHECK(number(cluster, test.wiped, "sync_partial_ok", "stats") == 0);
}

TEST_CASE("a member that comes back behind what the log holds is a partial synchronisation refused",
          "[cluster][view]") {
  ClusterHarness cluster(3, Wiped::options());
  std::size_t primary = cluster.primary().value();
  const std::size_t away = (primary + 1) % 3;
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(100);
  cluster.kill(away);
  for (int i = 0; i < 2; ++i) {
    for (int key = 0; key < 20; ++key)
      REQUIRE(cluster.call(primary, {"SET", "k", std::string(1000, 'x')}) == kOk);
    REQUIRE(cluster.call(primary, {"BGSAVE"}) == "+Background saving started\r\n");
    cluster.advance_ms(100);
  }
  cluster.kill(primary);  // so that memory does not reach back either
  cluster.start(primary);
  cluster.advance_ms(2'000);
  primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"CONFIG", "RESETSTAT"}) == kOk);
  const bool is_restarted = primary == (away + 2) % 3;
  cluster.start(away);
  cluster.advance_ms(1'000);
  REQUIRE(cluster.primary() == primary);
  CAPTURE(is_restarted);
  CHECK(number(cluster, primary, "sync_full", "stats") == 1);
  CHECK(number(cluster, primary, "sync_partial_err", "stats") == 1);
  CHECK(number(cluster, primary, "sync_partial_ok", "stats") == 0);
}

}  // namespace holdfast::node
