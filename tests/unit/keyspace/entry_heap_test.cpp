#include "server/keyspace/entry_heap.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <vector>

#include "base/random.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

struct Block {
  unsigned char* at;
  std::size_t size;
  unsigned char fill;
};

}  // namespace

TEST_CASE("blocks are aligned, apart from each other and keep their bytes", "[keyspace]") {
  EntryHeap heap;
  Random random(7);
  std::vector<Block> blocks;
  std::size_t used = 0;
  const auto release = [&](std::size_t index) {
    Block& block = blocks[index];
    bool intact = true;
    for (std::size_t i = 0; i < block.size; ++i) intact &= block.at[i] == block.fill;
    REQUIRE(intact);
    heap.free(block.at, block.size);
    used -= EntryHeap::usable_bytes(block.size);
    block = blocks.back();
    blocks.pop_back();
  };
  for (int step = 0; step < 60'000; ++step) {
    // Waves, so that pages fill, empty and change their class.
    const bool grow = random.below(100) < (step / 6000 % 2 == 0 ? 70U : 30U);
    if (grow || blocks.empty()) {
      const std::size_t limit = step % 5 == 0 ? 20'000 : 600;
      Block block{nullptr, random.below(limit), static_cast<unsigned char>(random.next())};
      block.at = static_cast<unsigned char*>(heap.allocate(block.size));
      REQUIRE(reinterpret_cast<std::uintptr_t>(block.at) % 8 == 0);
      std::memset(block.at, block.fill, block.size);
      used += EntryHeap::usable_bytes(block.size);
      blocks.push_back(block);
    } else {
      release(random.below(blocks.size()));
    }
    REQUIRE(heap.used_bytes() == used);
  }
  while (!blocks.empty()) release(blocks.size() - 1);
  CHECK(heap.used_bytes() == 0);
}

TEST_CASE("a size class wastes less than an eighth of any block, and 15 bytes up to 512",
          "[keyspace]") {
  for (std::size_t size = 1; size <= 20'000; ++size) {
    const std::size_t usable = EntryHeap::usable_bytes(size);
    REQUIRE(usable >= size);
    if (size <= 512) REQUIRE(usable - size <= 15);
    if (size > 128 && size <= EntryHeap::kSmallBytesMax) REQUIRE((usable - size) * 8 <= usable);
  }
}

#ifndef HOLDFAST_SANITIZED
TEST_CASE("freed blocks and emptied pages are used again, by any class", "[keyspace]") {
  EntryHeap heap;
  std::vector<void*> blocks;
  for (int i = 0; i < 100'000; ++i) blocks.push_back(heap.allocate(348));
  const std::size_t resident = heap.resident_bytes();
  CHECK(resident < 100'000 * 356);
  for (void* block : blocks) heap.free(block, 348);
  blocks.clear();
  for (int i = 0; i < 300'000; ++i) blocks.push_back(heap.allocate(100));
  CHECK(heap.resident_bytes() <= resident + 3 * EntryHeap::kPageBytes);
  for (void* block : blocks) heap.free(block, 100);
}

TEST_CASE("what remains after many frees fills up before new pages are touched", "[keyspace]") {
  EntryHeap heap;
  std::vector<void*> blocks;
  for (int i = 0; i < 100'000; ++i) blocks.push_back(heap.allocate(64));
  const std::size_t resident = heap.resident_bytes();
  for (std::size_t i = 0; i < blocks.size(); i += 2) heap.free(blocks[i], 64);
  for (int i = 0; i < 50'000; ++i) heap.allocate(64);
  CHECK(heap.resident_bytes() == resident);
}
#endif
