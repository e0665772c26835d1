#include "server/keyspace/table.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "base/check.hpp"
#include "base/prefetch.hpp"
#include "server/keyspace/segment.hpp"
#include "server/keyspace/table_layout.hpp"

namespace holdfast::keyspace {
namespace {

constinit Segment no_segment_object;
constinit Segment* no_segment_run[1] = {&no_segment_object};

// Deeper segments would need cursors of more bits than a JavaScript number has.
constexpr int kPrefixBitsMax = Table::kCursorBits - Segment::kStoredBits;
// A directory longer than this per segment means hashes that splitting does not spread.
constexpr std::size_t kDirectorySlotsPerSegmentMax = 8;

}  // namespace

Segment* const kNoSegment = &no_segment_object;
Segment** const kNoSegments = no_segment_run;

Table::Table(EntryHeap& heap, std::uint64_t seed, int subdirectory_bits, HashFunction hash)
    : heap_(heap),
      seed_(seed),
      hash_(hash),
      subdirectory_bits_(subdirectory_bits),
      directories_(std::size_t{1} << subdirectory_bits, Directory{kNoSegments, 0, 0}),
      deepest_prefix_bits_(subdirectory_bits) {
  HF_CHECK(subdirectory_bits >= 0 && subdirectory_bits <= 16);
}

Table::~Table() {
  drain(std::numeric_limits<std::size_t>::max(),
        [this](Entry* entry) { Entry::destroy(heap_, entry); });
}

Table::Directory& Table::directory_of(std::uint64_t hash) const {
  return const_cast<Directory&>(directories_[hash >> 1 >> (63 - subdirectory_bits_)]);
}

std::size_t Table::index_of(const Directory& directory, std::uint64_t hash) const {
  return hash << subdirectory_bits_ >> 1 >> (63 - directory.depth);
}

Segment*& Table::segment_of(std::uint64_t hash) const {
  const Directory& directory = directory_of(hash);
  return directory.segments[index_of(directory, hash)];
}

std::size_t Table::memory_bytes() const {
  return sizeof(Table) + directories_.capacity() * sizeof(Directory) + array_bytes_ +
         (wheel_ ? sizeof(TimingWheel) : 0);
}

Locator Table::find(std::uint64_t hash, std::string_view key) const {
  Locator where;
  where.segment = segment_of(hash);
  where.slot = where.segment->find(hash, key, where.entry);
  where.version = version_;
  where.hash = hash;
  return where;
}

void Table::prefetch_segment(std::uint64_t hash) const {
  prefetch(segment_of(hash));
}
void Table::prefetch_slots(std::uint64_t hash) const {
  segment_of(hash)->prefetch_slots(hash);
}
void Table::prefetch_entry(std::uint64_t hash) const {
  segment_of(hash)->prefetch_entry(hash);
}

void Table::check(const Locator& where) const {
  HF_CHECK(where.version == version_ && where.entry != nullptr &&
           where.segment->holds(where.slot, where.entry));
}

void Table::insert(Locator& where, Entry* entry, UnixMs expire_at) {
  HF_CHECK(where.version == version_ && where.entry == nullptr);
  while (!where.segment->insert(where.slot, where.hash, entry)) {
    make_room(where.hash);
    Entry* present = nullptr;
    where.segment = segment_of(where.hash);
    where.slot = where.segment->find(where.hash, entry->key(), present);
  }
  ++size_;
  where.version = ++version_;
  where.entry = entry;
  if (expire_at != kNoExpiry) set_expiry(where, expire_at);
}

Entry* Table::replace(Locator& where, Entry* fresh) {
  check(where);
  where.segment->replace(where.slot, fresh);
  return std::exchange(where.entry, fresh);
}

Entry* Table::erase(Locator& where) {
  check(where);
  Segment& segment = *where.segment;
  const std::uint32_t expiring_before = segment.expiring();
  segment.erase(where.slot);
  --size_;
  expiring_count_ -= expiring_before - segment.expiring();
  if (segment.expiring() == 0 && wheel_) wheel_->remove(segment.node());
  ++version_;
  if (segment.total() > Segment::kTotalMin && segment.count() < segment.total() / 4)
    shrink(segment);
  Entry* erased = std::exchange(where.entry, nullptr);
  where.segment = nullptr;
  where.version = 0;
  return erased;
}

UnixMs Table::expiry(const Locator& where) const {
  check(where);
  return where.segment->expiry(where.slot);
}

void Table::set_expiry(Locator& where, UnixMs expire_at) {
  check(where);
  Segment& segment = *where.segment;
  const std::uint32_t expiring_before = segment.expiring();
  const std::size_t bytes_before = segment.memory_bytes();
  if (expire_at != kNoExpiry) expire_at = std::max<UnixMs>(expire_at, 0);
  segment.set_expiry(where.slot, expire_at);
  array_bytes_ += segment.memory_bytes() - bytes_before;
  expiring_count_ += segment.expiring();
  expiring_count_ -= expiring_before;
  if (expire_at != kNoExpiry) {
    schedule(segment, expire_at);
  } else if (segment.expiring() == 0 && wheel_) {
    wheel_->remove(segment.node());
  }
}

// Lowers the segment's bound if need be.
void Table::schedule(Segment& segment, UnixMs due) {
  if (segment.node().scheduled() && segment.node().due <= due) return;
  if (!wheel_) wheel_ = std::make_unique<TimingWheel>();
  wheel_->remove(segment.node());
  wheel_->insert(segment.node(), due);
}

UnixMs Table::next_due() const {
  return wheel_ ? wheel_->next_due() : TimingWheel::kNever;
}

std::size_t Table::collect_due(UnixMs now, Entry** out, std::size_t max) {
  constexpr std::size_t kStepsMax = 512;
  constexpr int kSegmentsMax = 128;
  if (!wheel_) return 0;
  std::size_t collected = 0;
  std::size_t steps = kStepsMax;
  for (int looked_at = 0; looked_at < kSegmentsMax && collected < max; ++looked_at) {
    TimingWheel::Node* node = wheel_->pop_due(now, steps);
    if (node == nullptr) break;
    const UnixMs bound = Segment::of_node(*node).collect_due(now, out, max, &collected);
    if (bound != TimingWheel::kNever) wheel_->insert(*node, bound);
  }
  return collected;
}

// Rebuilds the segment with room for one more at least, or splits it.
void Table::make_room(std::uint64_t hash) {
  Directory& directory = directory_of(hash);
  Segment* segment = directory.segments[index_of(directory, hash)];
  if (segment == kNoSegment) {
    HF_CHECK(directory.depth == 0);
    directory.segments = static_cast<Segment**>(std::malloc(sizeof(Segment*)));
    HF_CHECK(directory.segments != nullptr);
    array_bytes_ += sizeof(Segment*);
    segment = new Segment(hash, subdirectory_bits_, subdirectory_bits_);
    directory.segments[0] = segment;
    HF_CHECK(segment->build(nullptr, 0, Segment::kTotalMin, false));
    adopt(directory, *segment);
    return;
  }
  const bool splittable = may_split(directory, *segment);
  const std::uint32_t total = Segment::next_total(segment->total());
  if (total <= Segment::kTotalMax || !splittable) {
    Segment::Items items;
    segment->gather(items);
    const std::size_t bytes_before = segment->memory_bytes();
    if (segment->build(items.data(), items.size(), total, !splittable)) {
      array_bytes_ += segment->memory_bytes() - bytes_before;
      widest_total_ = std::max(widest_total_, segment->total());
      return;
    }
  }
  split(directory, segment);
}

void Table::shrink(Segment& segment) {
  // Room for a third more, so that growing does not follow at once.
  const std::uint32_t total = Segment::total_for(segment.count() + segment.count() / 3);
  if (total >= segment.total()) return;
  Segment::Items items;
  segment.gather(items);
  const std::size_t bytes_before = segment.memory_bytes();
  segment.build(items.data(), items.size(), total, segment.total() > Segment::kTotalMax);
  array_bytes_ += segment.memory_bytes() - bytes_before;
  widest_total_ = std::max(widest_total_, segment.total());
}

bool Table::may_split(const Directory& directory, const Segment& segment) const {
  if (segment.prefix_bits() >= kPrefixBitsMax) return false;
  const auto depth = static_cast<std::uint32_t>(segment.prefix_bits() - subdirectory_bits_);
  return depth < directory.depth || (std::size_t{1} << directory.depth) <=
                                        kDirectorySlotsPerSegmentMax * directory.segment_count;
}

void Table::adopt(Directory& directory, Segment& segment) {
  ++directory.segment_count;
  ++segment_count_;
  array_bytes_ += segment.memory_bytes();
  deepest_prefix_bits_ = std::max(deepest_prefix_bits_, segment.prefix_bits());
  widest_total_ = std::max(widest_total_, segment.total());
  point_at(directory, &segment, &segment);
}

void Table::dismiss(Directory& directory, Segment* segment) {
  --directory.segment_count;
  --segment_count_;
  array_bytes_ -= segment->memory_bytes();
  if (wheel_) wheel_->remove(segment->node());
  delete segment;
}

// Lets the directory slots of `range` lead to `target`.
void Table::point_at(Directory& directory, const Segment* range, Segment* target) {
  const std::size_t first = index_of(directory, range->prefix());
  const std::size_t depth = static_cast<std::size_t>(range->prefix_bits() - subdirectory_bits_);
  std::fill_n(directory.segments + first, std::size_t{1} << (directory.depth - depth), target);
}

// Takes the items' bits anew from their keys.
void Table::refresh(Segment::Items& items, std::size_t from, std::size_t to, int bits_base) const {
  constexpr std::size_t kAhead = 12;
  const Segment layout(0, bits_base, bits_base);
  constexpr std::uint64_t kPointer = (std::uint64_t{1} << Segment::kPointerBits) - 1;
  for (std::size_t i = from; i < std::min(to, from + kAhead); ++i)
    prefetch(Segment::entry_of(items[i].slot));
  for (std::size_t i = from; i < to; ++i) {
    if (i + kAhead < to) prefetch(Segment::entry_of(items[i + kAhead].slot));
    const std::uint64_t bits =
        layout.bits_of_hash(hash_of(Segment::entry_of(items[i].slot)->key()));
    items[i].slot = bits << Segment::kPointerBits | (items[i].slot & kPointer);
  }
  const auto by_bits = [](const Segment::Item& a, const Segment::Item& b) {
    return Segment::bits_of_slot(a.slot) < Segment::bits_of_slot(b.slot);
  };
  const auto first = items.begin() + static_cast<std::ptrdiff_t>(from);
  const auto last = items.begin() + static_cast<std::ptrdiff_t>(to);
  if (!std::is_sorted(first, last, by_bits)) std::sort(first, last, by_bits);
}

void Table::split(Directory& directory, Segment* segment) {
  const int prefix_bits = segment->prefix_bits() + 1;
  if (static_cast<std::uint32_t>(prefix_bits - subdirectory_bits_) > directory.depth)
    double_directory(directory);

  Segment::Items items;
  segment->gather(items);
  const std::uint64_t half_bit = std::uint64_t{1}
                                 << (64 - prefix_bits + segment->bits_base());  // in the slot
  const auto middle = static_cast<std::size_t>(
      std::partition_point(items.begin(), items.end(),
                           [&](const Segment::Item& item) { return (item.slot & half_bit) == 0; }) -
      items.begin());
  int bits_base = segment->bits_base();
  if (prefix_bits - bits_base > Segment::kStoredBits - Segment::kKnownBitsMin) {
    bits_base = prefix_bits;
    refresh(items, 0, middle, bits_base);
    refresh(items, middle, items.size(), bits_base);
  }

  const std::uint64_t prefix = segment->prefix();
  const UnixMs bound = segment->node().scheduled() ? segment->node().due : TimingWheel::kNever;
  dismiss(directory, segment);
  const std::pair<std::size_t, std::size_t> halves[] = {{0, middle}, {middle, items.size()}};
  for (std::uint64_t half = 0; half < 2; ++half) {
    const auto [from, to] = halves[half];
    auto* child = new Segment(prefix | half << (64 - prefix_bits), prefix_bits, bits_base);
    HF_CHECK(child->build(items.data() + from, to - from, Segment::kTotalMin, true));
    adopt(directory, *child);
    if (child->expiring() > 0)
      schedule(*child, bound != TimingWheel::kNever ? bound : child->expiry_min());
  }
}

void Table::double_directory(Directory& directory) {
  const std::size_t length = std::size_t{1} << directory.depth;
  auto* longer = static_cast<Segment**>(std::malloc(2 * length * sizeof(Segment*)));
  HF_CHECK(longer != nullptr);
  for (std::size_t i = 0; i < length; ++i)
    longer[2 * i] = longer[2 * i + 1] = directory.segments[i];
  std::free(directory.segments);
  directory.segments = longer;
  ++directory.depth;
  array_bytes_ += length * sizeof(Segment*);
}

}  // namespace holdfast::keyspace
