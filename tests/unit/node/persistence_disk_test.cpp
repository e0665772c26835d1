#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/node/storage_fixture.hpp"

namespace holdfast::node {

TEST_CASE("writes wait, and fill no memory, while the disk does not keep up", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  const std::string value(12'000, 'x');
  const std::size_t enough = 2 * 64 * 1024 * 1024 / value.size();
  std::vector<log::WriteNumber> asked;
  const auto note_appends = [&] {
    for (const auto& append : harness.requests_of<log::AppendRequest>())
      asked.push_back(append.write);
  };
  std::size_t written = 0;
  for (; !harness.client->held && written < enough; ++written) {
    harness.call({"SET", "k", value});
    note_appends();
  }
  CHECK(written < enough * 6 / 10);
  CHECK(harness.client->held);
  harness.tell(log::Persisted{asked.back()});
  CHECK_FALSE(harness.node.holds(harness.now));
}

TEST_CASE("a disk that does not answer is treated as one that fails", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  CHECK(harness.call({"SET", "k", "v"}).empty());
  const auto asked = harness.requests_of<log::AppendRequest>();
  REQUIRE(asked.size() == 1);
  for (int i = 0; i < 52; ++i) {
    harness.now.mono_us += 100'000;
    harness.requests();
  }
  const auto effects = harness.node.take_effects();
  REQUIRE(effects.close.size() == 1);
  CHECK(effects.close.front().reason == "write_uncertain");
  std::string said;
  for (const commands::LogLine& line : effects.log_lines) said += line.text;
  CHECK(said.find("is the volume frozen") != std::string::npos);
  client::Client& other = harness.connect();
  CHECK(harness.call_as(other, {"SET", "k", "w"}).find("-MISCONF") == 0);
  harness.tell(log::Persisted{asked.back().write});
  harness.requests();
  CHECK(harness.call_as(other, {"PING"}) == "+PONG\r\n");
}

}  // namespace holdfast::node
