#include "base/rope.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "base/bytes.hpp"
#include "base/random.hpp"

using namespace holdfast;

namespace {

std::string pattern(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

// `text` in pieces of random length, chunks among them.
Rope in_pieces(std::string_view text, std::uint64_t seed, std::size_t piece_bytes_max) {
  Random random(seed);
  std::vector<Rope::Piece> pieces;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, 1 + random.below(piece_bytes_max));
    BlockRef block = BlockRef::allocate(part.size());
    std::memcpy(block.data(), part.data(), part.size());
    pieces.push_back({{block.data(), part.size()}, block, {}});
    text.remove_prefix(part.size());
  }
  return Rope(std::move(pieces));
}

TEST_CASE("a rope of one piece that came as a list is flat, too", "[rope]") {
  BlockRef block = BlockRef::allocate(4);
  std::memcpy(block.data(), "abcd", 4);
  const Rope rope(std::vector<Rope::Piece>{{{block.data(), 4}, block, {}}});
  CHECK(rope.piece_count() == 1);
  CHECK(rope.flat() == "abcd");
}

}  // namespace

TEST_CASE("small ropes of one arena lie in one block, each in one piece", "[rope]") {
  RopeArena arena(1024);
  std::vector<Rope> ropes;
  for (int i = 0; i < 100; ++i) {
    arena.append(std::to_string(i));
    arena.append(" and more");
    ropes.push_back(arena.take());
  }
  std::size_t neighbours = 0;
  for (int i = 0; i < 100; ++i) {
    CHECK(ropes[i].str() == std::to_string(i) + " and more");
    CHECK(ropes[i].piece_count() == 1);
    if (i > 0 && ropes[i].flat().data() == ropes[i - 1].flat().data() + ropes[i - 1].size())
      ++neighbours;
  }
  CHECK(neighbours >= 97);
  CHECK(arena.take().empty());
}

TEST_CASE("a rope outlives its arena and its siblings", "[rope]") {
  Rope kept;
  {
    RopeArena arena(256);
    for (int i = 0; i < 50; ++i) {
      arena.append("rope number " + std::to_string(i));
      Rope rope = arena.take();
      if (i == 20) kept = rope;
    }
  }
  CHECK(kept.str() == "rope number 20");
}

TEST_CASE("a large value is in a rope by reference, and changing it afterwards copies it",
          "[rope]") {
  const std::string text = pattern(2 * kChunkBytes + 100, 1);
  Chunked value(text);
  RopeArena arena;
  arena.append("head");
  arena.append_chunks(value);
  arena.append("tail");
  CHECK(arena.size() == text.size() + 8);
  const Rope rope = arena.take();
  CHECK(rope.piece(1).data() == value.chunk(0).data());
  value.overwrite(0, "changed");
  CHECK(rope.str() == "head" + text + "tail");

  SECTION("and read back it shares the chunks") {
    RopeReader reader(rope);
    CHECK(reader.bytes(4) == "head");
    Chunked read;
    reader.chunks(text.size(), read);
    CHECK(read.equals(text));
    CHECK(read.chunk(1).data() == value.chunk(1).data());
    CHECK(reader.bytes(4) == "tail");
    CHECK(reader.ok());
    CHECK(reader.remaining() == 0);
  }
}

TEST_CASE("a rope that outgrows a block is whole", "[rope]") {
  for (const std::size_t block_bytes : {16U, 1000U, 100000U}) {
    RopeArena arena(block_bytes);
    std::string expected;
    for (int i = 0; i < 40; ++i) {
      const std::string part = pattern(static_cast<std::size_t>(i) * 331, 5);
      arena.append(part);
      expected += part;
    }
    CHECK(arena.size() == expected.size());
    CHECK(arena.take().str() == expected);
    arena.append("not taken");
    arena.discard();
    arena.append("next");
    CHECK(arena.take().str() == "next");
  }
}

TEST_CASE("a RopeReader reads the same whatever the pieces", "[rope]") {
  ByteWriter writer;
  const std::string large = pattern(3 * kChunkBytes + 17, 3);
  for (std::uint64_t i = 0; i < 60; ++i) {
    writer.varint(1ULL << i);
    writer.u32(static_cast<std::uint32_t>(i));
    writer.string(pattern(i * 7, i));
  }
  writer.bytes(large);
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const Rope rope = in_pieces(writer.str(), seed, seed < 20 ? 1 + seed : 40000);
    RopeReader reader(rope);
    for (std::uint64_t i = 0; i < 60; ++i) {
      REQUIRE(reader.varint() == 1ULL << i);
      REQUIRE(reader.u32() == i);
      const std::uint64_t length = reader.varint();
      REQUIRE(reader.bytes(length) == pattern(i * 7, i));
      if (i % 10 == 0) reader.forget();
    }
    Chunked read;
    reader.chunks(large.size(), read);
    REQUIRE(read.equals(large));
    REQUIRE(reader.ok());
    CHECK(reader.u8() == 0);
    CHECK_FALSE(reader.ok());
  }
}

TEST_CASE("a RopeReader fails at the end and stays failed", "[rope]") {
  const Rope rope = in_pieces("0123456789", 1, 3);
  RopeReader reader(rope);
  CHECK(reader.bytes(8) == "01234567");
  CHECK(reader.bytes(3).empty());
  CHECK_FALSE(reader.ok());
  CHECK(reader.bytes(1).empty());
  CHECK(reader.some(10).empty());
  RopeReader other(rope);
  Chunked read;
  other.chunks(11, read);
  CHECK_FALSE(other.ok());
  CHECK(read.empty());
  RopeReader huge(rope);
  CHECK(huge.bytes(~std::size_t{0}).empty());
  CHECK_FALSE(huge.ok());
}
