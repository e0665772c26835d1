// LatencyHistogram counts how often a command took how long, in fixed space and with a relative
// error below one percent.
//
// It is laid out as Redis's, an HDR histogram (hdrhistogram.org) of two significant digits from 1
// ns to 1 s: values below 256 ns have a counter each, then each doubling has 128 of them. So the
// same durations show the same percentiles and the same bounds here and there. Durations come in
// whole microseconds; 0 counts as 1 ns, more than a second as a second. Not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "server/keyspace/function_ref.hpp"

namespace holdfast::commands {

class LatencyHistogram {
 public:
  void record(std::int64_t duration_us) {
    ++counts_[index_of(duration_us <= 0 ? 1 : std::min(duration_us, kLongestUs) * 1000)];
    ++total_;
  }

  std::uint64_t total() const { return total_; }

  // The duration that `percentile` percent (0 to 100) of all calls did not exceed. REQUIRES: total
  // > 0.
  double percentile_us(double percentile) const;

  // Visits doubling bounds (1, 2, 4, 8, 16, 33, 66, 132, 264, ... us) with the number of calls up
  // to each, but only the bounds below which there are calls that are not below the one before.
  using BoundVisitor = keyspace::FunctionRef<void(std::int64_t bound_us, std::uint64_t count)>;
  void for_each_bound(BoundVisitor visit) const;

 private:
  static constexpr std::int64_t kLongestUs = 1'000'000;
  static constexpr int kHalfBits = 7;  // 128 counters a doubling
  static constexpr std::size_t kHalf = std::size_t{1} << kHalfBits;
  // ns <= 10^9 < 2^30
  static constexpr std::size_t kCounters = (30 - kHalfBits - 1) * kHalf + 2 * kHalf;

  static std::size_t index_of(std::int64_t value_ns) {
    const auto ns = static_cast<std::uint64_t>(value_ns);
    const int shift = std::bit_width(ns | (2 * kHalf - 1)) - (kHalfBits + 1);
    return (static_cast<std::size_t>(shift) << kHalfBits) + (ns >> shift);
  }
  // The longest duration that this counter counts.
  static std::int64_t last_ns(std::size_t index);

  std::array<std::uint64_t, kCounters> counts_{};
  std::uint64_t total_ = 0;
};

}  // namespace holdfast::commands
