#include "protocol/resp/request_parser.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

using namespace holdfast;
using namespace holdfast::resp;

namespace {

using Requests = std::vector<std::vector<std::string>>;

struct Parsed {
  Requests requests;
  std::string error;
};

std::string owned(const Argument& argument) {
  return argument.chunks != nullptr ? argument.chunks->str() : std::string(argument.bytes);
}

void feed(RequestParser& parser, std::string_view bytes, Parsed& parsed) {
  while (!bytes.empty() && parsed.error.empty()) {
    const auto [room, room_bytes] = parser.read_room();
    const std::size_t count = std::min(room_bytes, bytes.size());
    std::memcpy(room, bytes.data(), count);
    parser.commit(count);
    bytes.remove_prefix(count);
    while (true) {
      const ParseStatus status = parser.next();
      if (status == ParseStatus::kNeedMore) break;
      if (status == ParseStatus::kError) {
        parsed.error = parser.error();
        break;
      }
      parsed.requests.emplace_back();
      for (const Argument& argument : parser.arguments())
        parsed.requests.back().push_back(owned(argument));
    }
  }
}

Parsed parse(std::string_view bytes, std::size_t step = 0, bool authenticated = true) {
  RequestParser parser;
  parser.limits().authenticated = authenticated;
  Parsed parsed;
  if (step == 0) step = std::max<std::size_t>(bytes.size(), 1);
  for (std::size_t at = 0; at < bytes.size(); at += step)
    feed(parser, bytes.substr(at, step), parsed);
  return parsed;
}

std::string request(const std::vector<std::string>& arguments) {
  std::string bytes = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string& argument : arguments) {
    bytes += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  }
  return bytes;
}

}  // namespace

TEST_CASE("a pipeline gives the same requests whole, byte by byte and split at every point",
          "[parser]") {
  const Requests expected = {
      {"SET", "k", std::string("v\r\n\0x", 5)}, {"GET", ""}, {"PING"}, {"ping", "a b"}, {"X"}};
  std::string bytes;
  bytes += request(expected[0]) + request(expected[1]);
  bytes += "*0\r\n*-1\r\n\r\n  \r\n";  // empty requests are passed over
  bytes += request(expected[2]);
  bytes += "ping \"a b\"\r\n";
  bytes += "X\n";
  CHECK(parse(bytes).requests == expected);
  CHECK(parse(bytes, 1).requests == expected);
  for (std::size_t split = 1; split < bytes.size(); ++split) {
    RequestParser parser;
    Parsed parsed;
    feed(parser, std::string_view(bytes).substr(0, split), parsed);
    feed(parser, std::string_view(bytes).substr(split), parsed);
    CAPTURE(split);
    REQUIRE(parsed.error.empty());
    REQUIRE(parsed.requests == expected);
  }
}

TEST_CASE("large arguments arrive in chunks and whole, whatever the split", "[parser]") {
  std::string large(3 * kChunkBytes + 5, 'x');
  for (std::size_t i = 0; i < large.size(); i += 7) large[i] = static_cast<char>('a' + i % 26);
  const Requests expected = {{"SET", "k", large, "EX", "10"},
                             {"MSET", "a", std::string(kChunkedBytesMin, 'y'), "b",
                              std::string(kChunkedBytesMin - 1, 'z')},
                             {"PING"}};
  std::string bytes;
  for (const auto& one : expected) bytes += request(one);
  for (const std::size_t step : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{1000},
                                 kChunkBytes, kChunkBytes + 1}) {
    CAPTURE(step);
    REQUIRE(parse(bytes, step).requests == expected);
  }
}

TEST_CASE("malformed requests get Redis's protocol errors", "[parser]") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"*abc\r\n", "ERR Protocol error: invalid multibulk length"},
      {"*1048577\r\n", "ERR Protocol error: invalid multibulk length"},
      {"*1\r\n+PING\r\n", "ERR Protocol error: expected '$', got '+'"},
      {"*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length"},
      {"*1\r\n$536870913\r\n", "ERR Protocol error: invalid bulk length"},
      {"*1\r\n$abc\r\n", "ERR Protocol error: invalid bulk length"},
      {"set \"a\r\n", "ERR Protocol error: unbalanced quotes in request"},
      {"set \"a\"b\r\n", "ERR Protocol error: unbalanced quotes in request"},
      {std::string(70'000, 'a'), "ERR Protocol error: too big inline request"},
      {"*" + std::string(70'000, '1'), "ERR Protocol error: too big mbulk count string"},
      {"*1\r\n$" + std::string(70'000, '1'), "ERR Protocol error: too big bulk count string"},
  };
  for (const auto& [bytes, error] : cases) {
    CAPTURE(bytes.substr(0, 30));
    CHECK(parse(bytes).error == error);
    CHECK(parse(bytes, 4096).error == error);
  }
}

TEST_CASE("a TLS handshake is told apart from an inline command that is still coming", "[parser]") {
  const std::string text = "ERR Protocol error: a TLS handshake, but there is no TLS on this port";
  CHECK(parse("\x16\x03\x01").error == text);
  CHECK(parse("\x16\x03\x01", 1).error == text);
  CHECK(parse("\r\n\x16\x03").error == text);
  CHECK(parse("\x16").error.empty());
  CHECK(parse("\x16\r\n").requests == Requests{{"\x16"}});
  CHECK(parse("*1\r\n$2\r\n\x16\x03\r\n").requests == Requests{{"\x16\x03"}});
}

TEST_CASE("requests before a malformed one are carried out once", "[parser]") {
  const Parsed parsed = parse(request({"SET", "a", "b"}) + request({"PING"}) + "*1\r\n+x\r\n");
  CHECK(parsed.requests == Requests{{"SET", "a", "b"}, {"PING"}});
  CHECK(parsed.error == "ERR Protocol error: expected '$', got '+'");
}

TEST_CASE("a pipeline longer than the look-ahead comes whole", "[parser]") {
  std::string bytes;
  Requests expected;
  for (int i = 0; i < 1000; ++i) {
    expected.push_back({"GET", std::to_string(i)});
    bytes += request(expected.back());
  }
  CHECK(parse(bytes).requests == expected);
  CHECK(parse(bytes, 100).requests == expected);
}

TEST_CASE("before authentication only small requests are taken", "[parser]") {
  CHECK(parse("*11\r\n", 0, false).error == "ERR Protocol error: unauthenticated multibulk length");
  CHECK(parse("*2\r\n$4\r\nAUTH\r\n$16385\r\n", 0, false).error ==
        "ERR Protocol error: unauthenticated bulk length");
  CHECK(parse(request({"AUTH", "secret"}), 0, false).requests == Requests{{"AUTH", "secret"}});
}

TEST_CASE("inline commands know Redis's quoting", "[parser]") {
  CHECK(parse("set k \"a\\x41\\n\\\"\" 'it\\'s'\r\n").requests ==
        Requests{{"set", "k", "aA\n\"", "it's"}});
  CHECK(parse("  get   k  \r\n").requests == Requests{{"get", "k"}});
}

TEST_CASE("after an error nothing more is parsed", "[parser]") {
  RequestParser parser;
  Parsed parsed;
  feed(parser, "*1\r\n+\r\n", parsed);
  const auto [room, room_bytes] = parser.read_room();
  REQUIRE(room_bytes > 6);
  std::memcpy(room, "PING\r\n", 6);
  parser.commit(6);
  CHECK(parser.next() == ParseStatus::kError);
}

TEST_CASE("an idle parser gives its buffer back and goes on", "[parser]") {
  RequestParser parser;
  Parsed parsed;
  feed(parser, "PING\r\n", parsed);
  parser.release_if_empty();
  CHECK(parser.memory_bytes() < kReadBytes);
  feed(parser, "PING\r\n", parsed);
  CHECK(parsed.requests.size() == 2);
}
