// Entry is one key with its value in one allocation, referenced only from its slot in a Table, so
// it can be moved.
//
//   entry  := kind:4 colour:1 form:2 0:1 | clock:u24 | keylen:u8 | flags:u8 | vallen:u16 |
//   [keylen:u32] [vallen:u32] key value keylen := 255 means that the length follows the header as
//   u32; vallen likewise at 65535      (little-endian)
//
// Kinds whose value does not lie inline keep a pointer to it, the box, in the place of the value.
// The entry never owns its box: destroy() gives back the entry's own bytes alone. Aligned to 8
// bytes; the value is not aligned at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "server/keyspace/entry_heap.hpp"

namespace holdfast::keyspace {

enum class Kind : std::uint8_t {
  kString = 0,         // inline bytes
  kChunkedString = 1,  // box: Chunked
  kPackedHash = 2,     // inline bytes
  kTableHash = 3,      // box
};

class alignas(8) Entry {
 public:
  static constexpr std::size_t kBoxBytes = sizeof(void*);

  // The value is left uninitialised, the other fields are zero. A boxed kind takes value_bytes =
  // kBoxBytes. REQUIRES: key and value below 4 GB.
  static Entry* create(EntryHeap& heap, std::string_view key, Kind kind, std::size_t value_bytes);
  static void destroy(EntryHeap& heap, Entry* entry);
  // A copy of all bytes, header included: the form, colour and clock come along, and so does the
  // box pointer.
  static Entry* clone(EntryHeap& heap, const Entry& entry);

  Kind kind() const { return static_cast<Kind>(head_ & 0x0f); }

  bool colour() const { return (head_ & 0x10) != 0; }
  void set_colour(bool colour) {
    head_ = static_cast<std::uint8_t>((head_ & ~0x10) | (colour ? 0x10 : 0));
  }
  // 0..3; what it means depends on the kind.
  unsigned form() const { return (head_ >> 5) & 3; }
  void set_form(unsigned form) {
    head_ = static_cast<std::uint8_t>((head_ & ~0x60) | ((form & 3) << 5));
  }

  // 24 bits, meaning given by the eviction policy.
  std::uint32_t access_clock() const { return clock_[0] | clock_[1] << 8 | clock_[2] << 16; }
  void set_access_clock(std::uint32_t clock) {
    clock_[0] = static_cast<std::uint8_t>(clock);
    clock_[1] = static_cast<std::uint8_t>(clock >> 8);
    clock_[2] = static_cast<std::uint8_t>(clock >> 16);
  }

  std::string_view key() const {
    if (key_length_ != kLongKey) [[likely]]
      return {bytes() + kHeaderBytes + (value_length_ == kLongValue ? 4 : 0), key_length_};
    return {bytes() + key_offset(), key_size()};
  }
  std::string_view value() const { return {bytes() + key_offset() + key_size(), value_size()}; }
  char* value_data() { return reinterpret_cast<char*>(this) + key_offset() + key_size(); }
  std::size_t key_size() const { return key_length_ != kLongKey ? key_length_ : extension(0); }
  std::size_t value_size() const {
    return value_length_ != kLongValue ? value_length_ : extension(key_length_ == kLongKey ? 1 : 0);
  }

  // REQUIRES: a boxed kind.
  void* box() const {
    void* box = nullptr;
    std::memcpy(&box, value().data(), sizeof box);
    return box;
  }
  void set_box(void* box) { std::memcpy(value_data(), &box, sizeof box); }

  // What was asked of the heap, and what that occupies there.
  std::size_t size_bytes() const { return key_offset() + key_size() + value_size(); }
  std::size_t allocated_bytes() const { return EntryHeap::usable_bytes(size_bytes()); }

 private:
  static constexpr std::size_t kHeaderBytes = 8;
  static constexpr std::uint8_t kLongKey = 255;
  static constexpr std::uint16_t kLongValue = 65535;

  Entry() = default;
  const char* bytes() const { return reinterpret_cast<const char*>(this); }
  std::size_t key_offset() const {
    return kHeaderBytes + (key_length_ == kLongKey ? 4 : 0) + (value_length_ == kLongValue ? 4 : 0);
  }
  std::size_t extension(std::size_t index) const {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes() + kHeaderBytes + 4 * index, sizeof length);
    return length;
  }

  std::uint8_t head_;
  std::uint8_t clock_[3];
  std::uint8_t key_length_;
  std::uint8_t flags_;
  std::uint16_t value_length_;
};

static_assert(sizeof(Entry) == 8);

}  // namespace holdfast::keyspace
