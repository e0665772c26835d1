// Backoff says how long to wait before the next dial: the first time hardly at all, then twice as
// long each time up to a cap, and each time by a random part less, so that members that lost a peer
// together do not dial it together. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/random.hpp"
#include "replication/core/time.hpp"

namespace holdfast::transport {

class Backoff {
 public:
  static constexpr core::Duration kFirst = core::milliseconds(50);
  static constexpr core::Duration kCap = core::milliseconds(1000);

  explicit Backoff(std::uint64_t seed) : random_(seed) {}

  // From half of the step to the whole of it.
  core::Duration next() {
    const core::Duration step = std::exchange(step_, std::min(step_ * 2, kCap));
    const auto half = static_cast<std::uint64_t>(step.us / 2);
    return core::Duration{static_cast<std::int64_t>(half + random_.below(half + 1))};
  }
  // The peer answered.
  void reset() { step_ = kFirst; }

 private:
  Random random_;
  core::Duration step_ = kFirst;
};

}  // namespace holdfast::transport
