// EntryHeap hands out the memory of entries: close size classes (16 bytes apart up to 512, 32 up to
// 1,024, then even divisions of a page up to 8 KB), so that a session costs its bytes and hardly
// more. Larger sizes go to malloc.
//
// A class takes pages of 64 KB out of regions of 2 MB that are aligned to 2 MB, so a pointer finds
// its page's descriptor by masking. Descriptors stand together at the region's start. A page is
// carved lazily: memory that was never needed is never touched. New blocks come from the fuller
// pages of their class, and a page that becomes empty may serve any class. The caller passes the
// size back to free(); a wrong size corrupts the accounting.
//
// With HOLDFAST_SANITIZED every allocation is an exact malloc, so that the address sanitizer sees
// overreads. Blocks are aligned to 16 bytes. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace holdfast::keyspace {

class EntryHeap {
 public:
  static constexpr std::size_t kSmallBytesMax = 8192;
  static constexpr std::size_t kPageBytes = 64 * 1024;
  static constexpr std::size_t kRegionBytes = 2 * 1024 * 1024;

  EntryHeap() = default;
  EntryHeap(const EntryHeap&) = delete;
  EntryHeap& operator=(const EntryHeap&) = delete;
  // Blocks of up to kSmallBytesMax vanish with the heap; larger ones must have been freed.
  ~EntryHeap();

  // Never fails: out of memory stops the process. size 0 is taken as 1.
  void* allocate(std::size_t size_bytes);
  void free(void* block, std::size_t size_bytes);

  // What a block of this size really occupies; the same in every build, a function of the size
  // alone.
  static std::size_t usable_bytes(std::size_t size_bytes);
  // Sum of usable_bytes over all blocks that are handed out.
  std::size_t used_bytes() const { return used_bytes_; }
  // Pages that were touched, plus large blocks: an upper bound of the share in RSS.
  std::size_t resident_bytes() const { return touched_pages_ * kPageBytes + large_bytes_; }

 private:
  static constexpr std::size_t kClassesMax = 128;
  static constexpr std::size_t kFullnessLevels = 4;

  struct Page;
  struct Region;

  static Region* region_of(void* block);
  static Page* page_of(void* block);
  static char* start_of(Page* page);

  void* allocate_slow(std::size_t size_class);
  void free_slow(Page* page);
  Page* take_empty_page();
  void add_region();
  void list(Page* page);
  void unlist(Page* page);

  std::array<Page*, kClassesMax> current_{};  // the page that allocate() takes from; in no list
  std::array<std::array<Page*, kFullnessLevels>, kClassesMax>
      partial_{};             // by fullness, emptiest first
  Page* empty_ = nullptr;     // touched pages without blocks, newest first
  Region* newest_ = nullptr;  // whose pages from fresh_page_ on were never touched
  std::size_t fresh_page_ = 0;
  std::vector<Region*> regions_;
  std::size_t used_bytes_ = 0;
  std::size_t large_bytes_ = 0;
  std::size_t touched_pages_ = 0;
};

}  // namespace holdfast::keyspace
