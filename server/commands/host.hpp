// Host is what a command may ask of the world outside: figures to show, and the few actions whose
// outcome is part of the reply. Everything else that a command wants from the world goes into
// HostEffects and is carried out after the command. Nothing that comes from here may decide what a
// mutation says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "config/options/options.hpp"

namespace holdfast::commands {

// Of all connections of clients, since the start.
struct NetworkCounters {
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;
  std::uint64_t reads = 0;   // from sockets that had something
  std::uint64_t writes = 0;  // to sockets that took something
  std::uint64_t connections_received = 0;
  std::uint64_t connections_rejected = 0;
  // Of the links to other members.
  std::uint64_t peer_input_bytes = 0;
  std::uint64_t peer_output_bytes = 0;

  // As Redis counts: replication is in the totals.
  std::uint64_t all_input_bytes() const { return input_bytes + peer_input_bytes; }
  std::uint64_t all_output_bytes() const { return output_bytes + peer_output_bytes; }
};

struct HostFigures {
  std::string os;  // "Linux 6.1.0 x86_64"
  std::string executable;
  std::string config_file;
  std::int64_t process_id = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t resident_bytes_peak = 0;
  std::uint64_t system_memory_bytes = 0;
  double cpu_user_s = 0;
  double cpu_system_s = 0;
  double cpu_children_user_s = 0;
  double cpu_children_system_s = 0;
  double cpu_loop_user_s = 0;  // of the thread that runs the commands
  double cpu_loop_system_s = 0;
  NetworkCounters network;
};

class Host {
 public:
  virtual ~Host() = default;
  virtual HostFigures figures() = 0;
  virtual NetworkCounters network() = 0;  // cheap, unlike all figures
  // For durations that are shown: what is stored, answered or sent must not depend on it.
  virtual MonoUs stopwatch_us() = 0;
  virtual Result<void> rewrite_config(const config::Options& options) = 0;
  // For how many at once the system has room: `wanted`, or fewer.
  virtual std::int64_t make_room_for_clients(std::int64_t wanted) = 0;
};

struct LogLine {
  std::string text;
  config::LogLevel level = config::LogLevel::kNotice;
};

struct HostEffects {
  struct Close {
    ClientId id;
    std::string_view reason;  // for the log; a literal
  };
  std::vector<Close> close;              // connections to close at once
  std::vector<ClientId> resume;          // have a reply, and may be carried on with
  bool options_changed = false;          // CONFIG SET succeeded
  std::optional<int> shutdown;           // SHUTDOWN: the exit status
  std::optional<std::int64_t> sleep_us;  // DEBUG SLEEP
  std::vector<LogLine> log_lines;
  std::string fatal;  // not empty: the node cannot go on, for this reason
};

}  // namespace holdfast::commands
