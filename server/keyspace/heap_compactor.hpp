// HeapCompactor gives memory back to the system after many entries have gone: it moves entries out
// of sparse pages of the EntryHeap, in slices, so that the pages become empty and can be returned.
//
// A round begins when an eighth of the heap could be saved: pages are marked, all tables are walked
// once (databases, and the tables of large hashes), and the entries found on marked pages move.
// What the walk does not find (entries in the retire ring, which their mutation's commitment will
// free) stays; its pages are taken into service again. So the cost is in proportion to what was
// freed before. A heap that is merely in use has none, unless the sizes of values shift: then
// rounds run until what is free fits them.
//
// It keeps names and cursors between slices, never addresses: anything may happen to the data
// meanwhile. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/keyspace/entry_heap.hpp"
#include "server/keyspace/table.hpp"

namespace holdfast::keyspace {

class HeapCompactor {
 public:
  using Databases = std::vector<std::unique_ptr<Table>>;

  explicit HeapCompactor(EntryHeap& heap) : heap_(heap) {}

  // Looks at up to about `units` entries. True: there is more to do. Locators are stale afterwards.
  bool slice(const Databases& databases, std::size_t units);
  // A heap in which less could be saved is left alone. 0, for tests: none is.
  void set_gain_min_bytes(std::size_t bytes) { gain_min_bytes_ = bytes; }

 private:
  enum class Phase : std::uint8_t { kIdle, kMarking, kWalking, kEnding };

  bool is_worth_it() const;
  void walk(const Databases& databases, std::size_t units);
  Entry* moved(Entry* entry);

  EntryHeap& heap_;
  std::size_t gain_min_bytes_ = 8 * 1024 * 1024;
  Phase phase_ = Phase::kIdle;
  std::size_t database_ = 0;  // being walked
  std::uint64_t cursor_ = 0;
  bool walked_ = false;              // but for its large hashes
  std::vector<std::string> hashes_;  // their keys, those that were found and are still to be walked
  std::uint64_t hash_cursor_ = 0;    // in the last one

  // A round that found nothing to move must not be followed by another.
  std::size_t used_at_last_end_ = 0;
};

}  // namespace holdfast::keyspace
