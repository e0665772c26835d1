#include "server/keyspace/retire_ring.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "base/chunked.hpp"
#include "server/keyspace/entry.hpp"
#include "server/keyspace/entry_heap.hpp"
#include "server/keyspace/hash_value.hpp"
#include "server/keyspace/table.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

constexpr std::uint64_t kSeed = 1;

Entry* string_entry(EntryHeap& heap, std::string_view key) {
  return Entry::create(heap, key, Kind::kString, 0);
}

Entry* chunked_entry(EntryHeap& heap, std::string_view key, std::size_t bytes) {
  Entry* entry = Entry::create(heap, key, Kind::kChunkedString, Entry::kBoxBytes);
  entry->set_box(new Chunked(std::string(bytes, 'x')));
  return entry;
}

void insert(Table& table, Entry* entry) {
  Locator where = table.find(entry->key());
  table.insert(where, entry);
}

Entry* hash_entry(EntryHeap& heap, std::string_view key, int fields) {
  auto* hash = new HashTable(heap, kSeed);
  for (int i = 0; i < fields; ++i) {
    insert(hash->table, string_entry(heap, "field" + std::to_string(i)));
  }
  insert(hash->table, chunked_entry(heap, "large", 5 * kChunkBytes));
  Entry* entry = Entry::create(heap, key, Kind::kTableHash, Entry::kBoxBytes);
  entry->set_box(hash);
  return entry;
}

}  // namespace

TEST_CASE("what was retired is freed once its log index is committed, and not before", "[retire]") {
  EntryHeap heap;
  RetireRing ring(heap);
  for (std::uint64_t index = 1; index <= 10; ++index) {
    ring.retire(LogIndex{index}, string_entry(heap, "key"));
  }
  const std::size_t all = heap.used_bytes();
  CHECK_FALSE(ring.free_slice(LogIndex{0}, 1000));
  CHECK(heap.used_bytes() == all);
  CHECK_FALSE(ring.free_slice(LogIndex{4}, 1000));
  CHECK(heap.used_bytes() == all / 10 * 6);
  CHECK_FALSE(ring.empty());
  CHECK_FALSE(ring.free_slice(LogIndex{10}, 1000));
  CHECK(heap.used_bytes() == 0);
  CHECK(ring.empty());
}

TEST_CASE("what is released waits for no commitment, what comes behind it does", "[retire]") {
  EntryHeap heap;
  RetireRing ring(heap);
  for (int i = 0; i < 10; ++i) ring.retire(LogIndex{1'000'000}, string_entry(heap, "key"));
  const std::size_t one = heap.used_bytes() / 10;
  ring.release_all();
  ring.retire(LogIndex{5}, string_entry(heap, "key"));
  CHECK(ring.free_slice(LogIndex{4}, 3));  // there is more to free
  CHECK(heap.used_bytes() == 8 * one);
  CHECK_FALSE(ring.free_slice(LogIndex{4}, 1000));
  CHECK(heap.used_bytes() == one);
  CHECK_FALSE(ring.free_slice(LogIndex{5}, 1000));
  CHECK(ring.empty());
}

TEST_CASE("a slice frees no more than its units", "[retire]") {
  EntryHeap heap;
  RetireRing ring(heap);
  for (int i = 0; i < 1000; ++i) ring.retire(LogIndex{1}, string_entry(heap, "key"));
  const std::size_t one = heap.used_bytes() / 1000;
  CHECK(ring.free_slice(LogIndex{1}, 10));
  CHECK(heap.used_bytes() == 990 * one);
  CHECK_FALSE(ring.free_slice(LogIndex{1}, 990));
  CHECK(heap.used_bytes() == 0);
}

TEST_CASE("a large hash and a whole database are freed in slices", "[retire]") {
  EntryHeap heap;
  RetireRing ring(heap);
  SECTION("hash") {
    ring.retire(LogIndex{1}, hash_entry(heap, "h", 20'000));
  }
  SECTION("database with hashes in it") {
    auto table = std::make_unique<Table>(heap, kSeed, kKeyspaceSubdirectoryBits);
    for (int i = 0; i < 100; ++i) {
      insert(*table, hash_entry(heap, "hash" + std::to_string(i), 200));
    }
    ring.retire(LogIndex{1}, std::move(table));
  }
  const std::size_t entry_bytes_max = EntryHeap::usable_bytes(8 + 16 + 8);
  std::size_t before = heap.used_bytes();
  while (ring.free_slice(LogIndex{1}, 100)) {
    // A step begun is finished: up to 64 entries more than asked for.
    REQUIRE(before - heap.used_bytes() <= (100 + 64) * entry_bytes_max);
    before = heap.used_bytes();
  }
  CHECK(heap.used_bytes() == 0);
  CHECK(ring.empty());
}

TEST_CASE("chunks of a large value are given back a few at a time", "[retire]") {
  EntryHeap heap;
  RetireRing ring(heap);
  ring.retire(LogIndex{1}, chunked_entry(heap, "k", 1000 * kChunkBytes));
  int slices = 1;
  while (ring.free_slice(LogIndex{1}, 64)) ++slices;
  CHECK(slices > 50);
  CHECK(slices < 80);
  CHECK(ring.empty());
}

TEST_CASE("an entry retired bare leaves its box to the one that took it over", "[retire]") {
  EntryHeap heap;
  RetireRing ring(heap);
  Entry* old = chunked_entry(heap, "old", 2 * kChunkBytes);
  Entry* next = Entry::create(heap, "next", Kind::kChunkedString, Entry::kBoxBytes);
  next->set_box(old->box());
  ring.retire_bare(LogIndex{1}, old);
  CHECK_FALSE(ring.free_slice(LogIndex{1}, 1000));
  CHECK(static_cast<const Chunked*>(next->box())->equals(std::string(2 * kChunkBytes, 'x')));
  ring.retire(LogIndex{2}, next);
  while (ring.free_slice(LogIndex{2}, 1000)) {
  }
  CHECK(heap.used_bytes() == 0);
}

TEST_CASE("the ring's end frees what was never committed", "[retire]") {
  EntryHeap heap;
  {
    RetireRing ring(heap);
    ring.retire(LogIndex{5}, hash_entry(heap, "h", 1000));
    ring.retire(LogIndex{~std::uint64_t{0}}, chunked_entry(heap, "k", 3 * kChunkBytes));
    CHECK(heap.used_bytes() > 0);
  }
  CHECK(heap.used_bytes() == 0);
}
