// Little-endian numbers, varints and length-prefixed strings in contiguous buffers: what the
// formats of log, snapshot and wire are made of. (Over ropes: RopeReader in base/rope.hpp.)
//
//   varint := LEB128: seven bits a byte, low ones first, the top bit says that more follow; at most
//             64 bits in all
//   string := length:varint bytes[length]
//
// The put_ functions write at `to`, which has room, and return the end of what they wrote.
// ByteReader takes any garbage: a read beyond the end, or a varint of more than 64 bits, fails; a
// reader that failed gives zeros and empty views from then on, so one look at ok() at the end
// suffices.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace holdfast {

static_assert(std::endian::native == std::endian::little, "byte order conversion is not written");

inline constexpr std::size_t kVarintBytesMax = 10;

template <typename T>
inline char* put_fixed(char* to, T value) {
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}
inline char* put_u8(char* to, std::uint8_t value) {
  *to = static_cast<char>(value);
  return to + 1;
}
inline char* put_u16(char* to, std::uint16_t value) {
  return put_fixed(to, value);
}
inline char* put_u32(char* to, std::uint32_t value) {
  return put_fixed(to, value);
}
inline char* put_u64(char* to, std::uint64_t value) {
  return put_fixed(to, value);
}
inline char* put_i64(char* to, std::int64_t value) {
  return put_fixed(to, value);
}
inline char* put_varint(char* to, std::uint64_t value) {
  while (value >= 0x80) {
    *to++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *to++ = static_cast<char>(value);
  return to;
}
inline char* put_bytes(char* to, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}
inline char* put_string(char* to, std::string_view bytes) {
  return put_bytes(put_varint(to, bytes.size()), bytes);
}
inline constexpr std::size_t varint_bytes(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

// Appends to a string that it owns.
class ByteWriter {
 public:
  void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void u16(std::uint16_t value) { fixed(value); }
  void u32(std::uint32_t value) { fixed(value); }
  void u64(std::uint64_t value) { fixed(value); }
  void i64(std::int64_t value) { fixed(value); }
  void varint(std::uint64_t value) {
    char room[kVarintBytesMax];
    out_.append(room, put_varint(room, value));
  }
  void bytes(std::string_view value) { out_.append(value); }
  void string(std::string_view value) {
    varint(value.size());
    bytes(value);
  }
  const std::string& str() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  template <typename T>
  void fixed(T value) {
    char room[sizeof value];
    out_.append(room, put_fixed(room, value));
  }
  std::string out_;
};

// Views that it gives out live as long as the buffer.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  void fail() {
    ok_ = false;
    at_ = end_;
  }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  bool at_end() const { return at_ == end_; }

  std::uint8_t u8() { return fixed<std::uint8_t>(); }
  std::uint16_t u16() { return fixed<std::uint16_t>(); }
  std::uint32_t u32() { return fixed<std::uint32_t>(); }
  std::uint64_t u64() { return fixed<std::uint64_t>(); }
  std::int64_t i64() { return fixed<std::int64_t>(); }
  std::uint64_t varint();
  std::string_view bytes(std::size_t byte_count) {
    if (byte_count > remaining()) {
      fail();
      return {};
    }
    const std::string_view view(at_, byte_count);
    at_ += byte_count;
    return view;
  }
  std::string_view string() {
    const std::uint64_t length = varint();
    if (length > remaining()) {
      fail();
      return {};
    }
    return bytes(static_cast<std::size_t>(length));
  }

 private:
  template <typename T>
  T fixed() {
    T value = 0;
    if (remaining() < sizeof(T)) {
      fail();
      return value;
    }
    std::memcpy(&value, at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace holdfast
