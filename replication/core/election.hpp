// Election is the state of one member's candidacy, and the vote requests that it keeps for later.
//
//   idle -> asking (pre-vote round) -> waiting (for the own promise to end) -> standing (a term of
//   its own, real votes) -> primary, or idle again after a while
//
// A request that cannot be judged yet is kept, the newest only, and judged anew as a whole when
// what was in the way has ended.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/time.hpp"

namespace holdfast::core {

enum class Phase : std::uint8_t { kIdle, kAsking, kWaiting, kStanding };

struct KeptRequest {
  NodeId from;
  wire::VoteRequest request;
};

struct Election {
  Phase phase = Phase::kIdle;
  wire::VoteKind kind = wire::VoteKind::kVote;  // of the votes, once standing
  std::vector<NodeId> granted;                  // of the present round
  MonoTime deadline = kNever;                   // of asking and standing
  MonoTime next_round = kLongAgo;               // idle: not before
  std::uint32_t rounds = 0;                     // since the primary was lost
  // Whom this member let go first in its last round: nobody is preferred twice in a row, or a deaf
  // member could win every tie and no election.
  NodeId preferred;
  std::optional<KeptRequest> kept_vote;      // until the promise ends
  std::optional<KeptRequest> kept_pre_vote;  // until this member suspects the primary itself

  void to_idle(MonoTime next) {
    phase = Phase::kIdle;
    granted.clear();
    deadline = kNever;
    next_round = next;
  }
  // True: it was not counted yet.
  bool count(NodeId voter) {
    if (std::find(granted.begin(), granted.end(), voter) != granted.end()) return false;
    granted.push_back(voter);
    return true;
  }
};

}  // namespace holdfast::core
