#include "replication/transport/boot_clock.hpp"

#include <ctime>

namespace holdfast::transport {

core::MonoTime boot_time() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return {static_cast<std::int64_t>(time.tv_sec) * 1'000'000 + time.tv_nsec / 1000};
}

}  // namespace holdfast::transport
