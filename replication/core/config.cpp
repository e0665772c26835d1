#include "replication/core/config.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace holdfast::core {

namespace {

std::string ms(Duration duration) {
  return fmt::format("{}", duration.us / 1000);
}

}  // namespace

std::optional<std::string> check_config(const Config& config) {
  const auto& members = config.members;
  if (members.empty() || members.size() > kMembersMax)
    return fmt::format("a cluster has 1 to {} members, not {}", kMembersMax, members.size());
  if (members.front().value == 0 || !std::is_sorted(members.begin(), members.end()) ||
      std::adjacent_find(members.begin(), members.end()) != members.end())
    return "members are numbered from 1, ascending, each once";
  if (!std::binary_search(members.begin(), members.end(), config.self))
    return fmt::format("member {} is not in the list of members", config.self.value);
  if (config.heartbeat < milliseconds(1)) return "heartbeat_ms must be at least 1";
  if (config.lease < config.heartbeat * 2)
    return fmt::format("lease_ms ({}) must be at least twice heartbeat_ms ({})", ms(config.lease),
                       ms(config.heartbeat));
  if (config.lease > kLeaseMax)
    return fmt::format("lease_ms ({}) must not exceed {}", ms(config.lease), ms(kLeaseMax));
  if (config.election_timeout < config.lease)
    return fmt::format("election_timeout_ms ({}) must not be below lease_ms ({})",
                       ms(config.election_timeout), ms(config.lease));
  if (config.election_timeout < config.heartbeat * 4)
    return fmt::format("election_timeout_ms ({}) must be at least four times heartbeat_ms ({})",
                       ms(config.election_timeout), ms(config.heartbeat));
  if (config.busy_limit < config.election_timeout)
    return fmt::format("busy_limit_ms ({}) must not be below election_timeout_ms ({})",
                       ms(config.busy_limit), ms(config.election_timeout));
  if (config.recovery_wait < config.election_timeout)
    return fmt::format("recovery_wait_ms ({}) must not be below election_timeout_ms ({})",
                       ms(config.recovery_wait), ms(config.election_timeout));
  if (config.clock_drift_ppm < 0 || config.clock_drift_ppm > 100'000)
    return "clock_drift_ppm must be from 0 to 100000";
  if (config.failover == Failover::kUnilateral && members.size() != 2)
    return "failover: unilateral is for clusters of two members";
  if (config.message_bytes == 0 || config.message_bytes > (std::size_t{1} << 20))
    return "a message carries at least one byte and at most one megabyte of entries";
  if (config.fragment_bytes == 0 || config.fragment_bytes > config.message_bytes ||
      config.fragments_ahead == 0)
    return "fragments: of 1 byte to message_bytes, 1 ahead at least";
  if (config.message_bytes > config.window_bytes / 4)
    return "one message must not fill more than a quarter of a peer's window";
  if (config.window_messages < 2) return "a window has room for two messages at least";
  return std::nullopt;
}

}  // namespace holdfast::core
