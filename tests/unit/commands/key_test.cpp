// Keys: expiry times and their conditions, scans over overdue keys, moves between names and
// databases.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "tests/unit/commands/fixture.hpp"

using namespace holdfast;
using namespace holdfast::commands;

namespace {

const std::string kSyntax = error(kSyntaxError);
const std::string kSame = error("ERR source and destination objects are the same");
const std::string kRange = error("ERR DB index is out of range");

std::vector<std::string> bulks_of(const std::string& reply) {
  std::vector<std::string> found;
  std::size_t at = 0;
  while ((at = reply.find('$', at)) != std::string::npos) {
    const std::size_t end = reply.find("\r\n", at);
    const std::size_t size = std::stoul(reply.substr(at + 1, end - at - 1));
    found.push_back(reply.substr(end + 2, size));
    at = end + 2 + size;
  }
  return found;
}

// All keys that a whole SCAN returns, with `options`.
std::multiset<std::string> scan_all(Server& s, const std::vector<std::string>& options = {}) {
  std::multiset<std::string> keys;
  std::string cursor = "0";
  do {
    std::vector<std::string> command{"SCAN", cursor};
    command.insert(command.end(), options.begin(), options.end());
    const auto parts = bulks_of(s.run(command));
    cursor = parts[0];
    REQUIRE(*parse_int(cursor) < (1LL << 53));
    keys.insert(parts.begin() + 1, parts.end());
  } while (cursor != "0");
  return keys;
}

}  // namespace

TEST_CASE("DEL and UNLINK count what was there", "[keys]") {
  Server s;
  s.run({"MSET", "a", "1", "b", "2", "c", "3"});
  s.run({"PEXPIRE", "c", "5"});
  s.advance_ms(5);
  CHECK(s.run({"DEL", "a", "a", "c", "x"}) == number(1));
  CHECK(s.run({"UNLINK", "b", "b"}) == number(1));
  CHECK(s.run({"DBSIZE"}) == number(0));
}

TEST_CASE("EXISTS and TOUCH count keys as often as they are named", "[keys]") {
  Server s;
  s.run({"SET", "a", "1"});
  CHECK(s.run({"EXISTS", "a", "a", "x"}) == number(2));
  CHECK(s.run({"TOUCH", "a", "a", "x"}) == number(2));
}

TEST_CASE("a key is gone at its millisecond, not after it", "[keys]") {
  Server s;
  s.run({"SET", "a", "1"});
  CHECK(s.run({"PEXPIRE", "a", "10"}) == number(1));
  s.advance_ms(9);
  CHECK(s.run({"PTTL", "a"}) == number(1));
  s.advance_ms(1);
  CHECK(s.run({"PTTL", "a"}) == number(-2));
  CHECK(s.last_emitted == 1);
  CHECK(s.run({"TYPE", "a"}) == "+none\r\n");
}

TEST_CASE("EXPIRE into the past deletes", "[keys]") {
  Server s;
  for (const std::vector<std::string>& command : {std::vector<std::string>{"EXPIRE", "a", "0"},
                                                  {"PEXPIRE", "a", "-1"},
                                                  {"EXPIREAT", "a", "1"},
                                                  {"PEXPIREAT", "a", "-1"},
                                                  {"PEXPIREAT", "a", "-9223372036854775808"}}) {
    CAPTURE(command);
    s.run({"SET", "a", "1"});
    CHECK(s.run(command) == number(1));
    CHECK(s.run({"DBSIZE"}) == number(0));
    CHECK(s.run(command) == number(0));
  }
}

TEST_CASE("expiry times beyond 64 bits are refused", "[keys]") {
  Server s;
  s.run({"SET", "a", "1"});
  CHECK(s.run({"EXPIRE", "a", "9223372036854775"}) ==
        error("ERR invalid expire time in 'expire' command"));
  CHECK(s.run({"EXPIREAT", "a", "-9223372036854776"}) ==
        error("ERR invalid expire time in 'expireat' command"));
  CHECK(s.run({"PEXPIRE", "a", "9223372036854775807"}) ==
        error("ERR invalid expire time in 'pexpire' command"));
  CHECK(s.run({"EXPIRE", "a", "x"}) == error(kNotIntegerError));
  CHECK(s.run({"PEXPIREAT", "a", "9223372036854775807"}) == number(1));
  CHECK(s.run({"PEXPIRETIME", "a"}) == number(INT64_MAX));
}

TEST_CASE("EXPIRE's conditions", "[keys]") {
  Server s;
  s.run({"SET", "a", "1"});
  CHECK(s.run({"EXPIRE", "a", "100", "XX"}) == number(0));
  CHECK(s.run({"EXPIRE", "a", "100", "GT"}) == number(0));  // no expiry time is the latest
  CHECK(s.run({"EXPIRE", "a", "100", "NX"}) == number(1));
  CHECK(s.run({"EXPIRE", "a", "200", "NX"}) == number(0));
  CHECK(s.run({"EXPIRE", "a", "100", "GT"}) == number(0));
  CHECK(s.run({"EXPIRE", "a", "101", "GT"}) == number(1));
  CHECK(s.run({"EXPIRE", "a", "101", "LT"}) == number(0));
  CHECK(s.run({"EXPIRE", "a", "50", "LT", "XX"}) == number(1));
  CHECK(s.run({"TTL", "a"}) == number(50));
  s.run({"PERSIST", "a"});
  CHECK(s.run({"EXPIRE", "a", "70", "LT", "XX"}) == number(0));
  CHECK(s.run({"EXPIRE", "a", "70", "LT"}) == number(1));
  CHECK(s.run({"EXPIRE", "a", "-1", "GT"}) == number(0));
  CHECK(s.run({"EXPIRE", "a", "1", "GT", "LT"}) ==
        error("ERR GT and LT options at the same time are not compatible"));
  CHECK(s.run({"EXPIRE", "a", "1", "NX", "LT"}) ==
        error("ERR NX and XX, GT or LT options at the same time are not compatible"));
  CHECK(s.run({"EXPIRE", "a", "x", "FOO"}) == error("ERR Unsupported option FOO"));
}

TEST_CASE("TTL rounds to the nearest second", "[keys]") {
  Server s;
  s.run({"SET", "a", "1", "PX", "1499"});
  CHECK(s.run({"TTL", "a"}) == number(1));
  s.run({"PEXPIRE", "a", "1500"});
  CHECK(s.run({"TTL", "a"}) == number(2));
  CHECK(s.run({"EXPIRETIME", "a"}) == number((s.now.unix_ms + 1500 + 500) / 1000));
  CHECK(s.run({"PERSIST", "a"}) == number(1));
  CHECK(s.run({"PERSIST", "a"}) == number(0));
  CHECK(s.run({"TTL", "a"}) == number(-1));
  CHECK(s.run({"PTTL", "x"}) == number(-2));
}

TEST_CASE("RENAME takes the expiry time along and replaces", "[keys]") {
  Server s;
  CHECK(s.run({"RENAME", "a", "a"}) == error("ERR no such key"));
  s.run({"SET", "a", "1", "EX", "100"});
  s.run({"SET", "b", "2"});
  CHECK(s.run({"RENAMENX", "a", "b"}) == number(0));
  CHECK(s.run({"RENAMENX", "a", "a"}) == number(0));
  CHECK(s.run({"RENAME", "a", "a"}) == kOk);
  CHECK(s.run({"RENAME", "a", "b"}) == kOk);
  CHECK(s.run({"GET", "b"}) == bulk("1"));
  CHECK(s.run({"TTL", "b"}) == number(100));
  s.run({"SET", "c", "3", "PX", "10"});
  s.advance_ms(10);
  CHECK(s.run({"RENAMENX", "b", "c"}) == number(1));
  CHECK(s.run({"DBSIZE"}) == number(1));
}

TEST_CASE("COPY", "[keys]") {
  Server s;
  CHECK(s.run({"COPY", "a", "a"}) == kSame);
  CHECK(s.run({"COPY", "a", "b"}) == number(0));
  s.run({"SET", "a", std::string(200'000, 'x'), "EX", "100"});
  CHECK(s.run({"COPY", "a", "a", "DB", "1"}) == number(1));
  CHECK(s.run({"COPY", "a", "b"}) == number(1));
  s.run({"APPEND", "b", "y"});
  CHECK(s.run({"STRLEN", "a"}) == number(200'000));
  CHECK(s.run({"TTL", "b"}) == number(100));
  CHECK(s.run({"COPY", "a", "b"}) == number(0));
  CHECK(s.run({"COPY", "a", "b", "REPLACE", "DB", "0"}) == number(1));
  CHECK(s.run({"STRLEN", "b"}) == number(200'000));
  CHECK(s.run({"COPY", "a", "b", "DB", "16"}) == kRange);
  CHECK(s.run({"COPY", "a", "b", "DB", "x"}) == error(kNotIntegerError));
  CHECK(s.run({"COPY", "a", "b", "DB", "99999999999"}) ==
        error("ERR value is out of range, value must between -2147483648 and 2147483647"));
  CHECK(s.run({"COPY", "a", "b", "DB"}) == kSyntax);
}

TEST_CASE("MOVE and SWAPDB", "[keys]") {
  Server s;
  s.run({"SET", "a", "1", "EX", "100"});
  CHECK(s.run({"MOVE", "a", "0"}) == kSame);
  CHECK(s.run({"MOVE", "a", "16"}) == kRange);
  CHECK(s.run({"MOVE", "a", "1"}) == number(1));
  CHECK(s.run({"MOVE", "a", "1"}) == number(0));
  s.run({"SET", "a", "2"});
  CHECK(s.run({"MOVE", "a", "1"}) == number(0));
  CHECK(s.run({"SWAPDB", "0", "1"}) == kOk);
  CHECK(s.run({"GET", "a"}) == bulk("1"));
  CHECK(s.run({"TTL", "a"}) == number(100));
  CHECK(s.run({"SWAPDB", "0", "0"}) == kOk);
  CHECK(s.run({"SWAPDB", "99", "x"}) == error("ERR invalid second DB index"));
  CHECK(s.run({"SWAPDB", "x", "1"}) == error("ERR invalid first DB index"));
  CHECK(s.run({"SWAPDB", "0", "16"}) == kRange);
}

TEST_CASE("FLUSHDB empties one database, FLUSHALL all", "[keys]") {
  Server s;
  s.run({"SET", "a", "1"});
  s.client->database = 1;
  s.run({"SET", "a", "1"});
  CHECK(s.run({"FLUSHDB", "ASYNC"}) == kOk);
  CHECK(s.run({"DBSIZE"}) == number(0));
  s.client->database = 0;
  CHECK(s.run({"DBSIZE"}) == number(1));
  CHECK(s.run({"FLUSHALL", "now"}) == kSyntax);
  CHECK(s.run({"FLUSHALL", "SYNC"}) == kOk);
  CHECK(s.run({"DBSIZE"}) == number(0));
}

TEST_CASE("SCAN returns every key, by pattern and by type", "[keys]") {
  Server s;
  std::multiset<std::string> all;
  for (int i = 0; i < 3000; ++i) {
    all.insert("key:" + std::to_string(i));
    s.run({"SET", "key:" + std::to_string(i), "v"});
  }
  CHECK(scan_all(s) == all);
  CHECK(scan_all(s, {"COUNT", "1000"}) == all);
  CHECK(scan_all(s, {"MATCH", "key:77"}).size() == 1);
  CHECK(scan_all(s, {"MATCH", "*"}).size() == 3000);
  CHECK(scan_all(s, {"TYPE", "STRING", "MATCH", "key:29*"}).size() == 111);
  CHECK(scan_all(s, {"TYPE", "hash"}).empty());
  CHECK(scan_all(s, {"TYPE", "nonsense"}).empty());
  CHECK(bulks_of(s.run({"KEYS", "key:?"})).size() == 10);
  CHECK(bulks_of(s.run({"KEYS", "*"})).size() == 3000);
}

TEST_CASE("a SCAN of COUNT 10 is about ten keys", "[keys]") {
  Server s;
  for (int i = 0; i < 3000; ++i) s.run({"SET", "key:" + std::to_string(i), "v"});
  const auto parts = bulks_of(s.run({"SCAN", "0"}));
  CHECK(parts.size() >= 1 + 10);
  CHECK(parts.size() <= 1 + 12);
}

TEST_CASE("SCAN's arguments", "[keys]") {
  Server s;
  s.run({"SET", "a", "1"});
  for (const char* cursor : {"x", "1x", " 1", "18446744073709551616", "+", "1.0"}) {
    CAPTURE(cursor);
    CHECK(s.run({"SCAN", cursor}) == error("ERR invalid cursor"));
  }
  CHECK(s.run({"SCAN", "-1"}) == "*2\r\n$1\r\n0\r\n*0\r\n");
  CHECK(s.run({"SCAN", "18446744073709551615"}) == "*2\r\n$1\r\n0\r\n*0\r\n");
  CHECK(s.run({"SCAN", "0", "COUNT", "0"}) == kSyntax);
  CHECK(s.run({"SCAN", "0", "COUNT", "x"}) == error(kNotIntegerError));
  CHECK(s.run({"SCAN", "0", "MATCH"}) == kSyntax);
  CHECK(s.run({"SCAN", "0", "FOO", "1"}) == kSyntax);
  CHECK(s.run({"SCAN", "0", "COUNT", "9223372036854775807"}) ==
        "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
}

TEST_CASE("DBSIZE counts an overdue key until it is deleted", "[keys]") {
  Server s;
  s.run({"SET", "old", "v", "PX", "10"});
  s.advance_ms(10);
  CHECK(s.run({"DBSIZE"}) == number(1));
  CHECK(s.last_emitted == 0);
  CHECK(s.run({"GET", "old"}) == kNull);
  CHECK(s.run({"DBSIZE"}) == number(0));
}

TEST_CASE("KEYS and SCAN delete the overdue keys that they would have listed", "[keys]") {
  Server s;
  const int count = 3000;
  for (int i = 0; i < count; ++i) {
    s.run({"SET", "old:" + std::to_string(i), "v", "PX", "10"});
    s.run({"SET", "young:" + std::to_string(i), "v"});
  }
  s.advance_ms(10);

  SECTION("KEYS") {
    CHECK(bulks_of(s.run({"KEYS", "young:*"})).size() == count);
    CHECK(s.last_emitted == 0);
    CHECK(bulks_of(s.run({"KEYS", "old:1"})).empty());
    CHECK(s.last_emitted == 1);
    CHECK(bulks_of(s.run({"KEYS", "*"})).size() == count);
    CHECK(s.last_emitted == count - 1);
  }
  SECTION("SCAN") {
    CHECK(bulks_of(s.run({"SCAN", "0", "COUNT", "10000", "MATCH", "young:*"})).size() == count + 1);
    CHECK(bulks_of(s.run({"SCAN", "0", "COUNT", "10000", "TYPE", "hash"})).size() == 1);
    CHECK(s.last_emitted == 0);
    s.run({"SCAN", "0"});
    CHECK(s.last_emitted > 0);
    CHECK(s.last_emitted <= 11);
    CHECK(scan_all(s).size() == count);
  }
  CHECK(s.state.statistics.expired_keys == count);
  CHECK(s.run({"DBSIZE"}) == number(count));
}

TEST_CASE("RANDOMKEY says that there is none once it has deleted all that is overdue", "[keys]") {
  Server s;
  for (int i = 0; i < 3000; ++i) s.run({"SET", "old:" + std::to_string(i), "v", "PX", "10"});
  s.run({"SET", "young", "v"});
  s.advance_ms(10);
  CHECK(s.run({"RANDOMKEY"}) == bulk("young"));
  s.run({"DEL", "young"});
  CHECK(s.run({"RANDOMKEY"}) == kNull);
  CHECK(s.run({"DBSIZE"}) == number(0));
  CHECK(s.state.statistics.expired_keys == 3000);
}

TEST_CASE("where no entry can be made KEYS, SCAN and RANDOMKEY pass over overdue keys", "[keys]") {
  Server s;
  for (int i = 0; i < 200; ++i) s.run({"SET", "old:" + std::to_string(i), "v", "PX", "10"});
  s.run({"SET", "young", "v"});
  s.advance_ms(10);
  s.state.takes_entries = false;
  CHECK(scan_all(s) == std::multiset<std::string>{"young"});
  CHECK(bulks_of(s.run({"KEYS", "*"})) == std::vector<std::string>{"young"});
  CHECK(s.run({"RANDOMKEY"}) == bulk("young"));
  CHECK(s.last_emitted == 0);
  CHECK(s.run({"DBSIZE"}) == number(201));
}

TEST_CASE("OBJECT", "[keys]") {
  Server s;
  CHECK(s.run({"OBJECT", "ENCODING", "a"}) == kNull);
  CHECK(s.run({"OBJECT", "FREQ", "a"}) == kNull);
  s.run({"SET", "a", "v"});
  s.advance_ms(7000);
  CHECK(s.run({"OBJECT", "IDLETIME", "a"}) == number(7));
  CHECK(s.run({"TTL", "a"}) == number(-1));
  CHECK(s.run({"TYPE", "a"}) == "+string\r\n");
  CHECK(s.run({"EXISTS", "a"}) == number(1));
  CHECK(s.run({"OBJECT", "IDLETIME", "a"}) == number(7));  // looking at it so is no access
  s.client->no_touch = true;
  s.run({"GET", "a"});
  CHECK(s.run({"OBJECT", "IDLETIME", "a"}) == number(7));
  s.client->no_touch = false;
  s.run({"TOUCH", "a"});
  CHECK(s.run({"OBJECT", "IDLETIME", "a"}) == number(0));
  CHECK(s.run({"OBJECT", "REFCOUNT", "a"}) == number(1));
  s.run({"SET", "a", "9999"});
  CHECK(s.run({"OBJECT", "REFCOUNT", "a"}) == number(2147483647));
  s.run({"SET", "a", "10000"});
  CHECK(s.run({"OBJECT", "REFCOUNT", "a"}) == number(1));
  CHECK(s.run({"OBJECT", "FREQ", "a"}).substr(0, 29) == "-ERR An LFU maxmemory policy ");
  CHECK(s.run({"OBJECT", "HELP"}).substr(0, 5) == "*15\r\n");
}
