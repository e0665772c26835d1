// Strings: options, limits and encodings, and a model of all changing commands.
#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/chunked.hpp"
#include "base/random.hpp"
#include "base/text.hpp"
#include "tests/unit/commands/fixture.hpp"

using namespace holdfast;
using namespace holdfast::commands;

namespace {

const std::string kWrongType = error(kWrongTypeError);
const std::string kNotInteger = error(kNotIntegerError);
const std::string kSyntax = error(kSyntaxError);

}  // namespace

TEST_CASE("SET and GET", "[string]") {
  Server s;
  CHECK(s.run({"GET", "a"}) == kNull);
  CHECK(s.run({"SET", "a", "1"}) == kOk);
  CHECK(s.run({"GET", "a"}) == bulk("1"));
  CHECK(s.run({"SET", "", ""}) == kOk);
  CHECK(s.run({"GET", ""}) == bulk(""));
}

TEST_CASE("a plain SET is one mutation, on an overdue key too", "[string]") {
  Server s;
  s.run({"SET", "a", "1", "PX", "10"});
  s.advance_ms(10);
  CHECK(s.run({"SET", "a", "2"}) == kOk);
  CHECK(s.last_emitted == 1);
  CHECK(s.run({"TTL", "a"}) == number(-1));
}

TEST_CASE("SET NX and XX decide by the key's presence", "[string]") {
  Server s;
  CHECK(s.run({"SET", "a", "1", "XX"}) == kNull);
  CHECK(s.run({"SET", "a", "1", "nx"}) == kOk);
  CHECK(s.run({"SET", "a", "2", "NX"}) == kNull);
  CHECK(s.last_emitted == 0);
  CHECK(s.run({"SET", "a", "3", "XX", "GET"}) == bulk("1"));
  CHECK(s.run({"SET", "a", "4", "NX", "GET"}) == bulk("3"));
  CHECK(s.run({"GET", "a"}) == bulk("3"));
  CHECK(s.run({"SET", "b", "1", "GET"}) == kNull);
  CHECK(s.run({"GET", "b"}) == bulk("1"));
}

TEST_CASE("SET NX takes the place of an overdue key", "[string]") {
  Server s;
  s.run({"SET", "a", "1", "PX", "10"});
  s.advance_ms(9);
  CHECK(s.run({"SET", "a", "2", "NX"}) == kNull);
  s.advance_ms(1);
  CHECK(s.run({"SET", "a", "2", "NX", "GET"}) == kNull);
  CHECK(s.run({"GET", "a"}) == bulk("2"));
  CHECK(s.state.statistics.expired_keys == 1);
}

TEST_CASE("SET clears the expiry time unless it sets or keeps one", "[string]") {
  Server s;
  s.run({"SET", "a", "1", "EX", "100"});
  CHECK(s.run({"PTTL", "a"}) == number(100'000));
  s.run({"SET", "a", "2", "KEEPTTL"});
  CHECK(s.run({"PTTL", "a"}) == number(100'000));
  s.run({"SET", "a", "3", "PXAT", std::to_string(s.now.unix_ms + 7)});
  CHECK(s.run({"PTTL", "a"}) == number(7));
  s.run({"SET", "a", "3", "EXAT", std::to_string(s.now.unix_ms / 1000 + 7)});
  CHECK(s.run({"PTTL", "a"}) == number(7000));
  s.run({"SET", "a", "4"});
  CHECK(s.run({"PTTL", "a"}) == number(-1));
  s.run({"SETEX", "a", "5", "v"});
  CHECK(s.run({"PTTL", "a"}) == number(5000));
  s.run({"PSETEX", "a", "5", "v"});
  CHECK(s.run({"PTTL", "a"}) == number(5));
}

TEST_CASE("SET refuses options that exclude each other", "[string]") {
  Server s;
  for (const std::vector<std::string>& options : {std::vector<std::string>{"NX", "XX"},
                                                  {"EX", "1", "PX", "1"},
                                                  {"KEEPTTL", "EX", "1"},
                                                  {"EXAT", "1", "KEEPTTL"},
                                                  {"EX"},
                                                  {"PXAT", "1", "EXAT", "1"},
                                                  {"PERSIST"},
                                                  {"FOO"}}) {
    std::vector<std::string> command{"SET", "a", "1"};
    command.insert(command.end(), options.begin(), options.end());
    CAPTURE(options);
    CHECK(s.run(command) == kSyntax);
  }
  CHECK(s.run({"SET", "a", "1", "EX", "10", "EX", "20"}) == kOk);
  CHECK(s.run({"TTL", "a"}) == number(20));
}

TEST_CASE("expiry times that are no time are refused", "[string]") {
  Server s;
  const std::string invalid = error("ERR invalid expire time in 'set' command");
  for (const char* unit : {"EX", "PX", "EXAT", "PXAT"}) {
    CAPTURE(unit);
    CHECK(s.run({"SET", "a", "1", unit, "0"}) == invalid);
    CHECK(s.run({"SET", "a", "1", unit, "-1"}) == invalid);
    CHECK(s.run({"SET", "a", "1", unit, "-9223372036854775808"}) == invalid);
    CHECK(s.run({"SET", "a", "1", unit, "9223372036854775808"}) == kNotInteger);
    CHECK(s.run({"SET", "a", "1", unit, "1.5"}) == kNotInteger);
  }
  for (const char* unit : {"EX", "EXAT"}) {
    CHECK(s.run({"SET", "a", "1", unit, "9223372036854776"}) == invalid);
  }
  CHECK(s.run({"SET", "a", "1", "PX", "9223372036854775807"}) == invalid);
  CHECK(s.run({"SET", "a", "1", "EX", "9223372036854775"}) == invalid);
  CHECK(s.run({"SETEX", "a", "0", "1"}) == error("ERR invalid expire time in 'setex' command"));
  CHECK(s.run({"PSETEX", "a", "-1", "1"}) == error("ERR invalid expire time in 'psetex' command"));
  CHECK(s.run({"GET", "a"}) == kNull);
  CHECK(s.run({"SET", "a", "1", "PXAT", "9223372036854775807"}) == kOk);
  CHECK(s.run({"PEXPIRETIME", "a"}) == number(INT64_MAX));
  CHECK(s.run({"EXPIRETIME", "a"}) == number(9223372036854776));
}

TEST_CASE("GETEX changes the expiry time of what it returns", "[string]") {
  Server s;
  CHECK(s.run({"GETEX", "a", "EX", "0"}) == kNull);  // the key is looked for first
  s.run({"SET", "a", "v"});
  CHECK(s.run({"GETEX", "a"}) == bulk("v"));
  CHECK(s.last_emitted == 0);
  CHECK(s.run({"GETEX", "a", "EX", "0"}) == error("ERR invalid expire time in 'getex' command"));
  CHECK(s.run({"GETEX", "a", "PX", "500"}) == bulk("v"));
  CHECK(s.run({"PTTL", "a"}) == number(500));
  CHECK(s.run({"GETEX", "a", "PERSIST"}) == bulk("v"));
  CHECK(s.run({"PTTL", "a"}) == number(-1));
  CHECK(s.run({"GETEX", "a", "PERSIST", "EX", "1"}) == kSyntax);
  CHECK(s.run({"GETEX", "a", "KEEPTTL"}) == kSyntax);
  CHECK(s.run({"GETEX", "a", "PXAT", "1"}) == bulk("v"));
  CHECK(s.run({"EXISTS", "a"}) == number(0));
}

TEST_CASE("GETSET and GETDEL return what was there", "[string]") {
  Server s;
  CHECK(s.run({"GETSET", "a", "1"}) == kNull);
  s.run({"EXPIRE", "a", "100"});
  CHECK(s.run({"GETSET", "a", "2"}) == bulk("1"));
  CHECK(s.run({"TTL", "a"}) == number(-1));
  CHECK(s.run({"GETDEL", "a"}) == bulk("2"));
  CHECK(s.run({"GETDEL", "a"}) == kNull);
  CHECK(s.last_emitted == 0);
}

TEST_CASE("commands of strings leave other types alone, but SET replaces them", "[string]") {
  Server s;
  s.run({"HSET", "h", "f", "v"});
  const std::vector<std::vector<std::string>> commands{{"GET", "h"},
                                                       {"GETSET", "h", "1"},
                                                       {"GETDEL", "h"},
                                                       {"GETEX", "h", "EX", "0"},
                                                       {"APPEND", "h", "1"},
                                                       {"STRLEN", "h"},
                                                       {"GETRANGE", "h", "0", "1"},
                                                       {"INCR", "h"},
                                                       {"INCRBY", "h", "1"},
                                                       {"INCRBYFLOAT", "h", "1"},
                                                       {"SETRANGE", "h", "0", "1"},
                                                       {"SET", "h", "1", "GET"},
                                                       {"SETRANGE", "h", "0", ""}};
  for (const auto& command : commands) {
    CAPTURE(command[0]);
    CHECK(s.run(command) == kWrongType);
    CHECK(s.last_emitted == 0);
  }
  CHECK(s.run({"MGET", "h", "none"}) == "*2\r\n$-1\r\n$-1\r\n");
  CHECK(s.run({"SETNX", "h", "1"}) == number(0));
  CHECK(s.run({"SET", "h", "1"}) == kOk);
  CHECK(s.run({"TYPE", "h"}) == "+string\r\n");
}

TEST_CASE("MSET and MSETNX take pairs", "[string]") {
  Server s;
  CHECK(s.run({"MSET", "a", "1", "b"}) ==
        error("ERR wrong number of arguments for 'mset' command"));
  CHECK(s.run({"MSETNX", "a", "1", "b"}) ==
        error("ERR wrong number of arguments for 'msetnx' command"));
  CHECK(s.run({"MSET", "a", "1", "b", "2", "a", "3"}) == kOk);
  CHECK(s.run({"MGET", "a", "x", "b"}) == "*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n");
  CHECK(s.run({"MSETNX", "c", "1", "b", "2"}) == number(0));
  CHECK(s.run({"EXISTS", "c"}) == number(0));
  CHECK(s.run({"MSETNX", "c", "1", "d", "2"}) == number(1));
}

TEST_CASE("INCR and its kin stop at the ends of 64 bits and keep the expiry time", "[string]") {
  Server s;
  CHECK(s.run({"INCR", "n"}) == number(1));
  CHECK(s.run({"DECRBY", "n", "3"}) == number(-2));
  s.run({"EXPIRE", "n", "100"});
  CHECK(s.run({"INCRBY", "n", "12"}) == number(10));
  CHECK(s.run({"TTL", "n"}) == number(100));
  const std::string overflow = error("ERR increment or decrement would overflow");
  s.run({"SET", "n", "9223372036854775807"});
  CHECK(s.run({"INCR", "n"}) == overflow);
  CHECK(s.run({"INCRBY", "n", "-9223372036854775808"}) == number(-1));
  CHECK(s.run({"INCRBY", "n", "-9223372036854775808"}) == overflow);
  CHECK(s.run({"DECRBY", "n", "9223372036854775807"}) == number(INT64_MIN));
  CHECK(s.run({"DECR", "n"}) == overflow);
  CHECK(s.run({"DECRBY", "n", "-9223372036854775808"}) == error("ERR decrement would overflow"));
  for (const char* text : {"", " 1", "1 ", "01", "+1", "-0", "1.0", "9223372036854775808"}) {
    CAPTURE(text);
    s.run({"SET", "x", text});
    CHECK(s.run({"INCR", "x"}) == kNotInteger);
    CHECK(s.run({"INCRBY", "y", text}) == kNotInteger);
  }
  CHECK(s.run({"EXISTS", "y"}) == number(0));
}

TEST_CASE("INCRBYFLOAT", "[string]") {
  Server s;
  CHECK(s.run({"INCRBYFLOAT", "f", "10.5"}) == bulk("10.5"));
  s.run({"EXPIRE", "f", "100"});
  CHECK(s.run({"INCRBYFLOAT", "f", "0.1"}) == bulk("10.6"));
  CHECK(s.run({"TTL", "f"}) == number(100));
  CHECK(s.run({"INCRBYFLOAT", "f", "-10.6"}) == bulk("0"));
  CHECK(s.run({"OBJECT", "ENCODING", "f"}) == bulk("embstr"));
  CHECK(s.run({"INCRBYFLOAT", "f", "5.0e3"}) == bulk("5000"));
  CHECK(s.run({"INCRBYFLOAT", "f", "x"}) == error("ERR value is not a valid float"));
  CHECK(s.run({"INCRBYFLOAT", "f", "inf"}) == error("ERR increment would produce NaN or Infinity"));
  s.run({"SET", "f", "abc"});
  CHECK(s.run({"INCRBYFLOAT", "f", "1"}) == error("ERR value is not a valid float"));
}

TEST_CASE("INCRBYFLOAT goes on from its longest results", "[string]") {
  Server s;
  const std::string huge = s.run({"INCRBYFLOAT", "f", "1e4000"});
  CHECK(huge.substr(0, 7) == "$4000\r\n");
  CHECK(s.run({"INCRBYFLOAT", "f", "1"}) == huge);
  CHECK(s.run({"OBJECT", "ENCODING", "f"}) == bulk("raw"));
}

TEST_CASE("APPEND and SETRANGE keep the expiry time and respect the limit of a string",
          "[string]") {
  config::Options options;
  options.limits.proto_max_bulk_len = 100;
  Server s(options);
  const std::string too_long =
      error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  CHECK(s.run({"APPEND", "a", "Hello"}) == number(5));
  s.run({"EXPIRE", "a", "100"});
  CHECK(s.run({"APPEND", "a", " World"}) == number(11));
  CHECK(s.run({"SETRANGE", "a", "6", "Redis"}) == number(11));
  CHECK(s.run({"GET", "a"}) == bulk("Hello Redis"));
  CHECK(s.run({"TTL", "a"}) == number(100));
  CHECK(s.run({"APPEND", "a", std::string(90, 'x')}) == too_long);
  CHECK(s.run({"SETRANGE", "a", "99", "xx"}) == too_long);
  CHECK(s.run({"SETRANGE", "a", "9223372036854775807", "xx"}) == too_long);
  CHECK(s.run({"SETRANGE", "none", "99", "xx"}) == too_long);
  CHECK(s.run({"SETRANGE", "a", "99", "x"}) == number(100));
  CHECK(s.run({"SETRANGE", "a", "-1", "x"}) == error("ERR offset is out of range"));
  CHECK(s.run({"SETRANGE", "none", "5", ""}) == number(0));
  CHECK(s.run({"SETRANGE", "none", "101", ""}) == number(0));
  CHECK(s.run({"EXISTS", "none"}) == number(0));
  CHECK(s.run({"SETRANGE", "z", "2", "x"}) == number(3));
  CHECK(s.run({"GET", "z"}) == bulk(std::string("\0\0x", 3)));
}

TEST_CASE("GETRANGE counts from both ends", "[string]") {
  Server s;
  s.run({"SET", "a", "This is a string"});
  CHECK(s.run({"GETRANGE", "a", "0", "3"}) == bulk("This"));
  CHECK(s.run({"GETRANGE", "a", "-3", "-1"}) == bulk("ing"));
  CHECK(s.run({"SUBSTR", "a", "0", "-1"}) == bulk("This is a string"));
  CHECK(s.run({"GETRANGE", "a", "10", "100"}) == bulk("string"));
  CHECK(s.run({"GETRANGE", "a", "5", "3"}) == bulk(""));
  CHECK(s.run({"GETRANGE", "a", "-100", "-99"}) == bulk("T"));
  CHECK(s.run({"GETRANGE", "a", "-99", "-100"}) == bulk(""));
  CHECK(s.run({"GETRANGE", "a", "16", "16"}) == bulk(""));
  CHECK(s.run({"GETRANGE", "a", "-9223372036854775808", "9223372036854775807"}) ==
        bulk("This is a string"));
  CHECK(s.run({"GETRANGE", "none", "0", "-1"}) == bulk(""));
  CHECK(s.run({"GETRANGE", "a", "x", "1"}) == kNotInteger);
}

TEST_CASE("OBJECT ENCODING tells how the string came about", "[string]") {
  Server s;
  const auto encoding = [&](const char* key) {
    const std::string reply = s.run({"OBJECT", "ENCODING", key});
    const std::size_t begin = reply.find("\r\n") + 2;
    return reply.substr(begin, reply.size() - begin - 2);
  };
  const auto of = [&](const std::string& value) {
    s.run({"SET", "a", value});
    return encoding("a");
  };
  CHECK(of("123") == "int");
  CHECK(of("-9223372036854775808") == "int");
  CHECK(of("9223372036854775808") == "embstr");
  CHECK(of("0123") == "embstr");
  CHECK(of("") == "embstr");
  CHECK(of(std::string(44, 'x')) == "embstr");
  CHECK(of(std::string(45, 'x')) == "raw");
  CHECK(of(std::string(70'000, '1')) == "raw");

  s.run({"SET", "a", "12"});
  s.run({"APPEND", "a", ""});
  CHECK(encoding("a") == "raw");
  s.run({"APPEND", "b", "12"});
  CHECK(encoding("b") == "int");
  s.run({"SETRANGE", "c", "0", "12"});
  CHECK(encoding("c") == "raw");
  s.run({"INCR", "c"});
  CHECK(encoding("c") == "int");
  s.run({"INCRBYFLOAT", "c", "1"});
  CHECK(encoding("c") == "embstr");
  s.run({"COPY", "a", "d"});
  CHECK(encoding("d") == "raw");
  s.run({"RENAME", "c", "e"});
  CHECK(encoding("e") == "embstr");
}

TEST_CASE("reads count hits and misses, whatever else the command does", "[string]") {
  Server s;
  s.run({"SET", "a", "1"});
  s.run({"GET", "a"});
  s.run({"GETSET", "a", "2"});
  s.run({"INCR", "a"});
  CHECK(s.state.statistics.keyspace_hits == 2);
  s.run({"GET", "x"});
  s.run({"SET", "x", "1", "GET"});
  s.run({"APPEND", "y", "1"});
  CHECK(s.state.statistics.keyspace_misses == 2);
}

// --- the model: every changing command against a map of strings, with values on both sides of the
// border to chunks.
namespace {

struct ModelValue {
  std::string text;
  std::optional<UnixMs> expire_at;
};

class StringModel {
 public:
  explicit StringModel(std::uint64_t seed) : random_(seed) {}

  void step() {
    const std::string key = "k" + std::to_string(random_.below(4));
    drop_overdue();
    const auto found = map_.find(key);
    const bool present = found != map_.end();
    switch (random_.below(10)) {
      case 0: {
        const std::string value = some_bytes();
        expect({"SET", key, value}, kOk);
        map_[key] = {value, {}};
        break;
      }
      case 1: {
        const std::string value = some_bytes();
        const auto ttl = static_cast<UnixMs>(1 + random_.below(50));
        expect({"PSETEX", key, std::to_string(ttl), value}, kOk);
        map_[key] = {value, server_.now.unix_ms + ttl};
        break;
      }
      case 2: {
        const std::string value = some_bytes();
        ModelValue& model = map_[key];
        model.text += value;
        expect({"APPEND", key, value}, number(size_of(model)));
        break;
      }
      case 3: {
        const std::string value = some_bytes();
        const std::size_t offset = random_.below(present ? found->second.text.size() + 100 : 100);
        if (value.empty() && !present) break;
        ModelValue& model = map_[key];
        if (!value.empty() && model.text.size() < offset + value.size()) {
          model.text.resize(offset + value.size());
        }
        std::copy(value.begin(), value.end(),
                  model.text.begin() + static_cast<std::ptrdiff_t>(value.empty() ? 0 : offset));
        expect({"SETRANGE", key, std::to_string(offset), value}, number(size_of(model)));
        break;
      }
      case 4:
        expect({"GET", key}, present ? bulk(found->second.text) : kNull);
        break;
      case 5: {
        if (!present || found->second.text.empty()) break;
        const std::size_t size = found->second.text.size();
        const std::size_t begin = random_.below(size);
        const std::size_t end = begin + random_.below(size - begin);
        expect({"GETRANGE", key, std::to_string(begin), std::to_string(end)},
               bulk(found->second.text.substr(begin, end - begin + 1)));
        break;
      }
      case 6: {
        const bool number_there = present && parse_int(found->second.text).has_value();
        if (present && !number_there) break;
        const std::int64_t next = (present ? *parse_int(found->second.text) : 0) + 1;
        if (next == INT64_MIN) break;
        expect({"INCR", key}, number(next));
        map_[key].text = std::to_string(next);
        break;
      }
      case 7:
        expect({"GETDEL", key}, present ? bulk(found->second.text) : kNull);
        map_.erase(key);
        break;
      case 8: {
        const std::string value = some_bytes();
        expect({"SET", key, value, "KEEPTTL", "XX"}, present ? kOk : kNull);
        if (present) found->second.text = value;
        break;
      }
      default:
        server_.advance_ms(static_cast<std::int64_t>(random_.below(20)));
        break;
    }
    drop_overdue();
    for (const auto& [name, model] : map_) {
      expect({"STRLEN", name}, number(size_of(model)));
      const auto ttl = model.expire_at ? *model.expire_at - server_.now.unix_ms : -1;
      expect({"PTTL", name}, number(ttl));
    }
  }

 private:
  void expect(const std::vector<std::string>& command, const std::string& reply) {
    if (server_.run(command) != reply) RC_FAIL("another answer to " + command[0]);
  }
  static std::int64_t size_of(const ModelValue& model) {
    return static_cast<std::int64_t>(model.text.size());
  }
  void drop_overdue() {
    std::erase_if(map_, [&](const auto& one) {
      return one.second.expire_at && *one.second.expire_at <= server_.now.unix_ms;
    });
  }
  std::string some_bytes() {
    switch (random_.below(6)) {
      case 0:
        return "";
      case 1:
        return std::to_string(static_cast<std::int64_t>(random_.below(1000)));
      case 2:
        return std::string(kChunkedBytesMin - 1 + random_.below(3),
                           static_cast<char>(random_.below(256)));
      case 3:
        return std::string(random_.below(200'000), static_cast<char>(random_.below(256)));
      default:
        return std::string(random_.below(300), static_cast<char>(random_.below(256)));
    }
  }

  Server server_;
  Random random_;
  std::map<std::string, ModelValue> map_;
};

}  // namespace

TEST_CASE("strings behave as a map of strings does", "[string][model]") {
  CHECK(rc::check([](std::uint64_t seed) {
    StringModel model(seed);
    for (int i = 0; i < 60; ++i) model.step();
  }));
}
