// Eviction under maxmemory: by sampling, through the log, a bounded number of keys per call.
#pragma once

#include "base/time.hpp"
#include "server/commands/server_state.hpp"

namespace holdfast::node {

// Evicts until the data fits into maxmemory, at most a batch. False: it does not fit and nothing
// can be evicted (the policy forbids it, or nothing has a TTL), so commands that add data must be
// refused.
bool make_room(commands::ServerState& state, const TimePoint& now);

}  // namespace holdfast::node
