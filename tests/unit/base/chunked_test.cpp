#include "base/chunked.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace holdfast;

namespace {
std::string pattern_bytes(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}
}  // namespace

TEST_CASE("a chunked string holds what was appended, across chunk borders", "[chunked]") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kChunkBytes - 1, kChunkBytes,
                                 kChunkBytes + 1, 3 * kChunkBytes + 7}) {
    const std::string text = pattern_bytes(size);
    Chunked chunked;
    for (std::size_t at = 0; at < size; at += 1000)
      chunked.append(std::string_view(text).substr(at, 1000));
    CHECK(chunked.size() == size);
    CHECK(chunked.equals(text));
    CHECK(chunked.str() == text);
  }
}

TEST_CASE("overwriting a copy leaves the original as it was", "[chunked]") {
  const std::string text = pattern_bytes(2 * kChunkBytes);
  const Chunked original{text};
  Chunked copy = original;
  copy.overwrite(kChunkBytes - 2, "XXXX");
  CHECK(original.equals(text));
  std::string expected = text;
  expected.replace(kChunkBytes - 2, 4, "XXXX");
  CHECK(copy.equals(expected));
}

TEST_CASE("appending to a copy whose last chunk is shared leaves the original as it was",
          "[chunked]") {
  const Chunked original{std::string_view("abc")};
  Chunked copy = original;
  copy.append("def");
  CHECK(original.str() == "abc");
  CHECK(copy.str() == "abcdef");
}

TEST_CASE("overwriting beyond the end fills the gap with zero bytes", "[chunked]") {
  Chunked chunked{std::string_view("ab")};
  chunked.overwrite(5, "z");
  CHECK(chunked.str() == std::string("ab\0\0\0z", 6));
}
