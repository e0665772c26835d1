#include "server/commands/latency_histogram.hpp"

namespace holdfast::commands {

std::int64_t LatencyHistogram::last_ns(std::size_t index) {
  const std::size_t shift = index < 2 * kHalf ? 0 : (index >> kHalfBits) - 1;
  const std::size_t first = (index - (shift << kHalfBits)) << shift;
  return static_cast<std::int64_t>(first + (std::size_t{1} << shift) - 1);
}

double LatencyHistogram::percentile_us(double percentile) const {
  const double share = std::clamp(percentile, 0.0, 100.0) / 100;
  const auto wanted = std::max<std::uint64_t>(
      static_cast<std::uint64_t>(share * static_cast<double>(total_) + 0.5), 1);
  std::uint64_t seen = 0;
  std::size_t index = 0;
  for (; index + 1 < counts_.size(); ++index) {
    seen += counts_[index];
    if (seen >= wanted) break;
  }
  return static_cast<double>(last_ns(index)) / 1000;
}

void LatencyHistogram::for_each_bound(BoundVisitor visit) const {
  std::uint64_t told = 0;
  std::uint64_t seen = 0;
  std::size_t index = 0;
  for (std::int64_t bound_ns = 1024; told < total_; bound_ns *= 2) {
    for (const std::size_t last = std::min(index_of(bound_ns), kCounters - 1); index <= last;
         ++index)
      seen += counts_[index];
    if (seen > told) visit(last_ns(index - 1) / 1000, seen);
    told = seen;
  }
}

}  // namespace holdfast::commands
