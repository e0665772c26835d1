#include "server/app/process_host.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "config/loader/rewrite.hpp"
#include "server/app/descriptors.hpp"
#include "server/net/clock.hpp"

namespace holdfast::app {

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  file >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string executable_path() {
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

}  // namespace

void return_to_system(void* begin, std::size_t byte_count) {
  madvise(begin, byte_count, MADV_DONTNEED);
}

ProcessHost::ProcessHost(std::string config_path, const net::NetFigures& net, std::int64_t reserved)
    : config_path_(std::move(config_path)), net_(net), reserved_(reserved) {}

commands::HostFigures ProcessHost::figures() {
  commands::HostFigures figures;
  utsname system{};
  if (uname(&system) == 0)
    figures.os = fmt::format("{} {} {}", system.sysname, system.release, system.machine);
  figures.executable = executable_path();
  figures.config_file = config_path_;
  figures.process_id = getpid();
  figures.resident_bytes = resident_bytes();
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    figures.cpu_user_s = seconds(usage.ru_utime);
    figures.cpu_system_s = seconds(usage.ru_stime);
    figures.resident_bytes_peak = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  }
  if (getrusage(RUSAGE_CHILDREN, &usage) == 0) {
    figures.cpu_children_user_s = seconds(usage.ru_utime);
    figures.cpu_children_system_s = seconds(usage.ru_stime);
  }
  if (getrusage(RUSAGE_THREAD, &usage) == 0) {
    figures.cpu_loop_user_s = seconds(usage.ru_utime);
    figures.cpu_loop_system_s = seconds(usage.ru_stime);
  }
  figures.system_memory_bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  figures.network = network();
  return figures;
}

commands::NetworkCounters ProcessHost::network() {
  commands::NetworkCounters counters = net_;
  if (traffic_ == nullptr) return counters;
  counters.peer_input_bytes = traffic_->input_bytes;
  counters.peer_output_bytes = traffic_->output_bytes;
  return counters;
}

MonoUs ProcessHost::stopwatch_us() {
  return net::monotonic_us();
}

Result<void> ProcessHost::rewrite_config(const config::Options& options) {
  return config::rewrite(config_path_, options);
}

std::int64_t ProcessHost::make_room_for_clients(std::int64_t wanted) {
  return app::make_room_for_clients(wanted, reserved_);
}

}  // namespace holdfast::app
