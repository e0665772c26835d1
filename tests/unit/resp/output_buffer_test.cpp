#include "protocol/resp/output_buffer.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <string>

using namespace holdfast;
using namespace holdfast::resp;

namespace {
std::string take(OutputBuffer& output, std::size_t bytes) {
  std::array<std::string_view, 64> parts;
  std::string text;
  while (text.size() < bytes) {
    const std::size_t count = output.gather(parts.data(), parts.size(), bytes - text.size());
    if (count == 0) break;
    std::size_t taken = 0;
    for (std::size_t i = 0; i < count; ++i) {
      text += parts[i];
      taken += parts[i].size();
    }
    output.consume(taken);
  }
  return text;
}
}  // namespace

TEST_CASE("what is appended comes out in order, through blocks and chunks", "[output]") {
  OutputBuffer output;
  const Chunked chunks{std::string(2 * kChunkBytes + 10, 'c')};
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    const std::string text = "reply " + std::to_string(i) + "\r\n";
    output.append(text);
    expected += text;
    if (i % 1000 == 7) {
      output.append_chunked(chunks, 5, 2 * kChunkBytes);
      expected += std::string(2 * kChunkBytes, 'c');
    }
  }
  CHECK(output.pending_bytes() == expected.size());
  std::string got;
  while (output.pending_bytes() > 0) got += take(output, 1234);
  CHECK(got == expected);
}

TEST_CASE("bytes behind a watermark wait until its index is committed", "[output][gate]") {
  OutputBuffer output;
  output.append("free");
  const std::size_t begin = output.position();
  output.append("held5");
  output.depend_on(begin, {LogIndex{5}});
  const std::size_t second = output.position();
  output.append("behind");
  output.depend_on(second, {LogIndex{3}});  // committed earlier, but must not overtake
  CHECK(output.sendable_bytes({LogIndex{4}}) == 4);
  CHECK(take(output, 4) == "free");
  CHECK(output.sendable_bytes({LogIndex{4}}) == 0);
  CHECK(output.sendable_bytes({LogIndex{5}}) == 11);
  CHECK(take(output, 11) == "held5behind");
  CHECK(output.sendable_bytes({LogIndex{5}}) == 0);
}

TEST_CASE("replies that depend on rising indices are released step by step", "[output][gate]") {
  OutputBuffer output;
  for (std::uint64_t index = 1; index <= 3; ++index) {
    const std::size_t begin = output.position();
    output.append("ab");
    output.depend_on(begin, {LogIndex{index}});
  }
  CHECK(output.sendable_bytes({LogIndex{0}}) == 0);
  CHECK(output.sendable_bytes({LogIndex{1}}) == 2);
  CHECK(output.sendable_bytes({LogIndex{2}}) == 4);
  CHECK(output.sendable_bytes({LogIndex{9}}) == 6);
}

TEST_CASE("a reply that waits for a round of reads holds up what is behind it", "[output][gate]") {
  OutputBuffer output;
  output.append("write");
  output.depend_on(0, {LogIndex{7}});
  const std::size_t read = output.position();
  output.append("read");
  output.depend_on(read, {LogIndex{2}, ReadRound{4}});
  const std::size_t behind = output.position();
  output.append("behind");
  output.depend_on(behind, {LogIndex{8}});
  CHECK(output.sendable_bytes({LogIndex{6}, ReadRound{9}}) == 0);
  CHECK(output.sendable_bytes({LogIndex{7}, ReadRound{3}}) == 5);
  CHECK(output.sendable_bytes({LogIndex{9}, ReadRound{3}}) == 5);
  CHECK(output.sendable_bytes({LogIndex{7}, ReadRound{4}}) == 9);
  CHECK(output.sendable_bytes({LogIndex{8}, ReadRound{4}}) == 15);
}
