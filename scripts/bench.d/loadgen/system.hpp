// What the load generator wants from the operating system: clocks, a socket, a
// priority, another process's CPU time. Every failure ends the process with a
// message on stderr: a figure from a half-working run is worse than none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace loadgen {

[[noreturn]] void fail(std::string_view message);

std::uint64_t monotonic_ns();
std::uint64_t realtime_ns();
void sleep_until_monotonic_ns(std::uint64_t deadline_ns);

// CPU time that all threads of the process have used, in nanoseconds, up to now
// even for one that is running.
std::uint64_t process_cpu_ns(int pid);

// A connected TCP socket to 127.0.0.1 with TCP_NODELAY.
int connect_loopback(int port);
void send_all(int socket, std::string_view bytes);

// SCHED_FIFO if allowed, else nice -5, else as started. Returns which of the
// three: "fifo", "nice" or "normal".
std::string raise_priority();

}  // namespace loadgen
