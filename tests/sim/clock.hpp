// Clock is what a machine believes the time to be: it runs a little fast or slow, from an offset of
// its own, and the rate may change. A stopped clock stands still while its machine works, which no
// lease survives; only worlds whose reads trust no clock have those. A wall clock is one that is
// also set anew, forwards or back.
#pragma once

#include <cstdint>

#include "replication/core/time.hpp"
#include "tests/sim/timeline.hpp"

namespace holdfast::sim {

class Clock {
 public:
  explicit Clock(const Timeline& timeline, std::int64_t offset_us)
      : timeline_(timeline), local_us_(offset_us) {}

  std::int64_t now_us() const { return local_us_ + elapsed() + elapsed() * drift_ppm_ / 1'000'000; }
  core::MonoTime now() const { return {now_us()}; }
  void set_drift(std::int64_t ppm) {
    settle();
    drift_ppm_ = ppm;
  }
  void set(std::int64_t local_us) {
    settle();
    local_us_ = local_us;
  }
  // The rate -1'000'000 ppm: it stands still.
  void stop() { set_drift(-1'000'000); }
  // True time that passes while this clock goes on by `local_us`, roughly.
  TrueTime true_span(std::int64_t local_us) const {
    return drift_ppm_ <= -900'000 ? local_us : local_us * 1'000'000 / (1'000'000 + drift_ppm_);
  }

 private:
  std::int64_t elapsed() const { return timeline_.now() - since_; }
  void settle() {
    local_us_ = now_us();
    since_ = timeline_.now();
  }
  const Timeline& timeline_;
  TrueTime since_ = 0;
  std::int64_t local_us_;
  std::int64_t drift_ppm_ = 0;
};

}  // namespace holdfast::sim
