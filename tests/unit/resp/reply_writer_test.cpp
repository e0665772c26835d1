#include "protocol/resp/reply_writer.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <string>

using namespace holdfast;
using namespace holdfast::resp;

namespace {
template <typename Write>
std::string written(Version version, Write write) {
  OutputBuffer output;
  ReplyWriter reply(output, version);
  write(reply);
  std::array<std::string_view, 16> parts;
  std::string text;
  const std::size_t count = output.gather(parts.data(), parts.size(), output.pending_bytes());
  for (std::size_t i = 0; i < count; ++i) text += parts[i];
  return text;
}
}  // namespace

TEST_CASE("each meaning has its form in both protocols", "[reply]") {
  const auto both = [](auto write) {
    return std::pair{written(Version::kResp2, write), written(Version::kResp3, write)};
  };
  using Pair = std::pair<std::string, std::string>;
  CHECK(both([](ReplyWriter& r) { r.null(); }) == Pair{"$-1\r\n", "_\r\n"});
  CHECK(both([](ReplyWriter& r) { r.null_array(); }) == Pair{"*-1\r\n", "_\r\n"});
  CHECK(both([](ReplyWriter& r) { r.map(2); }) == Pair{"*4\r\n", "%2\r\n"});
  CHECK(both([](ReplyWriter& r) { r.set(3); }) == Pair{"*3\r\n", "~3\r\n"});
  CHECK(both([](ReplyWriter& r) { r.boolean(true); }) == Pair{":1\r\n", "#t\r\n"});
  CHECK(both([](ReplyWriter& r) { r.number(1.5); }) == Pair{"$3\r\n1.5\r\n", ",1.5\r\n"});
  CHECK(both([](ReplyWriter& r) { r.verbatim("ab"); }) == Pair{"$2\r\nab\r\n", "=6\r\ntxt:ab\r\n"});
  CHECK(both([](ReplyWriter& r) { r.integer(-42); }) == Pair{":-42\r\n", ":-42\r\n"});
}

TEST_CASE("an error text cannot break out of its line", "[reply]") {
  CHECK(written(Version::kResp2, [](ReplyWriter& r) { r.error("ERR a\r\n+OK"); }) ==
        "-ERR a  +OK\r\n");
}

TEST_CASE("a long value is shared, not copied, and whole", "[reply]") {
  const Chunked chunks{std::string(kChunkBytes + 1, 'x')};
  const std::string text = written(Version::kResp2, [&](ReplyWriter& r) { r.bulk(chunks); });
  CHECK(text == "$65537\r\n" + std::string(kChunkBytes + 1, 'x') + "\r\n");
}
