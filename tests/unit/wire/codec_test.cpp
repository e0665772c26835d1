#include "protocol/wire/codec.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/crc32c.hpp"
#include "base/random.hpp"

using namespace holdfast;
using namespace holdfast::wire;

namespace {

Entry entry(std::uint64_t index, std::string_view payload) {
  return {{3}, {index}, -5, 2, Rope::copy_of(payload)};
}

// One of each, with numbers that would show a field read in another's place.
std::vector<Message> one_of_each() {
  std::vector<Message> all;
  const auto add = [&](Body body) { all.push_back({{7}, 2, std::move(body)}); };
  add(VoteRequest{VoteKind::kGeneration, {8}, {1000}, {6}, 3});
  add(VoteReply{VoteKind::kTransfer, {8}, true, Refusal::kLogBehind});
  add(Heartbeat{1, 100000, {300}, {500}, {70000}});
  add(HeartbeatReply{2, {301}, {299}, Claim::kRecovering, true});
  add(AppendEntries{{41}, {2}, {40}, {entry(42, "first"), entry(43, ""), entry(44, "third")}});
  add(AppendEntries{{0}, {0}, {0}, {}});
  add(AppendFragment{{9}, {1}, {8}, {{3}, {10}, 77, 2, {}}, 1000, 600, Rope::copy_of("bytes")});
  add(AppendReply{true, {12}, {11}, {5}, {4}, 99, Claim::kBlank});
  add(Busy{});
  add(Release{77});
  add(TakeOver{{123}, 456});
  add(StatusRequest{0x1122334455667788});
  add(StatusReply{1, Claim::kRecovering, {10}, {9}, 100000, true, true, 7});
  add(SnapshotChunk{{{50}, {3}}, 1'700'000'000'000, 1 << 20, true, Rope::copy_of("chunk")});
  add(SnapshotReply{{{50}, {3}}, 12345, true});
  add(SnapshotReply{{{50}, {3}}, 0, false, true});
  return all;
}

std::string encoded(const Message& message) {
  RopeArena arena;
  return encode_frame(message, arena).str();
}

// Gives the bytes in pieces of `step`; the texts of what came out, and the error.
struct Outcome {
  std::vector<std::string> messages;
  std::string error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};
Outcome read_in_steps(std::string_view bytes, std::size_t step) {
  FrameReader reader;
  Outcome outcome;
  while (!bytes.empty()) {
    const auto [room, room_bytes] = reader.read_room();
    const std::size_t count = std::min({room_bytes, bytes.size(), step});
    std::memcpy(room, bytes.data(), count);
    reader.commit(count);
    bytes.remove_prefix(count);
    for (;;) {
      Message message;
      const Result<bool> next = reader.next(message);
      if (!next) {
        outcome.error = next.error().message;
        return outcome;
      }
      if (!*next) break;
      outcome.messages.push_back(encoded(message));
    }
  }
  return outcome;
}

Result<Message> decoded(std::string_view body) {
  BlockRef block = BlockRef::allocate(body.size());
  std::memcpy(block.data(), body.data(), body.size());
  return decode_body(block, {block.data(), body.size()});
}

}  // namespace

TEST_CASE("every message comes out as it went in, wherever the stream is split", "[wire]") {
  std::string stream;
  std::vector<std::string> frames;
  for (const Message& message : one_of_each()) {
    frames.push_back(encoded(message));
    stream += frames.back();
  }
  CHECK(frames.size() == 16);
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    const Outcome outcome = read_in_steps(stream, step);
    REQUIRE(outcome.error.empty());
    REQUIRE(outcome.messages == frames);
  }
}

TEST_CASE("fields keep their places", "[wire]") {
  const std::string frame =
      encoded({{7}, 2, AppendEntries{{41}, {2}, {40}, {entry(42, "first"), entry(43, "second")}}});
  const Result<Message> message = decoded(std::string_view(frame).substr(kFrameHeadBytes));
  REQUIRE(message);
  CHECK(message->term == Term{7});
  CHECK(message->generation == 2);
  const auto& append = std::get<AppendEntries>(message->body);
  CHECK(append.prev_index == LogIndex{41});
  CHECK(append.prev_term == Term{2});
  CHECK(append.commit == LogIndex{40});
  REQUIRE(append.entries.size() == 2);
  CHECK(append.entries[1].index == LogIndex{43});
  CHECK(append.entries[1].term == Term{3});
  CHECK(append.entries[1].time == -5);
  CHECK(append.entries[1].kind == 2);
  CHECK(append.entries[1].payload.str() == "second");
}

TEST_CASE("a body cut short anywhere, or longer by a byte, is no message", "[wire]") {
  for (const Message& message : one_of_each()) {
    const std::string frame = encoded(message);
    const std::string_view body = std::string_view(frame).substr(kFrameHeadBytes);
    for (std::size_t length = 0; length < body.size(); ++length)
      CHECK_FALSE(decoded(body.substr(0, length)));
    CHECK_FALSE(decoded(std::string(body) + '\0'));
  }
}

TEST_CASE("a frame with any bit turned is refused", "[wire]") {
  const std::string frame = encoded(one_of_each()[4]);
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    std::string damaged = frame;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const Outcome outcome = read_in_steps(damaged + frame, damaged.size());
    // A longer length waits for more, or swallows what follows; nothing comes out.
    CHECK(outcome.messages.empty());
  }
}

TEST_CASE("a frame of another version or beyond the limit is refused by its head", "[wire]") {
  const auto head = [](std::uint32_t length, std::uint16_t version) {
    ByteWriter out;
    out.u32(length);
    out.u16(version);
    out.u32(0);
    return out.take();
  };
  CHECK(read_in_steps(head(10, 2), 100).error.find("version 2") != std::string::npos);
  CHECK(read_in_steps(head(kFrameBytesMax + 1, 1), 100).error.find("more than") !=
        std::string::npos);
  CHECK(read_in_steps(head(kFrameBytesMax, 1), 100).error.empty());
}

TEST_CASE("numbers and flags beyond their range are refused", "[wire]") {
  const auto body = [](std::uint8_t type, std::string_view rest) {
    ByteWriter out;
    out.u8(type);
    out.varint(1);
    out.varint(1);
    out.bytes(rest);
    return out.take();
  };
  CHECK(decoded(body(8, "")));
  CHECK_FALSE(decoded(body(0, "")));
  CHECK_FALSE(decoded(body(15, "")));
  CHECK_FALSE(decoded(body(255, "")));
  const std::string_view reply("\x01\x08\x01\x00", 4);
  CHECK(decoded(body(2, reply)));
  CHECK_FALSE(decoded(body(2, std::string_view("\x04\x08\x01\x00", 4))));  // kind
  CHECK_FALSE(decoded(body(2, std::string_view("\x01\x08\x02\x00", 4))));  // granted
  CHECK_FALSE(decoded(body(2, std::string_view("\x01\x08\x01\x07", 4))));  // reason
  ByteWriter huge;
  huge.u8(9);
  huge.varint(~std::uint64_t{0});  // term
  huge.varint(1);
  huge.varint(1);
  CHECK_FALSE(decoded(huge.str()));
}

TEST_CASE("entries that do not follow one another, and fragments beyond their total, are refused",
          "[wire]") {
  const auto check = [](Body body) {
    const std::string frame = encoded({{7}, 2, std::move(body)});
    return decoded(std::string_view(frame).substr(kFrameHeadBytes)).has_value();
  };
  CHECK(check(AppendEntries{{41}, {2}, {40}, {entry(42, "a"), entry(43, "b")}}));
  CHECK_FALSE(check(AppendEntries{{41}, {2}, {40}, {entry(43, "a")}}));
  CHECK_FALSE(check(AppendEntries{{41}, {2}, {40}, {entry(42, "a"), entry(42, "b")}}));
  const auto fragment = [&](std::uint64_t total, std::uint64_t offset, std::string_view bytes) {
    return check(
        AppendFragment{{9}, {1}, {8}, {{3}, {10}, 0, 2, {}}, total, offset, Rope::copy_of(bytes)});
  };
  CHECK(fragment(5, 0, "12345"));
  CHECK_FALSE(fragment(5, 1, "12345"));
  CHECK_FALSE(fragment(5, 6, "1"));
  CHECK_FALSE(fragment(5, 5, ""));
  CHECK_FALSE(fragment(kEntryBytesMax + 1, 0, "1"));
}

TEST_CASE("a large payload goes out by reference and comes in sharing the frame's block",
          "[wire]") {
  std::string text(200'000, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31);
  Chunked value(text);
  RopeArena payloads;
  payloads.append("head");
  payloads.append_chunks(value);
  AppendEntries append{{41}, {2}, {40}, {entry(42, "")}};
  append.entries[0].payload = payloads.take();
  RopeArena arena;
  const Rope frame = encode_frame({{7}, 2, append}, arena);
  bool shares = false;
  for (std::size_t i = 0; i < frame.piece_count(); ++i)
    shares = shares || frame.piece(i).data() == value.chunk(0).data();
  CHECK(shares);
  const std::string bytes = frame.str();
  FrameReader reader;
  std::string_view left = bytes;
  Message message;
  Result<bool> next = false;
  while (!left.empty()) {
    const auto [room, room_bytes] = reader.read_room();
    const std::size_t count = std::min(room_bytes, left.size());
    std::memcpy(room, left.data(), count);
    reader.commit(count);
    left.remove_prefix(count);
    next = reader.next(message);
    REQUIRE(next);
  }
  REQUIRE(*next);
  const auto& out = std::get<AppendEntries>(message.body);
  CHECK(out.entries[0].payload.str() == "head" + text);
  CHECK(out.entries[0].payload.piece_count() == 1);
}

TEST_CASE("garbage never comes out as a message that was not sent", "[wire]") {
  Random random(1);
  for (int round = 0; round < 3000; ++round) {
    std::string garbage(random.below(64), '\0');
    for (char& c : garbage) c = static_cast<char>(random.next());
    CHECK(read_in_steps(garbage, 1 + random.below(64)).messages.empty());
    // Whatever decodes encodes again to the same message.
    if (const Result<Message> message = decoded(garbage)) {
      const std::string again = encoded(*message);
      const Result<Message> twice = decoded(std::string_view(again).substr(kFrameHeadBytes));
      REQUIRE(twice);
      CHECK(encoded(*twice) == again);
    }
  }
}
