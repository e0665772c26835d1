// Hashes: replies, what OBJECT ENCODING shows, random fields, scans, and a model of all changing
// commands.
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/chunked.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "protocol/resp/reply_writer.hpp"
#include "tests/unit/commands/fixture.hpp"

using namespace holdfast;
using namespace holdfast::commands;

namespace {

const std::string kWrongType = error(kWrongTypeError);
const std::string kNotInteger = error(kNotIntegerError);
const std::string kSyntax = error(kSyntaxError);
const std::string kEmpty = "*0\r\n";

std::string array(const std::vector<std::string>& texts) {
  std::string reply = "*" + std::to_string(texts.size()) + "\r\n";
  for (const std::string& text : texts) reply += bulk(text);
  return reply;
}

// The bulk strings of a reply, nested or not.
std::vector<std::string> bulks(const std::string& reply) {
  std::vector<std::string> texts;
  std::size_t at = 0;
  while (at < reply.size()) {
    const std::size_t end = reply.find("\r\n", at);
    const char type = reply[at];
    const std::size_t length = std::stoul(reply.substr(at + 1, end - at - 1));
    at = end + 2;
    if (type != '$') continue;
    texts.push_back(reply.substr(at, length));
    at += length + 2;
  }
  return texts;
}

void fill(Server& s, const std::string& key, int count) {
  for (int i = 0; i < count; ++i) s.run({"HSET", key, "f" + std::to_string(i), std::to_string(i)});
}

std::string encoding(Server& s, const std::string& key) {
  return bulks(s.run({"OBJECT", "ENCODING", key})).at(0);
}

}  // namespace

TEST_CASE("HSET counts the fields that are new", "[hash]") {
  Server s;
  CHECK(s.run({"HSET", "h", "a", "1", "b", "2"}) == number(2));
  CHECK(s.run({"HSET", "h", "a", "3", "c", "4"}) == number(1));
  CHECK(s.last_emitted == 1);
  CHECK(s.run({"HSET", "h", "n", "1", "n", "2"}) == number(1));
  CHECK(s.run({"HGET", "h", "n"}) == bulk("2"));
  CHECK(s.run({"HGETALL", "h"}) == array({"a", "3", "b", "2", "c", "4", "n", "2"}));
  CHECK(s.run({"HSET", "h", "a", "1", "b"}) ==
        error("ERR wrong number of arguments for 'hset' command"));
  CHECK(s.run({"HMSET", "h", "a", "1", "b"}) ==
        error("ERR wrong number of arguments for 'hmset' command"));
  CHECK(s.run({"HMSET", "h", "a", "5", "", ""}) == kOk);
  CHECK(s.run({"HMGET", "h", "a", "none", ""}) == "*3\r\n" + bulk("5") + kNull + bulk(""));
}

TEST_CASE("HSET keeps the expiry time of the key and HDEL of the last field deletes it", "[hash]") {
  Server s;
  s.run({"HSET", "h", "a", "1", "b", "2"});
  s.run({"PEXPIRE", "h", "1000"});
  s.run({"HSET", "h", "a", "2", "c", "3"});
  s.run({"HDEL", "h", "b"});
  CHECK(s.run({"PTTL", "h"}) == number(1000));
  CHECK(s.run({"HDEL", "h", "none", "a", "a", "c"}) == number(2));
  CHECK(s.run({"EXISTS", "h"}) == number(0));
  CHECK(s.run({"HSET", "h", "a", "1"}) == number(1));
  CHECK(s.run({"PTTL", "h"}) == number(-1));
  CHECK(s.run({"HDEL", "h", "none"}) == number(0));
  CHECK(s.last_emitted == 0);
}

TEST_CASE("an overdue hash is absent", "[hash]") {
  Server s;
  s.run({"HSET", "h", "a", "1"});
  s.run({"PEXPIRE", "h", "10"});
  s.advance_ms(10);
  CHECK(s.run({"HGET", "h", "a"}) == kNull);
  CHECK(s.run({"HSET", "h", "b", "1"}) == number(1));
  CHECK(s.run({"HLEN", "h"}) == number(1));
}

TEST_CASE("HSETNX writes only what is absent", "[hash]") {
  Server s;
  CHECK(s.run({"HSETNX", "h", "a", "1"}) == number(1));
  CHECK(s.run({"HSETNX", "h", "a", "2"}) == number(0));
  CHECK(s.last_emitted == 0);
  CHECK(s.run({"HGET", "h", "a"}) == bulk("1"));
}

TEST_CASE("absent hashes and fields", "[hash]") {
  Server s;
  for (const bool present : {false, true}) {
    if (present) s.run({"HSET", "h", "other", "value"});
    CHECK(s.run({"HGET", "h", "f"}) == kNull);
    CHECK(s.run({"HEXISTS", "h", "f"}) == number(0));
    CHECK(s.run({"HSTRLEN", "h", "f"}) == number(0));
    CHECK(s.run({"HMGET", "h", "f", "g"}) == "*2\r\n" + kNull + kNull);
  }
  for (const char* command : {"HGETALL", "HKEYS", "HVALS"}) CHECK(s.run({command, "x"}) == kEmpty);
  CHECK(s.run({"HLEN", "x"}) == number(0));
  CHECK(s.run({"HRANDFIELD", "x"}) == kNull);
  CHECK(s.run({"HRANDFIELD", "x", "3"}) == kEmpty);
  CHECK(s.run({"HSCAN", "x", "0", "nonsense"}) == "*2\r\n" + bulk("0") + kEmpty);
}

TEST_CASE("every hash command refuses a string", "[hash]") {
  Server s;
  s.run({"SET", "k", "v"});
  const std::vector<std::vector<std::string>> calls = {{"HSET", "k", "f", "v"},
                                                       {"HMSET", "k", "f", "v"},
                                                       {"HSETNX", "k", "f", "v"},
                                                       {"HGET", "k", "f"},
                                                       {"HMGET", "k", "f"},
                                                       {"HGETALL", "k"},
                                                       {"HDEL", "k", "f"},
                                                       {"HEXISTS", "k", "f"},
                                                       {"HKEYS", "k"},
                                                       {"HVALS", "k"},
                                                       {"HLEN", "k"},
                                                       {"HSTRLEN", "k", "f"},
                                                       {"HINCRBY", "k", "f", "1"},
                                                       {"HINCRBYFLOAT", "k", "f", "1"},
                                                       {"HSCAN", "k", "0"},
                                                       {"HRANDFIELD", "k"},
                                                       {"HRANDFIELD", "k", "0"}};
  for (const auto& call : calls) {
    CAPTURE(call[0]);
    CHECK(s.run(call) == kWrongType);
    CHECK(s.last_emitted == 0);
  }
}

TEST_CASE("HINCRBY stops at the ends of 64 bits", "[hash]") {
  Server s;
  CHECK(s.run({"HINCRBY", "h", "f", "9223372036854775807"}) == number(INT64_MAX));
  CHECK(s.run({"HINCRBY", "h", "f", "1"}) == error("ERR increment or decrement would overflow"));
  CHECK(s.run({"HINCRBY", "h", "f", "-9223372036854775808"}) == number(-1));
  CHECK(s.run({"HINCRBY", "h", "f", "-9223372036854775808"}) ==
        error("ERR increment or decrement would overflow"));
  CHECK(s.run({"HINCRBY", "h", "f", "9223372036854775808"}) == kNotInteger);
  s.run({"HSET", "h", "text", "1 "});
  CHECK(s.run({"HINCRBY", "h", "text", "1"}) == error("ERR hash value is not an integer"));
  s.run({"HSET", "h", "large", std::string(100'000, '1')});
  CHECK(s.run({"HINCRBY", "h", "large", "1"}) == error("ERR hash value is not an integer"));
}

TEST_CASE("HINCRBYFLOAT refuses what is no number and reads back what it wrote", "[hash]") {
  Server s;
  CHECK(s.run({"HINCRBYFLOAT", "h", "f", "10.5"}) == bulk("10.5"));
  CHECK(s.run({"HINCRBYFLOAT", "h", "f", "-0.1"}) == bulk("10.4"));
  CHECK(s.run({"HINCRBYFLOAT", "h", "f", "x"}) == error("ERR value is not a valid float"));
  CHECK(s.run({"HINCRBYFLOAT", "h", "f", "inf"}) == error("ERR value is NaN or Infinity"));
  s.run({"HSET", "h", "text", "x", "inf", "inf"});
  CHECK(s.run({"HINCRBYFLOAT", "h", "text", "1"}) == error("ERR hash value is not a float"));
  CHECK(s.run({"HINCRBYFLOAT", "h", "inf", "1"}) ==
        error("ERR increment would produce NaN or Infinity"));
  const std::string large = bulks(s.run({"HINCRBYFLOAT", "h", "large", "1e4932"})).at(0);
  CHECK(large.size() == 4933);
  CHECK(s.run({"HINCRBYFLOAT", "h", "large", "1"}) == bulk(large));
}

TEST_CASE("values of 64 KB and more come back whole", "[hash]") {
  Server s;
  const std::string large(200'000, 'x');
  const std::string limit(kChunkedBytesMin, 'y');
  CHECK(s.run({"HSET", "h", "large", large, "limit", limit, "small", "s"}) == number(3));
  CHECK(s.run({"HGET", "h", "large"}) == bulk(large));
  CHECK(s.run({"HSTRLEN", "h", "limit"}) == number(kChunkedBytesMin));
  CHECK(s.run({"HMGET", "h", "small", "limit"}) == array({"s", limit}));
  CHECK(s.run({"HSET", "h", large, "a field as long"}) == number(1));
  CHECK(s.run({"HGET", "h", large}) == bulk("a field as long"));
}

TEST_CASE("RESP3 has maps, pairs and nulls of its own", "[hash]") {
  Server s;
  s.client->version = resp::Version::kResp3;
  s.run({"HSET", "h", "a", "1", "b", "2"});
  CHECK(s.run({"HGETALL", "h"}) == "%2\r\n" + bulk("a") + bulk("1") + bulk("b") + bulk("2"));
  CHECK(s.run({"HGETALL", "x"}) == "%0\r\n");
  CHECK(s.run({"HKEYS", "h"}) == array({"a", "b"}));
  CHECK(s.run({"HVALS", "h"}) == array({"1", "2"}));
  CHECK(s.run({"HGET", "h", "none"}) == "_\r\n");
  CHECK(s.run({"HRANDFIELD", "x"}) == "_\r\n");
  CHECK(s.run({"HRANDFIELD", "h", "5", "WITHVALUES"}) ==
        "*2\r\n" + array({"a", "1"}) + array({"b", "2"}));
  CHECK(s.run({"HSCAN", "h", "0"}) == "*2\r\n" + bulk("0") + array({"a", "1", "b", "2"}));
}

TEST_CASE("OBJECT ENCODING turns to hashtable at the configured limits, for good", "[hash]") {
  Server s;
  fill(s, "h", 512);
  CHECK(encoding(s, "h") == "listpack");
  SECTION("by one field more") {
    s.run({"HSET", "h", "f1", "again"});
    CHECK(encoding(s, "h") == "listpack");
    SECTION("HSET") {
      s.run({"HSET", "h", "f1", "1", "more", "1", "more", "2"});
    }
    SECTION("HSETNX") {
      s.run({"HSETNX", "h", "more", "1"});
    }
    SECTION("HINCRBY") {
      s.run({"HINCRBY", "h", "more", "1"});
    }
    SECTION("HINCRBYFLOAT") {
      s.run({"HINCRBYFLOAT", "h", "more", "1"});
    }
    CHECK(encoding(s, "h") == "hashtable");
    s.run({"HDEL", "h", "more", "f1", "f2"});
    CHECK(encoding(s, "h") == "hashtable");
  }
  SECTION("by a long field or value") {
    s.run({"HSET", "a", std::string(64, 'f'), std::string(64, 'v')});
    CHECK(encoding(s, "a") == "listpack");
    s.run({"HSET", "a", "f", std::string(65, 'v')});
    CHECK(encoding(s, "a") == "hashtable");
    s.run({"HSET", "a", "f", "short"});
    CHECK(encoding(s, "a") == "hashtable");
    s.run({"HINCRBY", "b", std::string(65, 'f'), "1"});
    CHECK(encoding(s, "b") == "hashtable");
  }
  SECTION("by a lowered limit and any write") {
    s.state.options.keyspace.hash_max_listpack_entries = 2;
    CHECK(encoding(s, "h") == "listpack");
    s.run({"HSET", "h", "f1", "again"});
    CHECK(encoding(s, "h") == "hashtable");
  }
}

TEST_CASE("HRANDFIELD draws different fields, or with a negative count any", "[hash]") {
  const int size = GENERATE(5, 100, 1000);
  const int count = GENERATE(1, 3, 80, 700);
  Server s;
  fill(s, "h", size);
  const auto expected = static_cast<std::size_t>(std::min(count, size));
  const auto distinct = bulks(s.run({"HRANDFIELD", "h", std::to_string(count)}));
  CHECK(distinct.size() == expected);
  CHECK(std::set<std::string>(distinct.begin(), distinct.end()).size() == expected);
  const auto any = bulks(s.run({"HRANDFIELD", "h", std::to_string(-count), "withvalues"}));
  REQUIRE(any.size() == 2 * static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < any.size(); i += 2) CHECK(any[i] == "f" + any[i + 1]);
}

TEST_CASE("HRANDFIELD gives every field its chance", "[hash]") {
  const int size = GENERATE(10, 300);
  Server s;
  fill(s, "h", size);
  std::map<std::string, int> drawn;
  for (int i = 0; i < 400; ++i) {
    for (const auto& field : bulks(s.run({"HRANDFIELD", "h", std::to_string(size / 2)}))) {
      ++drawn[field];
    }
  }
  CHECK(drawn.size() == static_cast<std::size_t>(size));
  for (const auto& [field, times] : drawn) {
    CAPTURE(field);
    CHECK(times > 130);
    CHECK(times < 270);
  }
}

TEST_CASE("HRANDFIELD refuses counts in Redis's order", "[hash]") {
  Server s;
  CHECK(s.run({"HRANDFIELD", "x", "no", "nonsense"}) == kNotInteger);
  CHECK(s.run({"HRANDFIELD", "x", "1", "nonsense"}) == kSyntax);
  CHECK(s.run({"HRANDFIELD", "x", "1", "withvalues", "x"}) == kSyntax);
  CHECK(s.run({"HRANDFIELD", "x", "-9223372036854775808"}) ==
        error("ERR value is out of range, value must between -9223372036854775807 and "
              "9223372036854775807"));
  CHECK(s.run({"HRANDFIELD", "x", "-4611686018427387904", "withvalues"}) ==
        error("ERR value is out of range"));
  CHECK(s.run({"HRANDFIELD", "x", "-4611686018427387903", "withvalues"}) == kEmpty);
}

TEST_CASE("a reply of HRANDFIELD beyond the output limit closes the connection", "[hash]") {
  Server s;
  s.state.options.limits.client_output_buffer_limit.normal.hard = 100'000;
  s.run({"HSET", "h", "f", "v"});
  CHECK(s.run({"HRANDFIELD", "h", "-9223372036854775807"}).size() < 200'000);
  CHECK(s.client->fate == client::Fate::kCloseNow);
}

TEST_CASE("HSCAN meets every field", "[hash]") {
  const int size = GENERATE(3, 512, 513, 5000);
  Server s;
  fill(s, "h", size);
  std::set<std::string> met;
  std::string cursor = "0";
  int calls = 0;
  do {
    const auto reply = bulks(s.run({"HSCAN", "h", cursor, "COUNT", "100"}));
    for (std::size_t i = 1; i < reply.size(); i += 2) {
      CHECK(reply[i] == "f" + reply[i + 1]);
      met.insert(reply[i]);
    }
    cursor = reply[0];
    ++calls;
  } while (cursor != "0");
  CHECK(met.size() == static_cast<std::size_t>(size));
  // As in Redis, what shows as a listpack comes at once.
  if (size <= 512) CHECK(calls == 1);
}

TEST_CASE("HSCAN MATCH looks at the fields alone", "[hash]") {
  Server s;
  s.run({"HSET", "h", "apple", "1", "pear", "apple", "apricot", "2"});
  CHECK(s.run({"HSCAN", "h", "0", "match", "ap*"}) ==
        "*2\r\n" + bulk("0") + array({"apple", "1", "apricot", "2"}));
  CHECK(s.run({"HSCAN", "h", "x"}) == error("ERR invalid cursor"));
  CHECK(s.run({"HSCAN", "h", "0", "COUNT", "0"}) == kSyntax);
  CHECK(s.run({"HSCAN", "h", "0", "TYPE", "hash"}) == kSyntax);
  CHECK(s.run({"HSCAN", "h", "0", "NOVALUES"}) == kSyntax);
}

TEST_CASE("hashes agree with maps after any stream of commands", "[hash][model]") {
  const bool holds = rc::check("hash commands", [] {
    const auto choices = *rc::gen::scale(
        6, rc::gen::container<std::vector<std::uint64_t>>(
               rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>()))));
    Server s;
    std::map<std::string, std::map<std::string, std::string>> model;
    for (const std::uint64_t choice : choices) {
      Random random(choice);
      const std::string key = "h" + std::to_string(random.below(3));
      auto& hash = model[key];
      const auto any_field = [&] { return "f" + std::to_string(random.below(200)); };
      const auto any_value = [&] {
        return random.below(30) == 0 ? std::string(70'000, 'x') : std::to_string(random.below(99));
      };
      const std::string field = any_field();
      const std::string value = any_value();
      switch (random.below(7)) {
        case 0:
        case 1: {
          std::vector<std::string> words{"HSET", key};
          const std::size_t before = hash.size();
          for (std::uint64_t i = 0, n = 1 + random.below(60); i < n; ++i) {
            words.push_back(any_field());
            words.push_back(any_value());
            hash[words[words.size() - 2]] = words.back();
          }
          RC_ASSERT(s.run(words) == number(static_cast<std::int64_t>(hash.size() - before)));
          break;
        }
        case 2: {
          std::vector<std::string> words{"HDEL", key};
          std::int64_t erased = 0;
          for (std::uint64_t i = 0, n = 1 + random.below(80); i < n; ++i) {
            words.push_back(any_field());
            erased += static_cast<std::int64_t>(hash.erase(words.back()));
          }
          RC_ASSERT(s.run(words) == number(erased));
          break;
        }
        case 3:
          RC_ASSERT(s.run({"HSETNX", key, field, value}) ==
                    number(hash.emplace(field, value).second ? 1 : 0));
          break;
        case 4: {
          const auto at = hash.find(field);
          if (at != hash.end() && at->second.size() > 20) break;
          const std::int64_t sum = 7 + (at != hash.end() ? *parse_int(at->second) : 0);
          hash[field] = std::to_string(sum);
          RC_ASSERT(s.run({"HINCRBY", key, field, "7"}) == number(sum));
          break;
        }
        case 5: {
          const auto at = hash.find(field);
          RC_ASSERT(s.run({"HGET", key, field}) == (at != hash.end() ? bulk(at->second) : kNull));
          break;
        }
        default: {
          const auto all = bulks(s.run({"HGETALL", key}));
          std::map<std::string, std::string> fields;
          for (std::size_t i = 0; i < all.size(); i += 2) fields.emplace(all[i], all[i + 1]);
          RC_ASSERT(2 * fields.size() == all.size());
          RC_ASSERT(fields == hash);
          RC_ASSERT(s.run({"HLEN", key}) == number(static_cast<std::int64_t>(hash.size())));
          RC_ASSERT(s.run({"EXISTS", key}) == number(hash.empty() ? 0 : 1));
        }
      }
    }
  });
  CHECK(holds);
}
