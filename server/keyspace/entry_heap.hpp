// EntryHeap hands out the memory of entries: close size classes (16 bytes apart up to 512, 32 up to
// 1,024, then even divisions of a page up to 8 KB), so that a session costs its bytes and hardly
// more. Larger sizes go to malloc.
//
// A class takes pages of 64 KB out of regions of 2 MB that are aligned to 2 MB, so a pointer finds
// its page's descriptor by masking. Descriptors stand together at the region's start. A page is
// carved lazily: memory that was never needed is never touched. New blocks come from the fuller
// pages of their class, and a page that becomes empty may serve any class, or goes back to the
// system (`return_pages`). The caller passes the size back to free(); a wrong size corrupts the
// accounting.
//
// After many frees the blocks of many pages would fit into fewer. `mark_for_evacuation` chooses the
// emptiest pages, from which nothing is handed out any more; who owns the blocks moves those that
// `must_move` says, and `end_evacuation` takes back into service what did not become empty.
//
// With HOLDFAST_SANITIZED every allocation is an exact malloc, so that the address sanitizer sees
// overreads, and an evacuation moves every block. Blocks are aligned to 16 bytes. Not thread-safe.
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
  // How to give memory back to the system: the range must be kept, its content is lost. Null: not
  // at all, pages are only counted as given back.
  using ReturnToSystem = void (*)(void* begin, std::size_t byte_count);
  void set_return_to_system(ReturnToSystem returns) { return_to_system_ = returns; }
  // Gives up to `pages_max` empty pages back, but a few that may soon be needed. Returns how many.
  std::size_t return_pages(std::size_t pages_max);

  // How many pages an evacuation would empty, at least.
  std::size_t evacuation_gain_pages() const { return sparse_quarters_total_ / 4; }
  // Marks up to about `pages_max` pages. True: there are more to be marked.
  bool mark_for_evacuation(std::size_t pages_max);
  // REQUIRES: marking is done.
  bool must_move(const void* block, std::size_t size_bytes) const;
  // Unmarks up to `pages_max` pages. True: there are more; at the end the next marking may begin.
  bool end_evacuation(std::size_t pages_max);

  // Sum of usable_bytes over all blocks that are handed out.
  std::size_t used_bytes() const { return used_bytes_; }
  // Pages that were touched and not given back, plus large blocks: an upper bound of the share in
  // RSS.
  std::size_t resident_bytes() const { return resident_pages_ * kPageBytes + large_bytes_; }

 private:
  static constexpr std::size_t kClassesMax = 128;
  static constexpr std::size_t kFullnessLevels = 4;

  struct Page;
  struct Region;

  static Region* region_of(const void* block);
  static Page* page_of(const void* block);
  static char* start_of(Page* page);

  void* allocate_slow(std::size_t size_class);
  void free_slow(Page* page);
  Page* take_empty_page();
  void add_region();
  void list(Page* page);
  void unlist(Page* page);

  std::array<Page*, kClassesMax> current_{};  // the page that allocate() takes from; in no list
  std::array<std::array<Page*, kFullnessLevels>, kClassesMax>
      partial_{};  // by fullness, emptiest first
  // For how many pages' worth of blocks there is room at least in the listed pages, in quarters.
  std::array<std::size_t, kClassesMax> sparse_quarters_{};
  std::size_t sparse_quarters_total_ = 0;
  Page* empty_ = nullptr;  // resident pages without blocks, newest first
  std::size_t empty_pages_ = 0;
  Page* returned_ = nullptr;  // the same, given back to the system
  Region* newest_ = nullptr;  // whose pages from fresh_page_ on were never touched
  std::size_t fresh_page_ = 0;
  std::vector<Region*> regions_;
  std::size_t used_bytes_ = 0;
  std::size_t large_bytes_ = 0;
  std::size_t resident_pages_ = 0;
  ReturnToSystem return_to_system_ = nullptr;

  std::vector<Page*> marked_;  // some may have become empty, and even be in use again
  [[maybe_unused]] std::size_t marking_class_ = 0;  // where marking goes on
  [[maybe_unused]] std::size_t marking_left_ = 0;   // of that class; 0: to be determined
  bool evacuates_all_ = false;                      // with HOLDFAST_SANITIZED
};

}  // namespace holdfast::keyspace
