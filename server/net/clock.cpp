#include "server/net/clock.hpp"

#include <ctime>

namespace holdfast::net {

namespace {
std::int64_t microseconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000;
}
}  // namespace

// Counts while the machine is suspended: promises between members are measured by it.
MonoUs monotonic_us() {
  return microseconds(CLOCK_BOOTTIME);
}

TimePoint sample_clocks() {
  const std::int64_t wall_us = microseconds(CLOCK_REALTIME);
  return {wall_us / 1000, monotonic_us(), wall_us};
}

}  // namespace holdfast::net
