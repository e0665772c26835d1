// Eviction under maxmemory: by sampling, through the log, a bounded number of keys per call.
#pragma once

#include <cstddef>

#include "base/time.hpp"
#include "server/commands/server_state.hpp"

namespace holdfast::node {

enum class Room {
  kEnough,       // the data fits into maxmemory
  kMoreToEvict,  // not yet: call again soon
  kNone,         // it does not fit and nothing can be evicted: the policy forbids it, or no key has
                 // a TTL; what adds data must be refused
};

// Evicts until the data fits, or `units` are used up: a key takes one, or some more where it is
// hard to find. What is evicted no longer counts, even before it is freed.
Room make_room(commands::ServerState& state, const TimePoint& now, std::size_t units);

}  // namespace holdfast::node
