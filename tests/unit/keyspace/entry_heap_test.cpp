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

namespace {

std::size_t returned_bytes = 0;

// Whoever still needs the bytes notices.
void spoil(void* begin, std::size_t byte_count) {
  CHECK(reinterpret_cast<std::uintptr_t>(begin) % 4096 == 0);
  std::memset(begin, 0xdb, byte_count);
  returned_bytes += byte_count;
}

// Moves what is to be moved, as the owner of the blocks does.
void evacuate(EntryHeap& heap, std::vector<Block>& blocks) {
  while (heap.mark_for_evacuation(10)) {
  }
  for (Block& block : blocks) {
    if (!heap.must_move(block.at, block.size)) continue;
    auto* place = static_cast<unsigned char*>(heap.allocate(block.size));
    CHECK_FALSE(heap.must_move(place, block.size));
    std::memcpy(place, block.at, block.size);
    heap.free(block.at, block.size);
    block.at = place;
  }
  while (heap.end_evacuation(10)) {
  }
}

}  // namespace

TEST_CASE("empty pages go back to the system, but a few, and come again", "[keyspace]") {
  EntryHeap heap;
  heap.set_return_to_system(spoil);
  returned_bytes = 0;
  std::vector<void*> blocks;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100'000; ++i) blocks.push_back(heap.allocate(348));
    const std::size_t resident = heap.resident_bytes();
    CHECK(heap.return_pages(1000) == 0);
    for (void* block : blocks) heap.free(block, 348);
    blocks.clear();
    CHECK(heap.resident_bytes() == resident);
    CHECK(heap.return_pages(7) == 7);
    CHECK(heap.resident_bytes() == resident - 7 * EntryHeap::kPageBytes);
    CHECK(heap.return_pages(100'000) > 400);
    CHECK(heap.return_pages(100'000) == 0);
    // Those kept, and the one that blocks are taken from.
    CHECK(heap.resident_bytes() == (16 + 1) * EntryHeap::kPageBytes);
    CHECK(returned_bytes > (round + 1) * 30'000'000UL);
  }
}

TEST_CASE("an evacuation packs what many frees have left behind", "[keyspace]") {
  EntryHeap heap;
  heap.set_return_to_system(spoil);
  Random random(11);
  std::vector<Block> blocks;
  const auto grow = [&](int count) {
    for (int i = 0; i < count; ++i) {
      Block block{nullptr, 200 + random.below(300), static_cast<unsigned char>(random.next())};
      if (i % 1000 == 0) block.size = 20'000;
      block.at = static_cast<unsigned char*>(heap.allocate(block.size));
      std::memset(block.at, block.fill, block.size);
      blocks.push_back(block);
    }
  };
  const auto thin_out = [&](unsigned percent) {
    std::erase_if(blocks, [&](const Block& block) {
      if (random.below(100) >= percent) return false;
      heap.free(block.at, block.size);
      return true;
    });
  };
  const auto intact = [&] {
    for (const Block& block : blocks) {
      for (std::size_t i = 0; i < block.size; ++i)
        if (block.at[i] != block.fill) return false;
    }
    return true;
  };
  for (const unsigned percent : {75U, 50U, 90U, 99U}) {
    CAPTURE(percent);
    grow(200'000);
    for (int round = 0; round < 8; ++round) evacuate(heap, blocks);
    CHECK(heap.evacuation_gain_pages() < 40);
    thin_out(percent);
    const std::size_t resident = heap.resident_bytes();
    const std::size_t gain = heap.evacuation_gain_pages();
    CHECK(gain * EntryHeap::kPageBytes > (resident - heap.used_bytes()) / 3);
    evacuate(heap, blocks);
    heap.return_pages(100'000);
    // 16 or a sixteenth stay; the last page of each of the 20 classes is partly used.
    CHECK(heap.resident_bytes() <=
          resident - (gain - 20) * EntryHeap::kPageBytes * 15 / 16 + 16 * EntryHeap::kPageBytes);
    CHECK(intact());
  }
  thin_out(100);
  CHECK(heap.used_bytes() == 0);
  CHECK(heap.evacuation_gain_pages() == 0);
}

TEST_CASE("an evacuation that is given up takes the pages into service again", "[keyspace]") {
  EntryHeap heap;
  std::vector<void*> blocks;
  for (int i = 0; i < 100'000; ++i) blocks.push_back(heap.allocate(64));
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (i % 4 != 0) heap.free(blocks[i], 64);
  const std::size_t gain = heap.evacuation_gain_pages();
  CHECK(gain > 60);
  while (heap.mark_for_evacuation(3)) {
  }
  CHECK(heap.evacuation_gain_pages() < gain / 2);
  heap.free(blocks[0], 64);
  while (heap.end_evacuation(3)) {
  }
  CHECK(heap.evacuation_gain_pages() == gain);
  const std::size_t resident = heap.resident_bytes();
  for (int i = 0; i < 74'000; ++i) heap.allocate(64);
  CHECK(heap.resident_bytes() == resident);
}
#endif
