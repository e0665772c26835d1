// Segment is one bucket of a Table: up to about a thousand entries whose hashes share a prefix,
// kept in hash order.
//
//   slot     := bits:20 pointer:44         0 = free; pointer = address of the Entry / 8
//   bits     := the hash bits [bits_base, bits_base + 20)
//   expiries := nothing, or one per slot: u32 ms after expiry_base (0 = none), or i64 Unix ms
//   (kNoExpiry = none)
//
// Ordered linear probing (Amble and Knuth 1974): home(bits) maps monotonously to [0, homes),
// entries stand at or behind their homes in the order of their bits, without a gap before them;
// what is pushed beyond the last home stands in a few overflow slots. The last slot is always free,
// so that no loop needs a bound. There are no tombstones: removal shifts back.
//
// bits_base <= prefix_bits: a split halves the segment by the next bit that its slots already know,
// so it reads no keys. kKnownBitsMin bits below the prefix stay known; when they would not, the
// bits are taken anew from the keys.
//
// An expiry time outside of the 49 days that u32 spans makes the segment wide, until a rebuild
// finds that all fit again. The wheel node's time is a lower bound of the expiry times; the table
// keeps it so. A plain mechanism of Table, for nobody else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/prefetch.hpp"
#include "server/keyspace/entry.hpp"
#include "server/keyspace/table.hpp"
#include "server/keyspace/timing_wheel.hpp"

namespace holdfast::keyspace {

// A slot and its expiry time on their way from one array to another.
struct SegmentItem {
  std::uint64_t slot;
  UnixMs expire_at;
};

class Segment {
 public:
  static constexpr int kStoredBits = 20;
  static constexpr int kPointerBits = 44;
  static constexpr int kKnownBitsMin = 14;
  static constexpr std::uint32_t kTotalMin = 8;
  static constexpr std::uint32_t kTotalMax = 1024;  // more only where splitting does not help

  using Item = SegmentItem;
  using Items = std::vector<Item>;

  // An empty segment without slots, which find and scan accept; inserting into it reports that
  // there is no room.
  constexpr Segment() = default;
  Segment(std::uint64_t prefix, int prefix_bits, int bits_base);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  TimingWheel::Node& node() { return node_; }
  static Segment& of_node(TimingWheel::Node& node) { return reinterpret_cast<Segment&>(node); }

  std::uint32_t count() const { return count_; }
  std::uint32_t expiring() const { return expiring_; }
  std::uint32_t total() const { return total_; }
  std::uint64_t prefix() const { return prefix_; }  // left-aligned
  int prefix_bits() const { return prefix_bits_; }
  int bits_base() const { return bits_base_; }
  bool is_wide() const { return form_ == Form::kWide; }

  static Entry* entry_of(std::uint64_t slot) {
    return reinterpret_cast<Entry*>((slot & ((std::uint64_t{1} << kPointerBits) - 1)) << 3);
  }
  static std::uint64_t bits_of_slot(std::uint64_t slot) { return slot >> kPointerBits; }
  std::uint64_t bits_of_hash(std::uint64_t hash) const {
    return hash << bits_base_ >> (64 - kStoredBits);
  }
  // The lowest hash with these bits.
  std::uint64_t hash_from(std::uint64_t bits) const {
    return (bits << kPointerBits >> bits_base_) | keep_top(prefix_, bits_base_);
  }
  std::uint32_t home(std::uint64_t bits) const {
    const std::uint64_t local = (bits << (prefix_bits_ - bits_base_)) & (kBitsEnd - 1);
    return static_cast<std::uint32_t>(local * homes_ >> kStoredBits);
  }

  // The slot of the key, or where it belongs; `entry` tells which.
  std::uint32_t find(std::uint64_t hash, std::string_view key, Entry*& entry) const {
    const std::uint64_t bits = bits_of_hash(hash);
    std::uint32_t at = home(bits);
    while (true) {
      const std::uint64_t slot = slots_[at];
      if (slot == 0 || bits_of_slot(slot) > bits) break;
      if (bits_of_slot(slot) == bits) {
        Entry* candidate = entry_of(slot);
        if (candidate->key() == key) {
          entry = candidate;
          return at;
        }
      }
      ++at;
    }
    entry = nullptr;
    return at;
  }
  // Starts loading the slots and expiry times where `hash` is at home, and then, when these have
  // come, the entries that find would look at.
  void prefetch_slots(std::uint64_t hash) const {
    const std::uint32_t at = home(bits_of_hash(hash));
    prefetch(&slots_[at]);
    if (form_ == Form::kNarrow) prefetch(&narrow()[at]);
  }
  void prefetch_entry(std::uint64_t hash) const {
    const std::uint64_t bits = bits_of_hash(hash);
    for (std::uint32_t at = home(bits);; ++at) {
      const std::uint64_t slot = slots_[at];
      if (slot == 0 || bits_of_slot(slot) > bits) return;
      if (bits_of_slot(slot) != bits) continue;
      const char* entry = reinterpret_cast<const char*>(entry_of(slot));
      prefetch(entry);
      prefetch(entry + 64);
      return;
    }
  }
  std::uint64_t slot(std::uint32_t at) const { return slots_[at]; }
  // True if the entry whose slot this would be stands there.
  bool holds(std::uint32_t at, const Entry* entry) const {
    return at < total_ && entry_of(slots_[at]) == entry;
  }

  // False, and nothing done, if the segment is full or has no free slot behind `at`.
  bool insert(std::uint32_t at, std::uint64_t hash, Entry* entry);
  void replace(std::uint32_t at, Entry* entry);
  void erase(std::uint32_t at);

  UnixMs expiry(std::uint32_t at) const;
  void set_expiry(std::uint32_t at, UnixMs expire_at);
  // Passes over all expiry times: those <= now are written to out (up to max; *out_count counts
  // on), the smallest of the others is returned (kNever if none). If `max` did not suffice, the
  // return value is `now`.
  UnixMs collect_due(UnixMs now, Entry** out, std::size_t max, std::size_t* out_count) const;
  // The smallest expiry time, kNever if there is none.
  UnixMs expiry_min() const;

  // All entries in order, appended to `items`.
  void gather(Items& items) const;
  // Replaces the contents by `items`, which are in order and carry this segment's bits, in the
  // smallest arrays of at least `total_min` slots that they fit into. Past kTotalMax they are only
  // placed if `beyond_max`; otherwise false, and nothing done.
  bool build(const Item* items, std::size_t count, std::uint32_t total_min, bool beyond_max);
  // Takes a slot out without closing the gap: only for emptying the segment for good.
  void clear_slot(std::uint32_t at);

  // The next larger step, and the smallest one that `count` entries fill to no more than the limit.
  static std::uint32_t next_total(std::uint32_t total);
  static std::uint32_t total_for(std::size_t count);
  static std::uint32_t homes_for(std::uint32_t total);
  static std::uint32_t count_max(std::uint32_t homes) { return homes * 27 / 32; }

  std::size_t memory_bytes() const;

  static std::uint64_t keep_top(std::uint64_t value, int bits) {
    return bits == 0 ? 0 : value >> (64 - bits) << (64 - bits);
  }

 private:
  enum class Form : std::uint8_t { kNone, kNarrow, kWide };
  static constexpr std::uint64_t kBitsEnd = std::uint64_t{1} << kStoredBits;
  static constexpr std::uint64_t kOffsetMax = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t* narrow() const { return static_cast<std::uint32_t*>(expiries_); }
  UnixMs* wide() const { return static_cast<UnixMs*>(expiries_); }
  bool fits_narrow(UnixMs expire_at) const;
  void reshape_expiries(UnixMs with);
  void set_form(Form form, UnixMs min, UnixMs max);

  static std::uint64_t no_slots_;

  TimingWheel::Node node_;  // first: of_node relies on it
  std::uint64_t* slots_ = &no_slots_;
  void* expiries_ = nullptr;
  UnixMs expiry_base_ = 0;
  std::uint64_t prefix_ = 0;
  std::uint32_t homes_ = 1;
  std::uint32_t total_ = 1;
  std::uint32_t count_ = 0;
  std::uint32_t expiring_ = 0;
  std::uint8_t prefix_bits_ = 0;
  std::uint8_t bits_base_ = 0;
  Form form_ = Form::kNone;
};

}  // namespace holdfast::keyspace
