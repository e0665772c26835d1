#include "server/keyspace/segment.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "base/check.hpp"

namespace holdfast::keyspace {
namespace {

constexpr UnixMs kNever = TimingWheel::kNever;

std::uint64_t make_slot(std::uint64_t bits, const Entry* entry) {
  const auto address = reinterpret_cast<std::uintptr_t>(entry);
  HF_CHECK((address & 7) == 0 && (address >> (Segment::kPointerBits + 3)) == 0);
  return bits << Segment::kPointerBits | address >> 3;
}

template <typename T>
T* allocate_zeroed(std::size_t count) {
  auto* array = static_cast<T*>(std::calloc(count, sizeof(T)));
  HF_CHECK(array != nullptr);
  return array;
}

// Expiry offsets are looked at four at a time (every total is a multiple of it). Compared as signed
// numbers with the top bit turned over, because that is what every x86-64 can do.
constexpr std::uint32_t kLanes = 4;
static_assert(Segment::kTotalMin % kLanes == 0);
using Lanes = std::int32_t __attribute__((vector_size(kLanes * sizeof(std::int32_t))));
using Halves = std::uint64_t __attribute__((vector_size(2 * sizeof(std::uint64_t))));

// One less makes "none" the largest value, so that a single comparison tells what is due.
Lanes load_less_one(const std::uint32_t* offsets) {
  using Unsigned = std::uint32_t __attribute__((vector_size(sizeof(Lanes))));
  Unsigned lanes;
  std::memcpy(&lanes, offsets, sizeof lanes);
  return reinterpret_cast<Lanes>((lanes - 1) ^ 0x80000000U);
}

std::int32_t less_one_as_lane(std::uint32_t less_one) {
  return static_cast<std::int32_t>(less_one ^ 0x80000000U);
}

}  // namespace

std::uint64_t Segment::no_slots_ = 0;
static_assert(std::is_standard_layout_v<Segment>);

Segment::Segment(std::uint64_t prefix, int prefix_bits, int bits_base)
    : prefix_(keep_top(prefix, prefix_bits)),
      prefix_bits_(static_cast<std::uint8_t>(prefix_bits)),
      bits_base_(static_cast<std::uint8_t>(bits_base)) {
  HF_CHECK(bits_base <= prefix_bits && prefix_bits - bits_base <= kStoredBits - kKnownBitsMin);
}

Segment::~Segment() {
  if (slots_ != &no_slots_) std::free(slots_);
  std::free(expiries_);
}

std::uint32_t Segment::next_total(std::uint32_t total) {
  return total < 16 ? total + 4 : total + std::bit_floor(total) / 4;
}

std::uint32_t Segment::homes_for(std::uint32_t total) {
  return total - std::clamp<std::uint32_t>(total / 16, 2, 24);
}

std::uint32_t Segment::total_for(std::size_t count) {
  std::uint32_t total = kTotalMin;
  while (count_max(homes_for(total)) < count) total = next_total(total);
  return total;
}

std::size_t Segment::memory_bytes() const {
  const std::size_t per_slot = 8 + (form_ == Form::kNone ? 0 : form_ == Form::kNarrow ? 4 : 8);
  return sizeof(Segment) + (slots_ == &no_slots_ ? 0 : total_ * per_slot);
}

bool Segment::insert(std::uint32_t at, std::uint64_t hash, Entry* entry) {
  if (count_ >= count_max(homes_)) return false;
  std::uint32_t free = at;
  while (slots_[free] != 0) ++free;
  if (free + 1 >= total_) return false;
  std::memmove(&slots_[at + 1], &slots_[at], (free - at) * sizeof slots_[0]);
  slots_[at] = make_slot(bits_of_hash(hash), entry);
  if (form_ == Form::kNarrow) {
    std::memmove(&narrow()[at + 1], &narrow()[at], (free - at) * sizeof narrow()[0]);
    narrow()[at] = 0;
  } else if (form_ == Form::kWide) {
    std::memmove(&wide()[at + 1], &wide()[at], (free - at) * sizeof wide()[0]);
    wide()[at] = kNoExpiry;
  }
  ++count_;
  return true;
}

void Segment::replace(std::uint32_t at, Entry* entry) {
  slots_[at] = make_slot(bits_of_slot(slots_[at]), entry);
}

void Segment::erase(std::uint32_t at) {
  if (expiry(at) != kNoExpiry) --expiring_;
  std::uint32_t end = at + 1;
  while (slots_[end] != 0 && home(bits_of_slot(slots_[end])) < end) ++end;
  const std::size_t moved = end - at - 1;
  std::memmove(&slots_[at], &slots_[at + 1], moved * sizeof slots_[0]);
  slots_[end - 1] = 0;
  if (form_ == Form::kNarrow) {
    std::memmove(&narrow()[at], &narrow()[at + 1], moved * sizeof narrow()[0]);
    narrow()[end - 1] = 0;
  } else if (form_ == Form::kWide) {
    std::memmove(&wide()[at], &wide()[at + 1], moved * sizeof wide()[0]);
    wide()[end - 1] = kNoExpiry;
  }
  --count_;
}

void Segment::clear_slot(std::uint32_t at) {
  if (expiry(at) != kNoExpiry) set_expiry(at, kNoExpiry);
  slots_[at] = 0;
  --count_;
}

UnixMs Segment::expiry(std::uint32_t at) const {
  switch (form_) {
    case Form::kNone:
      return kNoExpiry;
    case Form::kNarrow:
      return narrow()[at] == 0 ? kNoExpiry : expiry_base_ + narrow()[at];
    case Form::kWide:
      return wide()[at];
  }
  return kNoExpiry;
}

bool Segment::fits_narrow(UnixMs expire_at) const {
  return expire_at > expiry_base_ &&
         static_cast<std::uint64_t>(expire_at) - static_cast<std::uint64_t>(expiry_base_) <=
             kOffsetMax;
}

void Segment::set_expiry(std::uint32_t at, UnixMs expire_at) {
  const UnixMs before = expiry(at);
  if (expire_at == kNoExpiry) {
    if (before == kNoExpiry) return;
    --expiring_;
    if (form_ == Form::kNarrow) {
      narrow()[at] = 0;
    } else {
      wide()[at] = kNoExpiry;
    }
    return;
  }
  if (form_ == Form::kNone || (form_ == Form::kNarrow && !fits_narrow(expire_at)))
    reshape_expiries(expire_at);
  if (before == kNoExpiry) ++expiring_;
  if (form_ == Form::kNarrow) {
    narrow()[at] = static_cast<std::uint32_t>(expire_at - expiry_base_);
  } else {
    wide()[at] = expire_at;
  }
}

// Makes an array that takes `with` beside the times that are there.
void Segment::reshape_expiries(UnixMs with) {
  std::vector<UnixMs> times(total_);
  UnixMs min = with;
  UnixMs max = with;
  for (std::uint32_t at = 0; at < total_; ++at) {
    times[at] = expiry(at);
    if (times[at] == kNoExpiry) continue;
    min = std::min(min, times[at]);
    max = std::max(max, times[at]);
  }
  const bool fits = max - min < static_cast<UnixMs>(kOffsetMax);  // both >= 0: no overflow
  set_form(fits ? Form::kNarrow : Form::kWide, min, max);
  for (std::uint32_t at = 0; at < total_; ++at) {
    if (form_ == Form::kWide) {
      wide()[at] = times[at];
    } else if (times[at] != kNoExpiry) {
      narrow()[at] = static_cast<std::uint32_t>(times[at] - expiry_base_);
    }
  }
}

// A fresh array, all zero bytes. [min, max] is put into the middle of what a narrow one spans.
void Segment::set_form(Form form, UnixMs min, UnixMs max) {
  std::free(expiries_);
  expiries_ = nullptr;
  form_ = form;
  if (form == Form::kNarrow) {
    expiries_ = allocate_zeroed<std::uint32_t>(total_);
    expiry_base_ = min - 1 - (static_cast<UnixMs>(kOffsetMax) - 1 - (max - min)) / 2;
  } else if (form == Form::kWide) {
    expiries_ = allocate_zeroed<UnixMs>(total_);
  }
}

UnixMs Segment::collect_due(UnixMs now, Entry** out, std::size_t max,
                            std::size_t* out_count) const {
  UnixMs left_min = kNever;
  if (form_ == Form::kNone || expiring_ == 0) return left_min;
  if (form_ == Form::kWide) {
    for (std::uint32_t at = 0; at < total_; ++at) {
      const UnixMs time = wide()[at];
      if (time == kNoExpiry) continue;
      if (time > now) {
        left_min = std::min(left_min, time);
      } else {
        if (*out_count == max) return now;
        out[(*out_count)++] = entry_of(slots_[at]);
      }
    }
    return left_min;
  }
  // One less makes "none" the largest value, so that a single comparison decides.
  const std::uint64_t span = now > expiry_base_ ? static_cast<std::uint64_t>(now) -
                                                      static_cast<std::uint64_t>(expiry_base_)
                                                : 0;
  const auto due_end = static_cast<std::uint32_t>(std::min(span, kOffsetMax));
  const std::int32_t end = less_one_as_lane(due_end);
  constexpr std::int32_t kLaneMax = std::numeric_limits<std::int32_t>::max();
  Lanes left_min_lanes = {kLaneMax, kLaneMax, kLaneMax, kLaneMax};
  for (std::uint32_t block = 0; block < total_; block += kLanes) {
    const Lanes lanes = load_less_one(narrow() + block);
    const Lanes due = lanes < end;
    const Lanes left = (lanes & ~due) | (due & kLaneMax);
    left_min_lanes = left < left_min_lanes ? left : left_min_lanes;
    const auto halves = reinterpret_cast<Halves>(due);
    if ((halves[0] | halves[1]) == 0) [[likely]]
      continue;
    for (std::uint32_t at = block; at < block + kLanes; ++at) {
      if (narrow()[at] - 1 >= due_end) continue;
      if (*out_count == max) return now;
      Entry* entry = entry_of(slots_[at]);
      prefetch(entry);  // its key comes next
      out[(*out_count)++] = entry;
    }
  }
  const std::int32_t min = std::min(std::min(left_min_lanes[0], left_min_lanes[1]),
                                    std::min(left_min_lanes[2], left_min_lanes[3]));
  const UnixMs less_one = static_cast<std::uint32_t>(min) ^ 0x80000000U;
  return min == kLaneMax ? kNever : expiry_base_ + 1 + less_one;
}

UnixMs Segment::expiry_min() const {
  std::size_t none = 0;
  return collect_due(-1, nullptr, 0, &none);
}

void Segment::gather(Items& items) const {
  items.reserve(items.size() + count_);
  for (std::uint32_t at = 0; at < total_; ++at)
    if (slots_[at] != 0) items.push_back({slots_[at], expiry(at)});
}

bool Segment::build(const Item* items, std::size_t count, std::uint32_t total_min,
                    bool beyond_max) {
  std::uint32_t total = std::max(total_min, total_for(count + 1));
  const std::uint32_t homes_before = homes_;
  std::uint32_t end = 0;  // behind the last entry
  while (true) {
    homes_ = homes_for(total);
    end = 0;
    for (std::size_t i = 0; i < count; ++i)
      end = std::max(end, home(bits_of_slot(items[i].slot))) + 1;
    if (end < total) break;
    if (next_total(total) > kTotalMax) {
      // The hashes crowd so much that more homes would not spread them: longer runs it is.
      total = std::max(next_total(total), (end + 1 + end / 4 + kLanes - 1) / kLanes * kLanes);
      break;
    }
    total = next_total(total);
  }
  if (total > kTotalMax && !beyond_max) {
    homes_ = homes_before;
    return false;
  }

  UnixMs min = kNever;
  UnixMs max = 0;
  std::uint32_t expiring = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (items[i].expire_at == kNoExpiry) continue;
    ++expiring;
    min = std::min(min, items[i].expire_at);
    max = std::max(max, items[i].expire_at);
  }
  if (slots_ != &no_slots_) std::free(slots_);
  slots_ = allocate_zeroed<std::uint64_t>(total);
  total_ = total;
  count_ = static_cast<std::uint32_t>(count);
  expiring_ = expiring;
  // Half of the span, lest a wide segment flutter.
  const bool narrow_enough = expiring > 0 && max - min < static_cast<UnixMs>(kOffsetMax / 2);
  set_form(expiring == 0 ? Form::kNone : narrow_enough ? Form::kNarrow : Form::kWide, min, max);
  if (form_ == Form::kWide) std::fill_n(wide(), total, kNoExpiry);

  std::uint32_t next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t at = std::max(next, home(bits_of_slot(items[i].slot)));
    slots_[at] = items[i].slot;
    if (items[i].expire_at != kNoExpiry) {
      if (form_ == Form::kNarrow) {
        narrow()[at] = static_cast<std::uint32_t>(items[i].expire_at - expiry_base_);
      } else {
        wide()[at] = items[i].expire_at;
      }
    }
    next = at + 1;
  }
  return true;
}

}  // namespace holdfast::keyspace
