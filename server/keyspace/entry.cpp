#include "server/keyspace/entry.hpp"

#include <limits>
#include <new>

#include "base/check.hpp"

namespace holdfast::keyspace {

Entry* Entry::create(EntryHeap& heap, std::string_view key, Kind kind, std::size_t value_bytes) {
  HF_CHECK(key.size() <= std::numeric_limits<std::uint32_t>::max());
  HF_CHECK(value_bytes <= std::numeric_limits<std::uint32_t>::max());
  const bool long_key = key.size() >= kLongKey;
  const bool long_value = value_bytes >= kLongValue;
  const std::size_t offset = kHeaderBytes + (long_key ? 4 : 0) + (long_value ? 4 : 0);

  char* at = static_cast<char*>(heap.allocate(offset + key.size() + value_bytes));
  auto* entry = new (at) Entry;
  entry->head_ = static_cast<std::uint8_t>(kind);
  entry->clock_[0] = entry->clock_[1] = entry->clock_[2] = 0;
  entry->flags_ = 0;
  entry->key_length_ = long_key ? kLongKey : static_cast<std::uint8_t>(key.size());
  entry->value_length_ = long_value ? kLongValue : static_cast<std::uint16_t>(value_bytes);
  at += kHeaderBytes;
  if (long_key) {
    const auto length = static_cast<std::uint32_t>(key.size());
    std::memcpy(at, &length, sizeof length);
    at += sizeof length;
  }
  if (long_value) {
    const auto length = static_cast<std::uint32_t>(value_bytes);
    std::memcpy(at, &length, sizeof length);
    at += sizeof length;
  }
  if (!key.empty()) std::memcpy(at, key.data(), key.size());
  return entry;
}

void Entry::destroy(EntryHeap& heap, Entry* entry) {
  heap.free(entry, entry->size_bytes());
}

Entry* Entry::clone(EntryHeap& heap, const Entry& entry) {
  const std::size_t size = entry.size_bytes();
  void* at = heap.allocate(size);
  std::memcpy(at, &entry, size);
  return static_cast<Entry*>(at);
}

}  // namespace holdfast::keyspace
