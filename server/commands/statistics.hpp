// Counters that INFO shows and CONFIG RESETSTAT clears.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/commands/host.hpp"
#include "server/commands/latency_histogram.hpp"

namespace holdfast::commands {

struct CommandStatistics {
  std::uint64_t calls = 0;
  std::uint64_t microseconds = 0;
  std::uint64_t rejected = 0;  // refused before it ran (arity, authentication, memory)
  std::uint64_t failed = 0;    // ran and answered an error
  std::unique_ptr<LatencyHistogram> latency;  // from the first call on that is tracked

  void note_duration(std::int64_t duration_us, bool tracked) {
    microseconds += static_cast<std::uint64_t>(duration_us);
    if (!tracked) return;
    if (latency == nullptr) latency = std::make_unique<LatencyHistogram>();
    latency->record(duration_us);
  }
};

struct Statistics {
  std::uint64_t commands_processed = 0;
  std::uint64_t keyspace_hits = 0;
  std::uint64_t keyspace_misses = 0;
  std::uint64_t expired_keys = 0;
  std::uint64_t evicted_keys = 0;
  std::uint64_t error_replies = 0;
  std::uint64_t full_syncs = 0;  // node/sync_counter.hpp
  std::uint64_t partial_syncs = 0;
  std::uint64_t partial_syncs_refused = 0;
  std::uint64_t operations_per_second = 0;
  double input_kb_per_second = 0;
  double output_kb_per_second = 0;
  double peer_input_kb_per_second = 0;  // of the links to other members
  double peer_output_kb_per_second = 0;
  std::uint64_t used_bytes_peak = 0;              // of the values that were looked at
  std::vector<CommandStatistics> by_command;      // by CommandSpec::number
  std::map<std::string, std::uint64_t> by_error;  // prefix ("ERR", "WRONGTYPE") -> count

  // What the host had counted at the last reset; shown is what came since.
  NetworkCounters network_before;

  void note_error(std::string_view text) {
    ++error_replies;
    ++by_error[std::string(text.substr(0, text.find(' ')))];
  }

  // Returns the peak, which never goes down but by CONFIG RESETSTAT.
  std::uint64_t note_used(std::uint64_t used_bytes) {
    used_bytes_peak = std::max(used_bytes_peak, used_bytes);
    return used_bytes_peak;
  }
};

}  // namespace holdfast::commands
