#include "base/bytes.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <memory>
#include <string>

#include "base/crc32c.hpp"
#include "base/random.hpp"

using namespace holdfast;

namespace {

// In a heap block of exactly that size, so that a read beyond it is seen.
struct Exact {
  explicit Exact(std::string_view text) : size(text.size()), bytes(new char[text.size()]) {
    if (size > 0) std::memcpy(bytes.get(), text.data(), size);
  }
  operator std::string_view() const { return {bytes.get(), size}; }
  std::size_t size;
  std::unique_ptr<char[]> bytes;
};

}  // namespace

TEST_CASE("CRC-32C gives the values of RFC 3720", "[crc32c]") {
  std::string ascending;
  std::string descending;
  for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<char>(i));
  for (int i = 31; i >= 0; --i) descending.push_back(static_cast<char>(i));
  for (const auto function : {crc32c, crc32c_portable}) {
    CHECK(function("", 0) == 0);
    CHECK(function("123456789", 0) == 0xE3069283);
    CHECK(function(std::string(32, '\0'), 0) == 0x8A9136AA);
    CHECK(function(std::string(32, '\xff'), 0) == 0x62A8AB43);
    CHECK(function(ascending, 0) == 0x46DD794E);
    CHECK(function(descending, 0) == 0x113FDB5C);
  }
}

TEST_CASE("CRC-32C with and without the instruction agree, whole and in parts", "[crc32c]") {
  Random random(7);
  std::string text;
  for (int i = 0; i < 300; ++i) text.push_back(static_cast<char>(random.next()));
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const std::string_view whole(text.data(), length);
    const std::uint32_t expected = crc32c_portable(whole);
    REQUIRE(crc32c(whole) == expected);
    const std::size_t half = length / 3;
    REQUIRE(crc32c(whole.substr(half), crc32c(whole.substr(0, half))) == expected);
  }
}

TEST_CASE("what a ByteWriter wrote a ByteReader reads", "[bytes]") {
  const std::uint64_t numbers[] = {0,          1,
                                   127,        128,
                                   16383,      16384,
                                   0xFFFFFFFF, std::uint64_t{1} << 62,
                                   1ULL << 63, std::numeric_limits<std::uint64_t>::max()};
  ByteWriter writer;
  writer.u8(200);
  writer.u16(60000);
  writer.u32(4000000000U);
  writer.u64(numbers[9]);
  writer.i64(-5);
  for (const std::uint64_t number : numbers) writer.varint(number);
  writer.string("");
  writer.string("text");
  const Exact bytes(writer.str());
  ByteReader reader(bytes);
  CHECK(reader.u8() == 200);
  CHECK(reader.u16() == 60000);
  CHECK(reader.u32() == 4000000000U);
  CHECK(reader.u64() == numbers[9]);
  CHECK(reader.i64() == -5);
  for (const std::uint64_t number : numbers) {
    CHECK(reader.varint() == number);
    char room[kVarintBytesMax];
    CHECK(varint_bytes(number) == static_cast<std::size_t>(put_varint(room, number) - room));
  }
  CHECK(reader.string().empty());
  CHECK(reader.string() == "text");
  CHECK(reader.ok());
  CHECK(reader.at_end());
}

TEST_CASE("a ByteReader fails at the end of its bytes and stays failed", "[bytes]") {
  ByteWriter writer;
  writer.varint(300);
  writer.string("text");
  writer.u64(1);
  for (std::size_t length = 0; length < writer.str().size(); ++length) {
    const Exact bytes(writer.str().substr(0, length));
    ByteReader reader(bytes);
    reader.varint();
    reader.string();
    CHECK(reader.u64() == 0);
    CHECK_FALSE(reader.ok());
    CHECK(reader.u8() == 0);
    CHECK(reader.string().empty());
  }
  CHECK([] {
    ByteReader reader(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
    reader.varint();
    return !reader.ok();
  }());
  ByteReader huge(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10));
  CHECK(huge.string().empty());
  CHECK_FALSE(huge.ok());
}
