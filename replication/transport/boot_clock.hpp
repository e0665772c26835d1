// The clock that stamps what peers say: monotonic, and counting while the machine is suspended.
#pragma once

#include "replication/core/time.hpp"

namespace holdfast::transport {

core::MonoTime boot_time();

}  // namespace holdfast::transport
