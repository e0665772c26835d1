// Table is the one hash table: the keys of a database with their expiry times, and the members of a
// large hash or set.
//
// 2^s sub-directories by the top s hash bits, each an extendible-hashing directory (Fagin et al.
// 1979) of its own over segments that keep their entries in hash order (see segment.hpp). No
// operation depends on the size of the whole: the longest step is the rebuild of one segment of
// about a thousand slots. A directory allocates nothing before its first entry.
//
// The table owns its entries' bytes while they are in it, never what their boxes point at. It keeps
// a seed only to hash keys again when a segment's stored hash bits run out; every hash passed in
// must be hash(seed, key). Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "base/time.hpp"
#include "server/keyspace/entry.hpp"
#include "server/keyspace/entry_heap.hpp"
#include "server/keyspace/function_ref.hpp"
#include "server/keyspace/hash.hpp"
#include "server/keyspace/timing_wheel.hpp"

namespace holdfast::keyspace {

class Segment;
struct SegmentItem;

inline constexpr UnixMs kNoExpiry = -1;
inline constexpr int kKeyspaceSubdirectoryBits = 8;
inline constexpr int kCollectionSubdirectoryBits = 0;

// The one meaning of "expired": gone at its millisecond, not after it.
inline bool is_expired(UnixMs expire_at, UnixMs now) {
  return expire_at != kNoExpiry && expire_at <= now;
}

// Where a key is, or would be. Valid until the next insert or erase by way of another locator, and
// until a merge_slice or relocate that did something; using a stale one stops the process.
struct Locator {
  Segment* segment = nullptr;
  std::uint32_t slot = 0;
  std::uint64_t version = 0;
  Entry* entry = nullptr;  // nullptr = absent
  std::uint64_t hash = 0;
};

class Table {
 public:
  using HashFunction = std::uint64_t (*)(std::uint64_t seed, std::string_view key);
  using EntryVisitor = FunctionRef<void(Entry*)>;
  using ScanVisitor = FunctionRef<void(Entry*, UnixMs)>;
  using RelocationVisitor = FunctionRef<Entry*(Entry*)>;
  static constexpr int kCursorBits = 52;

  Table(EntryHeap& heap, std::uint64_t seed, int subdirectory_bits, HashFunction hash = key_hash);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  // Frees all entries' own bytes. Long for a large table: drain() first. Boxes are the caller's:
  // visit and free them before.
  ~Table();

  std::uint64_t seed() const { return seed_; }
  std::uint64_t hash_of(std::string_view key) const { return hash_(seed_, key); }

  Locator find(std::uint64_t hash, std::string_view key) const;
  Locator find(std::string_view key) const { return find(hash_of(key), key); }
  // Start loading what find(hash) will need: its segment, some time later the slots, and then the
  // entry.
  void prefetch_segment(std::uint64_t hash) const;
  void prefetch_slots(std::uint64_t hash) const;
  void prefetch_entry(std::uint64_t hash) const;

  // REQUIRES: `where` came from find for the entry's key, and is absent. Afterwards it locates the
  // entry.
  void insert(Locator& where, Entry* entry, UnixMs expire_at = kNoExpiry);
  // Puts `fresh`, an entry of the same key, in the place of the located one, which is returned and
  // then the caller's. The expiry time stays. Other locators stay valid, but those of the same key
  // still name the old entry: they must not be used.
  Entry* replace(Locator& where, Entry* fresh);
  // Takes the located entry out; it is the caller's then. `where` must not be used any more.
  Entry* erase(Locator& where);

  // kNoExpiry if none. REQUIRES: located.
  UnixMs expiry(const Locator& where) const;
  // kNoExpiry removes the expiry time; other times before the epoch are taken as the epoch.
  void set_expiry(Locator& where, UnixMs expire_at);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t expiring_count() const { return expiring_count_; }
  // The table's own memory: itself, directories, segments and arrays; not its entries.
  std::size_t memory_bytes() const;

  // Visits about `count` entries from `cursor` on in hash order and returns the next cursor, 0 at
  // the end. Start with 0; cursors are below 2^52. An entry that is there from the first call to
  // the last is visited at least once, whatever grows, splits or merges meanwhile; one may be
  // visited twice after a merge. Entries that agree in all known hash bits (rare) come together. On
  // a sparse table a call may visit fewer or none, and still not be at the end. The visitor must
  // not change the table.
  std::uint64_t scan(std::uint64_t cursor, std::size_t count, ScanVisitor visit) const;
  // The same walk for moving entries: the visitor returns the entry's new place, which holds the
  // same bytes, or the entry. Locators are stale afterwards if one was moved.
  std::uint64_t relocate(std::uint64_t cursor, std::size_t count, RelocationVisitor visit);

  // nullptr if there is none. All entries are about equally likely.
  Entry* random_entry(Random& random) const { return random_located(random, false, nullptr); }
  // Among those with an expiry time, which is written to *expire_at.
  Entry* random_expiring(Random& random, UnixMs* expire_at = nullptr) const {
    return random_located(random, true, expire_at);
  }

  // A lower bound of the earliest expiry time, INT64_MAX if nothing expires. It may lie before it
  // (something was extended or erased), and then collect_due(next_due()) returns nothing and moves
  // the bound.
  UnixMs next_due() const;
  // Writes up to `max` entries with expire_at <= now to `out` and returns their number. CONTRACT:
  // the caller erases each (or sets its expiry) before the next call; one that is left alone may
  // not be reported again. Work per call is bounded: while next_due() <= now, there may be more,
  // even if fewer than `max` came.
  std::size_t collect_due(UnixMs now, Entry** out, std::size_t max);

  // Empties the table in slices: up to `budget` entries are taken out and passed to `visit`, which
  // owns them from then on. True when the table is empty and its memory given back. Between the
  // first call and true nothing but size() may be asked.
  bool drain(std::size_t budget, EntryVisitor visit);

  // Looks at up to `budget` segments, going round the table from call to call, and gives memory
  // back: merges sparse buddies, shrinks arrays and directories. True if something was done.
  bool merge_slice(std::size_t budget);

  std::size_t segment_count() const { return segment_count_; }

  // A mark for the retire ring: somebody still reads the table, it must not be drained.
  bool wanted() const { return wanted_; }
  void set_wanted(bool wanted) { wanted_ = wanted; }

 private:
  struct Directory {
    Segment** segments;  // 2^depth; runs of equal pointers where a segment is shallower
    std::uint32_t depth;
    std::uint32_t segment_count;  // distinct, without the shared empty one
  };

  Directory& directory_of(std::uint64_t hash) const;
  std::size_t index_of(const Directory& directory, std::uint64_t hash) const;
  Segment*& segment_of(std::uint64_t hash) const;
  std::uint64_t position_behind(std::uint64_t position) const;
  void check(const Locator& where) const;

  void make_room(std::uint64_t hash);
  void shrink(Segment& segment);
  bool may_split(const Directory& directory, const Segment& segment) const;
  void split(Directory& directory, Segment* segment);
  Segment* merge_with_buddy(Directory& directory, Segment& segment);
  void refresh(std::vector<SegmentItem>& items, std::size_t from, std::size_t to,
               int bits_base) const;
  void adopt(Directory& directory, Segment& segment);
  void dismiss(Directory& directory, Segment* segment);
  void point_at(Directory& directory, const Segment* range, Segment* target);
  void double_directory(Directory& directory);
  bool halve_directory(Directory& directory);
  void release_directory(Directory& directory);
  void schedule(Segment& segment, UnixMs due);
  template <typename Visit>
  std::uint64_t walk(std::uint64_t cursor, std::size_t count, Visit visit) const;
  Entry* random_located(Random& random, bool expiring, UnixMs* expire_at) const;

  EntryHeap& heap_;
  std::uint64_t seed_;
  HashFunction hash_;
  int subdirectory_bits_;
  std::vector<Directory> directories_;
  std::uint64_t version_ = 1;
  std::size_t size_ = 0;
  std::size_t expiring_count_ = 0;
  std::size_t segment_count_ = 0;
  std::size_t array_bytes_ = 0;         // segments, their arrays and the directories' arrays
  std::unique_ptr<TimingWheel> wheel_;  // from the first expiry time on

  // Upper bounds over all segments, for even random picks; merge_slice lowers them once a round.
  int deepest_prefix_bits_;
  std::uint32_t widest_total_ = 1;

  std::uint64_t sweep_ = 0;  // the hash position where merge_slice or drain goes on
  int swept_deepest_ = 0;
  std::uint32_t swept_widest_ = 1;
  bool draining_ = false;
  bool wanted_ = false;
};

}  // namespace holdfast::keyspace
