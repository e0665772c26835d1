// Table's walks: scan, random picks, and the sweeps that give memory back.
#include <algorithm>
#include <cstdlib>

#include "base/check.hpp"
#include "base/prefetch.hpp"
#include "server/keyspace/segment.hpp"
#include "server/keyspace/table.hpp"
#include "server/keyspace/table_layout.hpp"

namespace holdfast::keyspace {
namespace {

// Buddies that fill no more than this together are merged: well below the 864 or so at which they
// would split again.
constexpr std::uint32_t kMergedCountMax = 340;
// A table of so few segments is walked to pick an entry exactly evenly.
constexpr std::size_t kSegmentsWalkedMax = 512;
constexpr int kRandomTriesMax = 200;

}  // namespace

// The hash position behind the segment (or empty directory slot) at `position`; 0 behind the last
// one.
std::uint64_t Table::position_behind(std::uint64_t position) const {
  const Directory& directory = directory_of(position);
  const Segment* segment = directory.segments[index_of(directory, position)];
  const int bits = segment == kNoSegment ? subdirectory_bits_ + static_cast<int>(directory.depth)
                                         : segment->prefix_bits();
  if (bits == 0) return 0;
  return Segment::keep_top(position, bits) + (std::uint64_t{1} << (64 - bits));
}

template <typename Visit>
std::uint64_t Table::walk(std::uint64_t cursor, std::size_t count, Visit visit) const {
  constexpr int kShift = 64 - kCursorBits;
  if (cursor >> kCursorBits != 0) return 0;
  count = std::max<std::size_t>(count, 1);
  // Enough to pass all sub-directories of a table with few keys at once.
  std::size_t segments_max =
      std::min<std::size_t>(count, 1'000'000) * 10 + 64 + 2 * directories_.size();
  std::size_t visited = 0;
  std::uint64_t position = cursor << kShift;
  do {
    Segment& segment = *segment_of(position);
    if (segment.count() > 0) {
      const std::uint64_t from = segment.bits_of_hash(position);
      std::uint64_t last = std::uint64_t{1} << Segment::kStoredBits;  // no bits are equal to it
      for (std::uint32_t at = segment.home(from); at < segment.total(); ++at) {
        const std::uint64_t slot = segment.slot(at);
        if (slot == 0) continue;
        const std::uint64_t bits = Segment::bits_of_slot(slot);
        if (bits < from) continue;
        if (visited >= count && bits != last) return segment.hash_from(bits) >> kShift;
        visit(segment, at);
        last = bits;
        ++visited;
      }
    }
    position = position_behind(position);
  } while (position != 0 && visited < count && --segments_max > 0);
  return position >> kShift;
}

std::uint64_t Table::scan(std::uint64_t cursor, std::size_t count, ScanVisitor visit) const {
  return walk(cursor, count, [&](const Segment& segment, std::uint32_t at) {
    visit(Segment::entry_of(segment.slot(at)), segment.expiry(at));
  });
}

std::uint64_t Table::relocate(std::uint64_t cursor, std::size_t count, RelocationVisitor visit) {
  constexpr std::uint32_t kAhead = 8;
  bool moved = false;
  const std::uint64_t next = walk(cursor, count, [&](Segment& segment, std::uint32_t at) {
    if (at + kAhead < segment.total()) prefetch(Segment::entry_of(segment.slot(at + kAhead)));
    Entry* entry = Segment::entry_of(segment.slot(at));
    Entry* place = visit(entry);
    if (place == entry) return;
    segment.replace(at, place);
    moved = true;
  });
  if (moved) ++version_;
  return next;
}

Entry* Table::random_located(Random& random, bool expiring, UnixMs* expire_at) const {
  const std::size_t candidates = expiring ? expiring_count_ : size_;
  if (candidates == 0) return nullptr;
  const auto take = [&](const Segment& segment, std::uint32_t at) {
    if (expire_at != nullptr) *expire_at = segment.expiry(at);
    return Segment::entry_of(segment.slot(at));
  };
  const auto eligible = [&](const Segment& segment, std::uint32_t at) {
    return segment.slot(at) != 0 && (!expiring || segment.expiry(at) != kNoExpiry);
  };

  // A random hash and a random slot number below a common bound: every slot is hit with the same
  // chance, a shallow segment's too if it is asked only once for as often as it is met.
  if (segment_count_ > kSegmentsWalkedMax) {
    for (int tries = 0; tries < kRandomTriesMax; ++tries) {
      const Segment& segment = *segment_of(random.next());
      const int shallower = deepest_prefix_bits_ - segment.prefix_bits();
      // A segment that covers 2^n times as much of the hash space is met 2^n times as often.
      const std::uint64_t at = random.below(std::uint64_t{widest_total_} << shallower);
      if (at < segment.total() && eligible(segment, static_cast<std::uint32_t>(at)))
        return take(segment, static_cast<std::uint32_t>(at));
    }
  }
  std::uint64_t position = 0;
  std::uint64_t chosen = 0;
  if (segment_count_ <= kSegmentsWalkedMax) {
    chosen = random.below(candidates);
  } else {
    position = random.next();
  }
  while (true) {
    const Segment& segment = *segment_of(position);
    const std::uint32_t here = expiring ? segment.expiring() : segment.count();
    if (chosen < here) {
      if (segment_count_ > kSegmentsWalkedMax) chosen = random.below(here);
      for (std::uint32_t at = 0;; ++at)
        if (eligible(segment, at) && chosen-- == 0) return take(segment, at);
    }
    chosen -= here;
    position = position_behind(position);
  }
}

bool Table::drain(std::size_t budget, EntryVisitor visit) {
  if (!draining_) {
    draining_ = true;
    sweep_ = 0;
    wheel_.reset();
    expiring_count_ = 0;
    ++version_;
  }
  while (true) {
    Directory& directory = directory_of(sweep_);
    Segment* segment = directory.segments[index_of(directory, sweep_)];
    const std::uint64_t behind = position_behind(sweep_);
    if (segment != kNoSegment) {
      for (std::uint32_t at = 0; at < segment->total() && segment->count() > 0; ++at) {
        if (segment->slot(at) == 0) continue;
        if (budget == 0) return false;
        --budget;
        Entry* entry = Segment::entry_of(segment->slot(at));
        segment->clear_slot(at);
        --size_;
        visit(entry);
      }
      point_at(directory, segment, kNoSegment);
      dismiss(directory, segment);
    }
    sweep_ = behind;
    if (behind == 0 || &directory_of(behind) != &directory) release_directory(directory);
    if (behind == 0) break;
  }
  draining_ = false;
  widest_total_ = 1;
  deepest_prefix_bits_ = subdirectory_bits_;
  HF_CHECK(size_ == 0 && segment_count_ == 0);
  return true;
}

void Table::release_directory(Directory& directory) {
  if (directory.segments == kNoSegments) return;
  array_bytes_ -= sizeof(Segment*) << directory.depth;
  std::free(directory.segments);
  directory = Directory{kNoSegments, 0, 0};
}

bool Table::merge_slice(std::size_t budget) {
  if (draining_) return false;
  bool done = false;
  for (; budget > 0; --budget) {
    if (sweep_ == 0) {
      swept_deepest_ = subdirectory_bits_;
      swept_widest_ = 1;
    }
    Directory& directory = directory_of(sweep_);
    Segment* segment = directory.segments[index_of(directory, sweep_)];
    if (segment != kNoSegment) {
      if (segment->count() == 0 && directory.depth == 0) {
        dismiss(directory, segment);
        release_directory(directory);
        done = true;
      } else if (Segment* merged = merge_with_buddy(directory, *segment)) {
        sweep_ = merged->prefix();
        done = true;
        continue;  // it may have a buddy in turn
      } else {
        swept_deepest_ = std::max(swept_deepest_, segment->prefix_bits());
        swept_widest_ = std::max(swept_widest_, segment->total());
        if (segment->count() < segment->total() / 2) {
          const std::uint32_t before = segment->total();
          shrink(*segment);
          done |= segment->total() != before;
        }
      }
    }
    sweep_ = position_behind(sweep_);
    if (sweep_ == 0 || &directory_of(sweep_) != &directory) done |= halve_directory(directory);
    if (sweep_ == 0) {
      deepest_prefix_bits_ = swept_deepest_;
      widest_total_ = swept_widest_;
    }
  }
  if (done) ++version_;
  return done;
}

// The merged segment, or nullptr if they are too many or not equally deep.
Segment* Table::merge_with_buddy(Directory& directory, Segment& segment) {
  const int prefix_bits = segment.prefix_bits() - 1;
  if (prefix_bits < subdirectory_bits_) return nullptr;
  const std::uint64_t side = std::uint64_t{1} << (63 - prefix_bits);
  Segment* buddy = segment_of(segment.prefix() ^ side);
  if (buddy->prefix_bits() != segment.prefix_bits() ||
      segment.count() + buddy->count() > kMergedCountMax)
    return nullptr;
  Segment* halves[] = {&segment, buddy};
  if ((segment.prefix() & side) != 0) std::swap(halves[0], halves[1]);

  const int bits_base = std::min({segment.bits_base(), buddy->bits_base(), prefix_bits});
  Segment::Items items;
  UnixMs bound = TimingWheel::kNever;
  for (Segment* half : halves) {
    const std::size_t first = items.size();
    half->gather(items);
    // Older bits come back from the prefix, the youngest are dropped.
    const int older = half->bits_base() - bits_base;
    for (std::size_t i = first; i < items.size() && older > 0; ++i) {
      constexpr std::uint64_t kPointer = (std::uint64_t{1} << Segment::kPointerBits) - 1;
      const std::uint64_t hash = half->hash_from(Segment::bits_of_slot(items[i].slot));
      items[i].slot = hash << bits_base >> Segment::kPointerBits << Segment::kPointerBits |
                      (items[i].slot & kPointer);
    }
    if (half->node().scheduled()) bound = std::min(bound, half->node().due);
  }
  auto* merged = new Segment(segment.prefix(), prefix_bits, bits_base);
  if (!merged->build(items.data(), items.size(), Segment::kTotalMin, false)) {
    delete merged;  // crowded hashes
    return nullptr;
  }
  dismiss(directory, halves[0]);
  dismiss(directory, halves[1]);
  adopt(directory, *merged);
  if (merged->expiring() > 0)
    schedule(*merged, bound != TimingWheel::kNever ? bound : merged->expiry_min());
  return merged;
}

bool Table::halve_directory(Directory& directory) {
  if (directory.depth == 0) return false;
  const std::size_t length = std::size_t{1} << (directory.depth - 1);
  for (std::size_t i = 0; i < length; ++i)
    if (directory.segments[2 * i] != directory.segments[2 * i + 1]) return false;
  auto* shorter = static_cast<Segment**>(std::malloc(length * sizeof(Segment*)));
  HF_CHECK(shorter != nullptr);
  for (std::size_t i = 0; i < length; ++i) shorter[i] = directory.segments[2 * i];
  std::free(directory.segments);
  directory.segments = shorter;
  --directory.depth;
  array_bytes_ -= length * sizeof(Segment*);
  return true;
}

}  // namespace holdfast::keyspace
