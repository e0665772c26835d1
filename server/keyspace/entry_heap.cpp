#include "server/keyspace/entry_heap.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

#include "base/check.hpp"
#include "base/prefetch.hpp"

namespace holdfast::keyspace {
namespace {

constexpr std::size_t kGranuleBytes = 16;
constexpr std::size_t kPagesPerRegion = EntryHeap::kRegionBytes / EntryHeap::kPageBytes;

// Block sizes by class, and the class by size in granules.
struct Classes {
  std::array<std::uint16_t, 128> bytes{};
  std::array<std::uint8_t, EntryHeap::kSmallBytesMax / kGranuleBytes + 1> of_granules{};
  std::size_t count = 0;
};

constexpr Classes make_classes() {
  Classes classes;
  const auto add = [&](std::size_t bytes) {
    classes.bytes[classes.count++] = static_cast<std::uint16_t>(bytes);
  };
  for (std::size_t bytes = 16; bytes <= 512; bytes += 16) add(bytes);
  for (std::size_t bytes = 544; bytes <= 1024; bytes += 32) add(bytes);
  for (std::size_t per_page = 62; per_page >= 8; --per_page)
    add(EntryHeap::kPageBytes / per_page / kGranuleBytes * kGranuleBytes);
  std::size_t size_class = 0;
  for (std::size_t granules = 0; granules < classes.of_granules.size(); ++granules) {
    if (classes.bytes[size_class] < granules * kGranuleBytes) ++size_class;
    classes.of_granules[granules] = static_cast<std::uint8_t>(size_class);
  }
  return classes;
}

constexpr Classes kClasses = make_classes();
static_assert(kClasses.count <= kClasses.bytes.size());
static_assert(kClasses.bytes[kClasses.count - 1] == EntryHeap::kSmallBytesMax);

std::size_t class_of(std::size_t size_bytes) {
  return kClasses.of_granules[(size_bytes + kGranuleBytes - 1) / kGranuleBytes];
}

// General allocators have about four sizes per doubling, and whole pages from some size on.
std::size_t large_usable_bytes(std::size_t size_bytes) {
  std::size_t step = 4096;
  if (size_bytes < 128 * 1024) step = std::bit_floor(size_bytes - 1) / 4;
  return (size_bytes + step - 1) / step * step;
}

}  // namespace

// A block that is free holds the pointer to the next free block of its page.
struct EntryHeap::Page {
  void* free_blocks;
  std::uint32_t untouched_offset;  // in the page: blocks from here to end_offset were never used
  std::uint32_t end_offset;        // where no further block fits
  std::uint16_t used;              // blocks handed out
  std::uint16_t capacity;          // blocks that fit
  std::uint16_t relist_below;      // falling below this, it belongs into another list
  std::uint8_t size_class;
  std::uint8_t fullness;  // which list of its class it is in, or one of those below
  Page* previous;
  Page* next;
};

struct EntryHeap::Region {
  std::array<Page, kPagesPerRegion> pages;
};

// (Unused with HOLDFAST_SANITIZED.)
namespace {
constexpr std::uint8_t kUnlisted = 255;
[[maybe_unused]] constexpr std::uint8_t kMarked = 254;  // for evacuation; in no list
// What the system gives and takes; the beginning of a region holds its descriptors.
[[maybe_unused]] constexpr std::size_t kSystemPageBytes = 4096;
// Of all resident pages: so many empty ones are kept.
[[maybe_unused]] constexpr std::size_t kEmptyPagesKeptShare = 16;
[[maybe_unused]] constexpr std::size_t kEmptyPagesKeptMin = 16;
}  // namespace

EntryHeap::Region* EntryHeap::region_of(const void* block) {
  return reinterpret_cast<Region*>(reinterpret_cast<std::uintptr_t>(block) & ~(kRegionBytes - 1));
}

EntryHeap::Page* EntryHeap::page_of(const void* block) {
  const auto offset = reinterpret_cast<std::uintptr_t>(block) & (kRegionBytes - 1);
  return &region_of(block)->pages[offset / kPageBytes];
}

char* EntryHeap::start_of(Page* page) {
  Region* region = region_of(page);
  const auto index = static_cast<std::size_t>(page - region->pages.data());
  return reinterpret_cast<char*>(region) + index * kPageBytes;
}

EntryHeap::~EntryHeap() {
  for (Region* region : regions_) std::free(region);
}

std::size_t EntryHeap::usable_bytes(std::size_t size_bytes) {
  if (size_bytes > kSmallBytesMax) return large_usable_bytes(size_bytes);
  return kClasses.bytes[class_of(size_bytes)];
}

#ifdef HOLDFAST_SANITIZED

void* EntryHeap::allocate(std::size_t size_bytes) {
  void* block = std::malloc(size_bytes == 0 ? 1 : size_bytes);
  HF_CHECK(block != nullptr);
  used_bytes_ += usable_bytes(size_bytes);
  large_bytes_ += usable_bytes(size_bytes);
  return block;
}

void EntryHeap::free(void* block, std::size_t size_bytes) {
  used_bytes_ -= usable_bytes(size_bytes);
  large_bytes_ -= usable_bytes(size_bytes);
  std::free(block);
}

std::size_t EntryHeap::return_pages(std::size_t) {
  return 0;
}

bool EntryHeap::mark_for_evacuation(std::size_t) {
  evacuates_all_ = true;
  return false;
}

bool EntryHeap::must_move(const void*, std::size_t) const {
  return evacuates_all_;
}

bool EntryHeap::end_evacuation(std::size_t) {
  evacuates_all_ = false;
  return false;
}

#else

void* EntryHeap::allocate(std::size_t size_bytes) {
  if (size_bytes > kSmallBytesMax) [[unlikely]] {
    void* block = std::malloc(size_bytes);
    HF_CHECK(block != nullptr);
    used_bytes_ += large_usable_bytes(size_bytes);
    large_bytes_ += large_usable_bytes(size_bytes);
    return block;
  }
  const std::size_t size_class = class_of(size_bytes);
  used_bytes_ += kClasses.bytes[size_class];
  Page* page = current_[size_class];
  if (page != nullptr) [[likely]] {
    if (void* block = page->free_blocks) {
      page->free_blocks = *static_cast<void**>(block);
      ++page->used;
      prefetch_for_writing(page->free_blocks);  // the next one to be handed out
      return block;
    }
    if (page->untouched_offset != page->end_offset) {
      void* block = start_of(page) + page->untouched_offset;
      page->untouched_offset += kClasses.bytes[size_class];
      ++page->used;
      return block;
    }
  }
  return allocate_slow(size_class);
}

void EntryHeap::free(void* block, std::size_t size_bytes) {
  if (size_bytes > kSmallBytesMax) [[unlikely]] {
    used_bytes_ -= large_usable_bytes(size_bytes);
    large_bytes_ -= large_usable_bytes(size_bytes);
    std::free(block);
    return;
  }
  Page* page = page_of(block);
  used_bytes_ -= kClasses.bytes[page->size_class];
  *static_cast<void**>(block) = page->free_blocks;
  page->free_blocks = block;
  if (--page->used < page->relist_below) free_slow(page);
}

std::size_t EntryHeap::return_pages(std::size_t pages_max) {
  std::size_t returned = 0;
  for (; returned < pages_max; ++returned) {
    if (empty_pages_ <= std::max(kEmptyPagesKeptMin, resident_pages_ / kEmptyPagesKeptShare)) break;
    Page* page = empty_;
    empty_ = page->next;
    --empty_pages_;
    --resident_pages_;
    page->next = returned_;
    returned_ = page;
    const std::size_t kept = page == region_of(page)->pages.data() ? kSystemPageBytes : 0;
    if (return_to_system_ != nullptr) return_to_system_(start_of(page) + kept, kPageBytes - kept);
  }
  return returned;
}

bool EntryHeap::mark_for_evacuation(std::size_t pages_max) {
  while (marking_class_ < kClasses.count) {
    // A page that is taken away leaves less room by what was free in it, and wants room for what is
    // used in it: a page's worth together. So this many of the emptiest fit into the others.
    if (marking_left_ == 0) marking_left_ = sparse_quarters_[marking_class_] / 4;
    for (std::size_t level = 0; level < kFullnessLevels && marking_left_ > 0; ++level) {
      while (Page* page = partial_[marking_class_][level]) {
        if (marking_left_ == 0) break;
        if (pages_max-- == 0) return true;
        --marking_left_;
        unlist(page);
        page->fullness = kMarked;
        page->relist_below = 1;  // when it is empty
        marked_.push_back(page);
      }
    }
    marking_left_ = 0;
    ++marking_class_;
  }
  return false;
}

bool EntryHeap::must_move(const void* block, std::size_t size_bytes) const {
  return size_bytes <= kSmallBytesMax && page_of(block)->fullness == kMarked;
}

bool EntryHeap::end_evacuation(std::size_t pages_max) {
  for (; pages_max > 0 && !marked_.empty(); --pages_max) {
    Page* page = marked_.back();
    marked_.pop_back();
    if (page->fullness != kMarked) continue;
    page->fullness = kUnlisted;
    list(page);
  }
  if (!marked_.empty()) return true;
  marking_class_ = 0;
  return false;
}

#endif

void* EntryHeap::allocate_slow(std::size_t size_class) {
  if (Page* full = current_[size_class]) {
    // In no list; the first free brings it back.
    full->relist_below = full->capacity;
    full->fullness = kUnlisted;
    current_[size_class] = nullptr;
  }
  Page* page = nullptr;
  for (std::size_t level = kFullnessLevels; level-- > 0 && page == nullptr;)
    page = partial_[size_class][level];
  if (page != nullptr) {
    unlist(page);
  } else {
    page = take_empty_page();
    const std::size_t bytes = kClasses.bytes[size_class];
    const std::size_t skipped = page == region_of(page)->pages.data() ? sizeof(Region) : 0;
    const std::size_t first = (skipped + kGranuleBytes - 1) / kGranuleBytes * kGranuleBytes;
    page->capacity = static_cast<std::uint16_t>((kPageBytes - first) / bytes);
    page->untouched_offset = static_cast<std::uint32_t>(first);
    page->end_offset = static_cast<std::uint32_t>(first + page->capacity * bytes);
    page->free_blocks = nullptr;
    page->used = 0;
    page->size_class = static_cast<std::uint8_t>(size_class);
  }
  page->relist_below = 0;
  current_[size_class] = page;

  ++page->used;
  if (void* block = page->free_blocks) {
    page->free_blocks = *static_cast<void**>(block);
    return block;
  }
  HF_CHECK(page->untouched_offset != page->end_offset);
  void* block = start_of(page) + page->untouched_offset;
  page->untouched_offset += kClasses.bytes[size_class];
  return block;
}

// The page is not its class's current one, and has become so much emptier that it belongs
// elsewhere.
void EntryHeap::free_slow(Page* page) {
  unlist(page);
  if (page->used == 0) {
    page->next = empty_;
    empty_ = page;
    ++empty_pages_;
    return;
  }
  list(page);
}

void EntryHeap::list(Page* page) {
  const std::size_t level =
      (std::size_t{page->used} * kFullnessLevels - 1) / page->capacity;  // used in (0, capacity)
  page->fullness = static_cast<std::uint8_t>(level);
  page->relist_below = static_cast<std::uint16_t>(level * page->capacity / kFullnessLevels + 1);
  sparse_quarters_[page->size_class] += kFullnessLevels - 1 - level;
  sparse_quarters_total_ += kFullnessLevels - 1 - level;
  Page*& head = partial_[page->size_class][level];
  page->previous = nullptr;
  page->next = head;
  if (head != nullptr) head->previous = page;
  head = page;
}

void EntryHeap::unlist(Page* page) {
  const std::uint8_t level = std::exchange(page->fullness, kUnlisted);
  if (level >= kFullnessLevels) return;
  sparse_quarters_[page->size_class] -= kFullnessLevels - 1U - level;
  sparse_quarters_total_ -= kFullnessLevels - 1U - level;
  if (page->next != nullptr) page->next->previous = page->previous;
  if (page->previous != nullptr) {
    page->previous->next = page->next;
  } else {
    partial_[page->size_class][level] = page->next;
  }
}

EntryHeap::Page* EntryHeap::take_empty_page() {
  if (Page* page = empty_) {
    empty_ = page->next;
    --empty_pages_;
    return page;
  }
  ++resident_pages_;
  if (Page* page = returned_) {
    returned_ = page->next;
    return page;
  }
  if (newest_ == nullptr || fresh_page_ == kPagesPerRegion) add_region();
  Page* page = &newest_->pages[fresh_page_++];
  page->fullness = kUnlisted;
  return page;
}

void EntryHeap::add_region() {
  void* memory = std::aligned_alloc(kRegionBytes, kRegionBytes);
  HF_CHECK(memory != nullptr);
  static_assert(sizeof(Region) <= kPageBytes / 32);
  newest_ = new (memory) Region;
  fresh_page_ = 0;
  regions_.push_back(newest_);
}

}  // namespace holdfast::keyspace
