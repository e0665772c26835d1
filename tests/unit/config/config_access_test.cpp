// Expected answers and error texts were read from Debian's redis-server 7.0.15 with redis-cli,
// unless a comment says otherwise.
#include "config/options/config_access.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::config {
namespace {

std::string get(const Options& options, std::vector<std::string_view> patterns) {
  std::string answers;
  for (const auto& [name, value] : config_get(options, patterns))
    answers += name + "=" + value + ";";
  return answers;
}

std::string set(Options& options,
                std::vector<std::pair<std::string_view, std::string_view>> assignments) {
  const auto before = get(options, {"*"});
  const auto rows = config_set(options, assignments);
  if (!rows) {
    CHECK(get(options, {"*"}) == before);
    return rows.error().message;
  }
  std::string names = "OK";
  for (const OptionRow* row : *rows) names += " " + std::string(row->redis_name);
  return names;
}

}  // namespace

TEST_CASE("CONFIG GET answers names, patterns and aliases, each once", "[config]") {
  const Options options;
  CHECK(get(options, {"timeout"}) == "timeout=0;");
  CHECK(get(options, {"maxmemory*"}) ==
        "maxmemory=0;maxmemory-policy=noeviction;maxmemory-samples=5;maxmemory-clients=0;");
  CHECK(get(options, {"MAXMEMORY-P*"}) == "maxmemory-policy=noeviction;");
  CHECK(get(options, {"timeout", "time*", "TIMEOUT", "maxmemory"}) == "timeout=0;maxmemory=0;");
  CHECK(get(options, {"time*", "TIMEOUT"}) == "timeout=0;");
  CHECK(get(options, {"HASH-MAX-LISTPACK-ENTRIES"}) == "HASH-MAX-LISTPACK-ENTRIES=512;");
  CHECK(get(options, {"DIR", "d?r"}) == "DIR=.;");
  CHECK(get(options, {"hash-max-*-value"}) ==
        "hash-max-listpack-value=64;hash-max-ziplist-value=64;");
  CHECK(get(options, {"nosuch"}).empty());
  CHECK(get(options, {"nosuch*"}).empty());
  CHECK(get(options, {""}).empty());
}

TEST_CASE("CONFIG GET answers what clients, frameworks and tools ask for", "[config]") {
  Options options;
  options.server.timeout_s = 30;
  // redis-benchmark, StackExchange.Redis, Spring, exporters.
  CHECK(get(options, {"save", "appendonly"}) == "save=3600 1;appendonly=yes;");
  CHECK(get(options, {"timeout", "databases", "replica-read-only", "slave-read-only"}) ==
        "timeout=30;databases=16;replica-read-only=yes;slave-read-only=yes;");
  // Without a primary a replica answers MASTERDOWN.
  CHECK(get(options, {"*-serve-stale-data"}) ==
        "replica-serve-stale-data=no;slave-serve-stale-data=no;");
  CHECK(get(options, {"notify-keyspace-events"}) == "notify-keyspace-events=;");
  CHECK(get(options, {"cluster-enabled", "lua-time-limit", "maxmemory-clients"}) ==
        "cluster-enabled=no;lua-time-limit=5000;maxmemory-clients=0;");
}

TEST_CASE("CONFIG SET changes all that is named and says which options", "[config]") {
  Options options;
  CHECK(set(options, {{"TIMEOUT", "5"}, {"maxmemory", "1mb"}}) == "OK timeout maxmemory");
  CHECK(options.server.timeout_s == 5);
  CHECK(options.memory.maxmemory == 1U << 20);
  CHECK(set(options, {{"hash-max-ziplist-entries", "5"}, {"hash-max-listpack-entries", "6"}}) ==
        "OK hash-max-listpack-entries hash-max-listpack-entries");
  CHECK(options.keyspace.hash_max_listpack_entries == 6);
  CHECK(set(options, {}) == "OK");
}

TEST_CASE("CONFIG SET refuses with Redis's texts and changes nothing", "[config]") {
  Options options;
  CHECK(set(options, {{"Foo", "1"}}) ==
        "ERR Unknown option or number of arguments for CONFIG SET - 'Foo'");
  CHECK(set(options, {{"timeout", "1"}, {"foo", "2"}}) ==
        "ERR Unknown option or number of arguments for CONFIG SET - 'foo'");
  CHECK(set(options, {{"timeout", "x"}, {"foo", "2"}}) ==
        "ERR Unknown option or number of arguments for CONFIG SET - 'foo'");
  CHECK(set(options, {{"timeout", "5"}, {"maxmemory", "abc"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a "
        "memory value");
  CHECK(set(options, {{"TIMEOUT", "x"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be "
        "parsed into an integer");
  CHECK(set(options, {{"HASH-max-ziplist-entries", "x"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'hash-max-ziplist-entries') - "
        "argument couldn't be "
        "parsed into an integer");
  CHECK(set(options, {{"TiMeout", "1"}, {"timeout", "2"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter");
  CHECK(set(options, {{"databases", "16"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable "
        "config");
  CHECK(set(options, {{"timeout", "x"}, {"databases", "16"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable "
        "config");
  CHECK(set(options, {{"databases", "16"}, {"foo", "2"}}) ==
        "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable "
        "config");
}

TEST_CASE("CONFIG SET of a fixed answer succeeds when nothing changes and is refused otherwise",
          "[config]") {
  // Redis would change some of these and refuse others; Holdfast has none of them.
  Options options;
  CHECK(set(options, {{"activedefrag", "NO"}, {"aclfile", ""}, {"timeout", "7"}}) == "OK timeout");
  CHECK(options.server.timeout_s == 7);
  CHECK(
      set(options, {{"timeout", "8"}, {"activedefrag", "yes"}}) ==
      "ERR CONFIG SET failed (possibly related to argument 'activedefrag') - Holdfast has no such "
      "setting, it is always "
      "'no'");
  CHECK(options.server.timeout_s == 7);
}

TEST_CASE("CONFIG SET cannot take away the password that protects an open address", "[config]") {
  Options options;
  options.server.bind = {"*"};
  options.security.requirepass = "secret";
  const std::string refused =
      set(options, {{"timeout", "5"}, {"requirepass", ""}, {"maxmemory", "5"}});
  CHECK(refused.starts_with(
      "ERR CONFIG SET failed (possibly related to argument 'requirepass') - other machines"));
  CHECK(options.security.requirepass == "secret");
  CHECK(set(options, {{"requirepass", "other"}}) == "OK requirepass");
}

}  // namespace holdfast::config
