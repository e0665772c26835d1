// The clocks of the host, sampled into the time points that the node takes with its events.
#pragma once

#include "base/time.hpp"

namespace holdfast::net {

TimePoint sample_clocks();
MonoUs monotonic_us();

}  // namespace holdfast::net
