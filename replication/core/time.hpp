// Points in time and durations of the monotonic clock that events are stamped with, as strong
// types. It must count while the machine is suspended (CLOCK_BOOTTIME). The wall clock never
// reaches this room, and a point in time of one member is never compared with another member's.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace holdfast::core {

struct Duration {
  std::int64_t us = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
};

struct MonoTime {
  std::int64_t us = 0;
  friend constexpr auto operator<=>(MonoTime, MonoTime) = default;
};

constexpr Duration milliseconds(std::int64_t ms) {
  return {ms * 1000};
}
constexpr Duration operator-(MonoTime a, MonoTime b) {
  return {a.us - b.us};
}
constexpr MonoTime operator+(MonoTime t, Duration d) {
  return {t.us + d.us};
}
constexpr MonoTime operator-(MonoTime t, Duration d) {
  return {t.us - d.us};
}
constexpr Duration operator+(Duration a, Duration b) {
  return {a.us + b.us};
}
constexpr Duration operator*(Duration d, std::int64_t factor) {
  return {d.us * factor};
}
constexpr Duration operator/(Duration d, std::int64_t divisor) {
  return {d.us / divisor};
}

// Beyond every time that is sampled, with room to add durations.
inline constexpr MonoTime kNever{std::numeric_limits<std::int64_t>::max() / 4};
inline constexpr MonoTime kLongAgo{std::numeric_limits<std::int64_t>::min() / 4};

}  // namespace holdfast::core
