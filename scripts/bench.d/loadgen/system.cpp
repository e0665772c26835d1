#include "system.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace loadgen {
namespace {

std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) fail("clock_gettime: " + std::string(std::strerror(errno)));
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000ULL +
         static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

void fail(std::string_view message) {
  std::fprintf(stderr, "loadgen: %.*s\n", static_cast<int>(message.size()), message.data());
  std::exit(1);
}

std::uint64_t monotonic_ns() {
  return clock_ns(CLOCK_MONOTONIC);
}
std::uint64_t realtime_ns() {
  return clock_ns(CLOCK_REALTIME);
}

void sleep_until_monotonic_ns(std::uint64_t deadline_ns) {
  // The default slack of 50 us would lower the pace of a paced load.
  [[maybe_unused]] static const int slack_set = prctl(PR_SET_TIMERSLACK, 1UL);
  const timespec deadline{.tv_sec = static_cast<time_t>(deadline_ns / 1'000'000'000ULL),
                          .tv_nsec = static_cast<long>(deadline_ns % 1'000'000'000ULL)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, nullptr);
}

std::uint64_t process_cpu_ns(int pid) {
  clockid_t clock{};
  if (clock_getcpuclockid(pid, &clock) != 0)
    fail("no CPU clock for process " + std::to_string(pid));
  return clock_ns(clock);
}

int connect_loopback(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket: " + std::string(std::strerror(errno)));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) fail("send: " + std::string(std::strerror(errno)));
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string raise_priority() {
  const sched_param fifo{.sched_priority = 10};
  if (sched_setscheduler(0, SCHED_FIFO, &fifo) == 0) return "fifo";
  if (setpriority(PRIO_PROCESS, 0, -5) == 0) return "nice";
  return "normal";
}

}  // namespace loadgen
