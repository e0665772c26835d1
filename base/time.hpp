// Points in time as the rooms below the determinism line see them: plain numbers that came in with
// an event. Nothing here reads a clock.
#pragma once

#include <cstdint>

namespace holdfast {

// Milliseconds since the Unix epoch (wall clock). What TTLs are measured in. Signed: EXPIREAT may
// name the past.
using UnixMs = std::int64_t;
// Microseconds of a monotonic clock: durations, idle times, slow log. Never compared with wall
// time.
using MonoUs = std::int64_t;

// A sample of both clocks, taken once a turn after the turn's bytes were read.
struct TimePoint {
  UnixMs unix_ms = 0;
  MonoUs mono_us = 0;
  std::int64_t unix_us = 0;  // the wall clock in full resolution, for TIME
};

}  // namespace holdfast
