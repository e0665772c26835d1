// Expected answers and error texts were read from Debian's redis-server 7.0.15: CONFIG SET <name>
// <value> sent by redis-cli, then CONFIG GET <name>. Points in which Holdfast is stricter say so.
#include "config/options/option_values.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace holdfast::config {
namespace {

// Sets and shows again; an error is shown as its text behind "! ".
std::string after_setting(std::string_view redis_name, std::string_view text, Options& options) {
  const OptionRow* row = find_by_redis_name(redis_name);
  REQUIRE(row != nullptr);
  const std::string before = format_value(*row, options);
  const auto set = parse_and_set(*row, options, text);
  if (set) return format_value(*row, options);
  CHECK(format_value(*row, options) == before);
  return "! " + set.error().message;
}

std::string after_setting(std::string_view redis_name, std::string_view text) {
  Options options;
  return after_setting(redis_name, text, options);
}

struct Case {
  const char* name;
  const char* text;
  const char* expected;
};

void check(std::initializer_list<Case> cases) {
  for (const Case& each : cases) {
    INFO(each.name << " = '" << each.text << "'");
    CHECK(after_setting(each.name, each.text) == each.expected);
  }
}

}  // namespace

TEST_CASE("integers are taken in their range and refused with Redis's texts", "[config]") {
  const char* const kNoInteger = "! argument couldn't be parsed into an integer";
  check({
      {"timeout", "0", "0"},
      {"timeout", "2147483647", "2147483647"},
      {"timeout", "-1", "! argument must be between 0 and 2147483647 inclusive"},
      {"timeout", "2147483648", "! argument must be between 0 and 2147483647 inclusive"},
      {"timeout", "99999999999999999999", kNoInteger},
      {"timeout", "0x10", kNoInteger},
      {"timeout", "", kNoInteger},
      {"timeout", "+5", kNoInteger},
      {"timeout", "05", kNoInteger},
      {"timeout", "-0", kNoInteger},
      {"timeout", " 5", kNoInteger},
      {"maxmemory-samples", "5kb", kNoInteger},
      {"maxmemory-samples", "0", "! argument must be between 1 and 2147483647 inclusive"},
      {"maxmemory-samples", "65", "65"},
      {"port", "65535", "65535"},
      {"port", "70000", "! argument must be between 0 and 65535 inclusive"},
      {"maxclients", "0", "! argument must be between 1 and 4294967295 inclusive"},
      {"maxclients", "4294967296", "! argument must be between 1 and 4294967295 inclusive"},
      {"slowlog-log-slower-than", "-1", "-1"},
      {"slowlog-log-slower-than", "-2",
       "! argument must be between -1 and 9223372036854775807 inclusive"},
      {"slowlog-max-len", "-1", "! argument must be between 0 and 9223372036854775807 inclusive"},
      {"slowlog-max-len", "9223372036854775807", "9223372036854775807"},
      {"hash-max-listpack-entries", "12abc", kNoInteger},
      {"databases", "1024", "1024"},
      {"databases", "1025", "! argument must be between 1 and 1024 inclusive"},
      {"databases", "0", "! argument must be between 1 and 1024 inclusive"},
  });
}

TEST_CASE("percentiles are numbers from 0 to 100", "[config]") {
  const char* const kBroken = "! Invalid latency-tracking-info-percentiles parameters";
  const char* const kOutside =
      "! latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
  check({
      {"latency-tracking-info-percentiles", "50 99 99.9", "50 99 99.9"},
      {"latency-tracking-info-percentiles", "0 100, 99.95\t1e1", "0 100 99.95 10"},
      {"latency-tracking-info-percentiles", "", ""},
      {"latency-tracking-info-percentiles", "50 abc", kBroken},
      {"latency-tracking-info-percentiles", "nan", kBroken},
      {"latency-tracking-info-percentiles", "50x", kBroken},
      {"latency-tracking-info-percentiles", "100.1", kOutside},
      {"latency-tracking-info-percentiles", "50 -1", kOutside},
  });
}

TEST_CASE("sizes take Redis's units and are shown in bytes", "[config]") {
  const char* const kNoSize = "! argument must be a memory value";
  check({
      {"maxmemory", "0", "0"},
      {"maxmemory", "1b", "1"},
      {"maxmemory", "1k", "1000"},
      {"maxmemory", "1K", "1000"},
      {"maxmemory", "1kb", "1024"},
      {"maxmemory", "1KB", "1024"},
      {"maxmemory", "1m", "1000000"},
      {"maxmemory", "1Mb", "1048576"},
      {"maxmemory", "1g", "1000000000"},
      {"maxmemory", "1gb", "1073741824"},
      {"maxmemory", "9223372036854775807", "9223372036854775807"},
      {"maxmemory", "1tb", kNoSize},
      {"maxmemory", "-1", kNoSize},
      {"maxmemory", "1.5gb", kNoSize},
      {"maxmemory", "1%", kNoSize},
      {"maxmemory", "1 mb", kNoSize},
      {"maxmemory", " 1", kNoSize},
      {"maxmemory", "abc", kNoSize},
      // Stricter than Redis, which reads these as 0, as 0, as the largest number and as what is
      // left after wrapping around.
      {"maxmemory", "", "0"},
      {"maxmemory", "mb", kNoSize},
      {"maxmemory", "99999999999999999999", kNoSize},
      {"maxmemory", "99999999999g", kNoSize},
      {"proto-max-bulk-len", "1mb", "1048576"},
      {"proto-max-bulk-len", "1048575",
       "! argument must be between 1048576 and 9223372036854775807 inclusive"},
      {"proto-max-bulk-len", "9223372036854775808",
       "! argument must be between 1048576 and 9223372036854775807 inclusive"},
      {"client-query-buffer-limit", "1",
       "! argument must be between 1048576 and 9223372036854775807 inclusive"},
      {"hash-max-listpack-value", "1kb", "1024"},
      {"hash-max-listpack-value", "-1", kNoSize},
  });
}

TEST_CASE("choices and yes or no ignore case; others are refused with the list", "[config]") {
  check({
      {"maxmemory-policy", "ALLKEYS-LRU", "allkeys-lru"},
      {"maxmemory-policy", "noeviction", "noeviction"},
      {"maxmemory-policy", "volatile-lru", "volatile-lru"},
      // Redis lists its two lfu policies as well.
      {"maxmemory-policy", "lru",
       "! argument(s) must be one of the following: volatile-lru, volatile-random, volatile-ttl, "
       "allkeys-lru, "
       "allkeys-random, noeviction"},
      {"maxmemory-policy", "",
       "! argument(s) must be one of the following: volatile-lru, volatile-random, volatile-ttl, "
       "allkeys-lru, "
       "allkeys-random, noeviction"},
      {"loglevel", "NOTICE", "notice"},
      {"loglevel", "foo",
       "! argument(s) must be one of the following: debug, verbose, notice, warning"},
      {"enable-debug-command", "YES", "yes"},
      {"enable-debug-command", "no", "no"},
      {"enable-debug-command", "maybe", "! argument must be 'yes' or 'no'"},
      {"enable-debug-command", "1", "! argument must be 'yes' or 'no'"},
  });
}

TEST_CASE("each policy name stands for its value", "[config]") {
  Options options;
  const OptionRow& row = *find_by_path("memory.maxmemory_policy");
  const std::pair<const char*, EvictionPolicy> expected[] = {
      {"volatile-lru", EvictionPolicy::kVolatileLru},
      {"volatile-random", EvictionPolicy::kVolatileRandom},
      {"volatile-ttl", EvictionPolicy::kVolatileTtl},
      {"allkeys-lru", EvictionPolicy::kAllkeysLru},
      {"allkeys-random", EvictionPolicy::kAllkeysRandom},
      {"noeviction", EvictionPolicy::kNoEviction}};
  for (const auto& [name, policy] : expected) {
    REQUIRE(parse_and_set(row, options, name));
    CHECK(options.memory.maxmemory_policy == policy);
  }
}

TEST_CASE("permissions are octal", "[config]") {
  Options options;
  CHECK(after_setting("unixsocketperm", "770", options) == "770");
  CHECK(options.server.unixsocketperm.bits == 0770);
  check({{"unixsocketperm", "777", "777"},
         {"unixsocketperm", "1000", "! argument must be between 0 and 777 inclusive"},
         {"unixsocketperm", "8", "! argument couldn't be parsed as an octal number"},
         {"unixsocketperm", "", "! argument couldn't be parsed as an octal number"}});
}

TEST_CASE("lists are separated by spaces or commas", "[config]") {
  Options options;
  CHECK(after_setting("bind", "  10.0.0.1   -::1 ", options) == "10.0.0.1 -::1");
  CHECK(options.server.bind == std::vector<std::string>{"10.0.0.1", "-::1"});
  CHECK(after_setting("bind", "10.0.0.1,-::1", options) == "10.0.0.1 -::1");
  CHECK(after_setting("bind", "", options).empty());
}

TEST_CASE("texts are taken as they are, but without zero bytes", "[config]") {
  check({{"requirepass", " a b\"c\n", " a b\"c\n"}, {"requirepass", "", ""}});
  CHECK(after_setting("requirepass", std::string_view("a\0b", 3)) ==
        "! argument must not hold a zero byte");
}

TEST_CASE("keyspace event letters are normalised as Redis does it", "[config]") {
  check({
      {"notify-keyspace-events", "KEA", "AKE"},
      {"notify-keyspace-events", "A", "A"},
      {"notify-keyspace-events", "Kg$lshzxe", "g$lshzxeK"},
      {"notify-keyspace-events", "Kg$lshzxetd", "AK"},
      {"notify-keyspace-events", "KEAmn", "AKEm"},
      {"notify-keyspace-events", "nmd", "dnm"},
      {"notify-keyspace-events", "Kn", "nK"},
      {"notify-keyspace-events", "gxE", "gxE"},
      {"notify-keyspace-events", "zz", "z"},
      {"notify-keyspace-events", "", ""},
      {"notify-keyspace-events", "Q", "! Invalid event class character. Use 'Ag$lshzxeKEtmdn'."},
      {"notify-keyspace-events", "K E", "! Invalid event class character. Use 'Ag$lshzxeKEtmdn'."},
  });
}

TEST_CASE("output buffer limits change the classes that are named", "[config]") {
  const std::string rest = " slave 268435456 67108864 60 pubsub 33554432 8388608 60";
  Options options;
  const char* const kName = "client-output-buffer-limit";
  CHECK(after_setting(kName, "normal 0 0 0", options) == "normal 0 0 0" + rest);
  CHECK(after_setting(kName, "normal 1mb 0 0", options) == "normal 1048576 0 0" + rest);
  CHECK(after_setting(kName, "", options) == "normal 1048576 0 0" + rest);
  CHECK(after_setting(kName, "normal 0 0 0 normal 5 5 5", options) == "normal 5 5 5" + rest);
  CHECK(after_setting(kName, "NORMAL 1kb 2kb 3 pubsub 0 0 0", options) ==
        "normal 1024 2048 3 slave 268435456 67108864 60 pubsub 0 0 0");
  CHECK(after_setting(kName, "replica 9 8 7", options) ==
        "normal 1024 2048 3 slave 9 8 7 pubsub 0 0 0");
  CHECK(after_setting(kName, "slave 1 1 1", options) ==
        "normal 1024 2048 3 slave 1 1 1 pubsub 0 0 0");

  const char* const kWrongNumber =
      "! Error in hard, soft or soft_seconds setting in buffer limit configuration.";
  check({
      {kName, "xx", "! Wrong number of arguments in buffer limit configuration."},
      {kName, "normal 1 2", "! Wrong number of arguments in buffer limit configuration."},
      {kName, "foo 1 2 3", "! Invalid client class specified in buffer limit configuration."},
      {kName, "master 1 2 3", "! Invalid client class specified in buffer limit configuration."},
      {kName, "normal x 1 1", kWrongNumber},
      {kName, "normal 1 x 1", kWrongNumber},
      {kName, "normal 1 1 x", kWrongNumber},
      {kName, "normal 1 1 -1", kWrongNumber},
      {kName, "normal 9 9 9 foo 1 2 3",
       "! Invalid client class specified in buffer limit configuration."},
  });
}

}  // namespace holdfast::config
