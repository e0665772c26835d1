// Histogram counts durations in nanoseconds with a relative error of at most
// 1/64, whatever their size.
//
// Values below 64 have a bucket each; above, every power of two is divided into
// 64 buckets. The largest value is also kept exactly, because the longest stall
// is a figure of its own. Not thread-safe.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace loadgen {

class Histogram {
 public:
  void record(std::uint64_t value_ns) {
    ++x_buckets[bucket_of(value_ns)];
    ++x_count;
    x_max_ns = std::max(x_max_ns, value_ns);
  }

  // The upper edge of the bucket that holds the given share of all values; 0 if
  // there are none.
  [[nodiscard]] std::uint64_t percentile_ns(double percent) const {
    if (x_count == 0) return 0;
    const auto rank = static_cast<std::uint64_t>(percent / 100.0 * static_cast<double>(x_count));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < x_buckets.size(); ++i) {
      seen += x_buckets[i];
      if (seen > rank) return std::min(upper_edge_of(i), x_max_ns);
    }
    return x_max_ns;
  }

  [[nodiscard]] std::uint64_t max_ns() const { return x_max_ns; }
  [[nodiscard]] std::uint64_t count() const { return x_count; }

  void clear() {
    std::fill(x_buckets.begin(), x_buckets.end(), 0);
    x_count = 0;
    x_max_ns = 0;
  }

 private:
  static constexpr unsigned kSubBits = 6;
  static constexpr std::uint64_t kSubBuckets = 1ULL << kSubBits;

  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kSubBuckets) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (shift + 1) * kSubBuckets + ((value >> shift) & (kSubBuckets - 1));
  }

  static std::uint64_t upper_edge_of(std::size_t bucket) {
    if (bucket < kSubBuckets) return bucket;
    const std::size_t shift = bucket / kSubBuckets - 1;
    return ((kSubBuckets + bucket % kSubBuckets + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> x_buckets = std::vector<std::uint64_t>((65 - kSubBits) * kSubBuckets);
  std::uint64_t x_count = 0;
  std::uint64_t x_max_ns = 0;
};

}  // namespace loadgen
