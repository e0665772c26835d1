// What a replica is told once, at its start.
//
// The relations between the numbers are part of the safety and liveness argument; `check_config`
// names the one that does not hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "replication/core/time.hpp"

namespace holdfast::core {

enum class Failover : std::uint8_t {
  kQuorum,      // a majority decides
  kUnilateral,  // two members alone: promotion on heartbeat loss, which may lose writes
};

inline constexpr Duration kLeaseMax = milliseconds(10'000);
inline constexpr std::size_t kMembersMax = 15;

// What no operator sets, and simulations make small.
struct Tuning {
  // Entries kept in memory for peers that are a little behind. More are kept while they are not
  // yet persisted and committed.
  std::size_t backlog_bytes = std::size_t{32} << 20;
  // Sent to a peer and not yet acknowledged.
  std::size_t window_bytes = std::size_t{4} << 20;
  std::size_t window_messages = 256;
  // Of entries in one message; an entry with a larger payload goes in fragments.
  std::size_t message_bytes = std::size_t{1} << 20;
  std::size_t fragment_bytes = std::size_t{64} << 10;
  std::size_t fragments_ahead = 4;  // of their acknowledgements
  std::uint64_t entry_bytes_max = std::uint64_t{1} << 32;
};

struct Config : Tuning {
  NodeId self;
  std::vector<NodeId> members;  // ascending, self among them

  Duration heartbeat = milliseconds(25);
  Duration lease = milliseconds(100);
  Duration election_timeout = milliseconds(300);  // of silence; randomised up to 1.5 times
  Duration busy_limit = milliseconds(5'000);
  Duration recovery_wait = milliseconds(30'000);
  // By how much the clocks of two members may run apart, in millionths. A lease is shortened by it.
  std::int64_t clock_drift_ppm = 10'000;
  Failover failover = Failover::kQuorum;
  // Members whose disks are all empty may begin a new cluster together.
  bool bootstrap = false;
};

// What is wrong with it, or nothing.
std::optional<std::string> check_config(const Config& config);

}  // namespace holdfast::core
