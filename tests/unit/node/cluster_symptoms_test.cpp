// Whole nodes as a cluster: what the simulator, or a reader, found wrong once, each by its symptom.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/node/cluster_harness.hpp"

namespace holdfast::node {

namespace {

bool has_logged(const commands::HostEffects& effects, std::string_view text) {
  return std::any_of(
      effects.log_lines.begin(), effects.log_lines.end(),
      [&](const commands::LogLine& line) { return line.text.find(text) != std::string::npos; });
}

void fail_disk(ClusterHarness& cluster, std::size_t i) {
  cluster.disk(i).set_weather({.write_error = 1'000'000, .sync_error = 1'000'000});
}

}  // namespace

TEST_CASE(
    "a paused primary that hears of its successor and of its entries at once confirms nothing",
    "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  cluster.execute(first, {"SET", "k", "void"});
  cluster.pause(first);
  const std::size_t second = cluster.primary().value();
  for (int i = 0; i < 5; ++i) REQUIRE(cluster.call(second, {"SET", "k", "theirs"}) == kOk);
  cluster.advance_ms(50);
  cluster.resume(first);
  cluster.settle();
  CHECK(cluster.output(first).empty());
  CHECK(cluster.client(first).fate == client::Fate::kCloseNow);
  cluster.advance_ms(500);
  CHECK(cluster.digest(first) == cluster.digest(second));
}

TEST_CASE("a snapshot of what never came to be is not finished when others' entries take its place",
          "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "kept"}) == kOk);
  cluster.isolate(first);
  cluster.execute(first, {"SET", "void", "v"});
  cluster.execute(first, {"BGSAVE"});
  cluster.settle();
  cluster.pause(first);
  const std::size_t second = cluster.primary().value();
  cluster.rejoin(first);
  for (int i = 0; i < 5; ++i) REQUIRE(cluster.call(second, {"SET", "k", "theirs"}) == kOk);
  cluster.advance_ms(50);
  cluster.resume(first);
  cluster.advance_ms(500);
  CHECK(!has_logged(cluster.effects(first), "snapshot saved"));
  cluster.kill(first);
  cluster.start(first);
  cluster.advance_ms(500);
  CHECK(cluster.digest(first) == cluster.digest(second));
}

TEST_CASE("while no disk takes its deletion, an overdue key is not shown as absent", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "kept", "v"}) == kOk);
  REQUIRE(cluster.call(primary, {"SET", "overdue", "v", "PX", "2000"}) == kOk);
  for (std::size_t i = 0; i < 3; ++i) fail_disk(cluster, i);
  cluster.execute(primary, {"SET", "k", "v"});
  cluster.advance_ms(2500);
  REQUIRE(cluster.primary() == primary);
  cluster.reconnect(primary);
  CHECK(cluster.call(primary, {"GET", "kept"}) == "$1\r\nv\r\n");
  CHECK(cluster.call(primary, {"GET", "overdue"}).substr(0, 8) == "-MISCONF");
  CHECK(cluster.call(primary, {"GET", "never"}) == kNull);
}

TEST_CASE("READONLY reads an overdue key as absent on a replica whose disk fails", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  const std::size_t replica = (primary + 1) % 3;
  REQUIRE(cluster.call(primary, {"SET", "overdue", "v", "PX", "2000"}) == kOk);
  fail_disk(cluster, replica);
  REQUIRE(cluster.call(primary, {"SET", "kept", "v"}) == kOk);
  cluster.advance_ms(100);
  REQUIRE(!cluster.node(replica).state().persistence.disk_error.empty());
  REQUIRE(cluster.call(replica, {"READONLY"}) == kOk);
  cluster.isolate(replica);  // so that it does not hear of the deletion
  cluster.advance_ms(2'500);
  CHECK(cluster.call(replica, {"GET", "overdue"}) == kNull);
  CHECK(cluster.call(replica, {"EXISTS", "overdue"}) == ":0\r\n");
  CHECK(cluster.call(replica, {"GET", "kept"}) == "$1\r\nv\r\n");
  REQUIRE(cluster.call(replica, {"MULTI"}) == kOk);
  REQUIRE(cluster.call(replica, {"GET", "overdue"}) == kQueued);
  CHECK(cluster.call(replica, {"EXEC"}) == "*1\r\n" + kNull);
  CHECK(cluster.client(replica).fate == client::Fate::kOpen);
}

TEST_CASE("a key that was not listed, as it was overdue, is not listed by a next primary either",
          "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  for (std::size_t i = 0; i < 3; ++i) {
    if (i == first) continue;
    cluster.kill(i);
    cluster.set_clock_behind(i, 60'000);
    cluster.start(i);
    cluster.advance_ms(500);
  }
  REQUIRE(cluster.primary() == first);
  REQUIRE(cluster.call(first, {"SET", "k", "v", "PX", "10000"}) == kOk);

  using Words = std::vector<std::string>;
  const auto [words, none] = GENERATE(table<Words, std::string>(
      {{Words{"KEYS", "*"}, "*0\r\n"},
       {Words{"SCAN", "0"}, "*2\r\n$1\r\n0\r\n*0\r\n"},
       {Words{"RANDOMKEY"}, kNull},
       {Words{"DBSIZE"}, ":1\r\n"}}));  // it counts the key until it is deleted
  CAPTURE(words);
  cluster.now.unix_ms += 10'000;
  cluster.now.unix_us += 10'000'000;
  cluster.execute(first, words);  // before it is expired in the background
  std::string answer = cluster.output(first);
  if (answer.empty()) {
    cluster.settle();
    answer = cluster.output(first);
  }
  REQUIRE(answer == none);
  cluster.kill(first);
  const std::size_t second = cluster.primary().value();
  CHECK(cluster.call(second, words) == none);
}

TEST_CASE("a member whose log is not known to be committed takes no snapshot of nothing",
          "[cluster]") {
  config::Options options;
  options.persistence.snapshot_log_bytes = 100;
  ClusterHarness cluster(3, options);
  const std::size_t first = cluster.primary().value();
  cluster.isolate(first);
  cluster.execute(first, {"SET", "k", std::string(200, 'v')});
  cluster.settle();
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  cluster.start(first);
  cluster.advance_ms(100);
  CHECK(!has_logged(cluster.effects(first), "snapshot saved"));
}

TEST_CASE("a member whose only snapshot is of nothing still reloads from its log", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t first = cluster.primary().value();
  REQUIRE(cluster.call(first, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(100);
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  for (std::size_t i = 0; i < 3; ++i) {
    cluster.start(i);
    cluster.settle();
    cluster.call(i, {"BGSAVE"});  // it knows of no committed entry yet
    REQUIRE(has_logged(cluster.effects(i), "snapshot saved index=0"));
    cluster.kill(i);
  }
  for (std::size_t i = 0; i < 3; ++i) cluster.start(i);
  const std::size_t second = cluster.primary().value();
  cluster.isolate(second);
  cluster.execute(second, {"SET", "k", "void"});
  cluster.advance_ms(1000);
  cluster.rejoin(second);
  cluster.advance_ms(1000);
  for (std::size_t i = 0; i < 3; ++i) {
    REQUIRE(cluster.effects(i).fatal.empty());
    CHECK(cluster.digest(i) == cluster.digest(second));
  }
}

// It had installed what was still to be stored, and storage could not go on without.
TEST_CASE("a member whose disk fills within a snapshot lives, and takes it when there is room",
          "[cluster]") {
  config::Options options;
  options.persistence.snapshots_kept = 1;
  ClusterHarness cluster(3, options);
  const std::size_t primary = cluster.primary().value();
  for (int i = 0; i < 100; ++i) {
    const std::string key = "key:" + std::to_string(i);
    REQUIRE(cluster.call(primary, {"SET", key, std::string(1000, 'x')}) == kOk);
  }
  for (int i = 0; i < 2; ++i) {
    REQUIRE(cluster.call(primary, {"BGSAVE"}) == "+Background saving started\r\n");
    cluster.advance_ms(100);
  }
  // The log before it is neither on the primary's disk nor in its memory.
  const std::size_t wiped = (primary + 1) % 3;
  cluster.kill(wiped);
  cluster.kill(primary);
  cluster.start(primary);
  cluster.start(wiped, true);
  cluster.disk(wiped).set_capacity(50'000);
  const std::size_t second = cluster.primary().value();
  REQUIRE(second != wiped);
  bool is_told = false;
  for (int i = 0; i < 30; ++i) {
    cluster.advance_ms(100);
    const commands::HostEffects effects = cluster.effects(wiped);
    REQUIRE(effects.fatal.empty());
    is_told = is_told || has_logged(effects, "snapshot cannot be stored");
  }
  CHECK(is_told);
  cluster.disk(wiped).set_capacity(std::uint64_t{1} << 30);
  cluster.advance_ms(8'000);
  CHECK(cluster.digest(wiped) == cluster.digest(second));
}

TEST_CASE("after restarts with a clock that was set back no key lives longer", "[cluster]") {
  ClusterHarness cluster(1);
  REQUIRE(cluster.primary() == 0);
  REQUIRE(cluster.call(0, {"SET", "k", "v", "PX", "60000"}) == kOk);
  cluster.advance_ms(1000);
  REQUIRE(cluster.call(0, {"SET", "other", "v"}) == kOk);
  REQUIRE(cluster.call(0, {"BGSAVE"}) == "+Background saving started\r\n");
  cluster.settle();
  for (int restarts = 0; restarts < 2; ++restarts) {  // the first one's log has nothing but a no-op
    cluster.kill(0);
    cluster.now.unix_ms -= 20'000;
    cluster.now.unix_us -= 20'000'000;
    cluster.start(0);
    REQUIRE(cluster.primary() == 0);
  }
  const std::string left = cluster.call(0, {"PTTL", "k"});
  CHECK(std::stol(left.substr(1)) <= 59'000);
}

TEST_CASE("a primary without a majority steps down though a member with an empty disk keeps asking",
          "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  const std::size_t away = (primary + 1) % 3;
  const std::size_t wiped = (primary + 2) % 3;
  cluster.kill(away);
  cluster.kill(wiped);
  cluster.start(wiped, true);
  cluster.advance_ms(1000);
  CHECK(cluster.call(primary, {"SET", "k", "v"}).substr(0, 9) == "-READONLY");
  CHECK(cluster.call(primary, {"GET", "k"}).substr(0, 11) == "-MASTERDOWN");
}

TEST_CASE("with one sound, one recovering and one gone an operator can go on", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t sound = cluster.primary().value();
  const std::size_t recovering = (sound + 1) % 3;
  const std::size_t gone = (sound + 2) % 3;
  REQUIRE(cluster.call(sound, {"SET", "k", "v"}) == kOk);
  cluster.kill(gone);
  REQUIRE(cluster.call(sound, {"SET", "both", "v"}) == kOk);
  cluster.lose_power(recovering);
  cluster.advance_ms(1000);
  cluster.start(recovering);
  cluster.effects(sound);
  REQUIRE(!cluster.primary());
  CHECK(has_logged(cluster.effects(sound), "waiting for=primary"));
  CHECK(cluster.call(sound, {"HOLDFAST", "FORCE-GENERATION"}).find("lost") != std::string::npos);
  REQUIRE(!cluster.primary());
  const std::string_view word = "lose-what-absent-members-hold";
  REQUIRE(cluster.call(sound, {"HOLDFAST", "FORCE-GENERATION", std::string(word)}) == kOk);
  REQUIRE(cluster.primary() == sound);
  CHECK(cluster.call(sound, {"GET", "both"}) == "$1\r\nv\r\n");
  CHECK(cluster.call(sound, {"SET", "k", "anew"}) == kOk);
  CHECK(cluster.call(sound, {"HOLDFAST", "FORCE-GENERATION", std::string(word)})[0] == '-');
  cluster.start(gone);  // of the generation before: it says so, and takes no part
  cluster.advance_ms(500);
  CHECK(cluster.call(gone, {"HOLDFAST", "STATUS"}).find("\"claim\":\"refused\"") !=
        std::string::npos);
  CHECK(cluster.call(gone, {"HOLDFAST", "FORCE-GENERATION", std::string(word)})
            .starts_with("-ERR the others refuse this member, as its data is of an older"));
  CHECK(cluster.call(sound, {"ROLE"}).substr(0, 30).find("*1\r\n*3") != std::string::npos);
  cluster.kill(gone);
  cluster.start(gone, true);
  cluster.advance_ms(1000);
  CHECK(cluster.digest(gone) == cluster.digest(sound));
}

TEST_CASE("a member does not start with the data folder of another", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  const std::size_t one = (primary + 1) % 3;
  const std::size_t other = (primary + 2) % 3;
  cluster.kill(one);
  cluster.kill(other);
  cluster.swap_disks(one, other);
  cluster.start(one);
  CHECK(cluster.effects(one).fatal.find("is that of the member '" +
                                        ClusterHarness::name_of(other)) != std::string::npos);
}

TEST_CASE("READONLY shows no empty database on a member that has found no primary yet",
          "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  cluster.advance_ms(100);
  for (std::size_t i = 0; i < 3; ++i) cluster.kill(i);
  cluster.start(0);
  cluster.advance_ms(1000);
  REQUIRE(cluster.call(0, {"READONLY"}) == kOk);
  CHECK(cluster.call(0, {"GET", "k"}).substr(0, 11) == "-MASTERDOWN");
  cluster.start(1);
  const std::size_t next = cluster.primary().value();
  REQUIRE(cluster.call(1 - next, {"READONLY"}) == kOk);
  cluster.advance_ms(100);
  CHECK(cluster.call(1 - next, {"GET", "k"}) == "$1\r\nv\r\n");
}

TEST_CASE("a primary that stops does not say that it is busy", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  REQUIRE(cluster.node(primary).busy_message().has_value());
  cluster.node(primary).stop(cluster.now);
  CHECK(!cluster.node(primary).busy_message().has_value());
}

TEST_CASE("WAIT with a time-out near the end of time waits", "[cluster]") {
  ClusterHarness cluster(3);
  const std::size_t primary = cluster.primary().value();
  cluster.kill(primary == 0 ? 1 : 0);
  REQUIRE(cluster.call(primary, {"SET", "k", "v"}) == kOk);
  CHECK(cluster.call(primary, {"WAIT", "2", "9223372036854775807"}).empty());
  cluster.advance_ms(300);
  CHECK(cluster.output(primary).empty());
}

}  // namespace holdfast::node
