// Replica is one member's side of the replication protocol as a pure function: same start, seed and
// events, same effects. Raft (Ongaro and Ousterhout 2014) with pre-vote, check-quorum, leader
// leases, pipelined appends, and rules for members that may have lost part of what they said.
//
// It never reads a clock, sets a timer, or touches a socket or file: events carry the time
// (event.hpp), effects say what to do (effects.hpp). `step` is total: any event is legal in any
// role. What a peer sends is never trusted to be sensible; what cannot be is noted and ignored.
// Entries are opaque bytes.
//
// A cluster of one goes through the same code: a majority of one, commitment by its own Persisted.
//
// What the owner does each turn:
//   1. step(Received, Persisted, ...) for all that came, then Tick if it is due;
//   2. if `accepts_entries`, run commands, which apply at once and count indexes from `next_index`;
//      one step(Submitted) with all of the turn;
//   3. ReadRequested for replies that need the lease; or `lease_holds` with a sample taken after
//      the command's bytes were read, which is the same without the queue.
// After each step it carries out the effects. A reply that depends on index i leaves once
// `commit_index() >= i`.
//
// Where the rules are: election in replica_election.cpp, what a replica does with a primary's
// messages in replica_follow.cpp, what a primary does in replica_lead.cpp, snapshots in
// replica_snapshot.cpp, members that forgot in replica_recover.cpp and claim.hpp. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/random.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/config.hpp"
#include "replication/core/effects.hpp"
#include "replication/core/event.hpp"
#include "replication/core/start.hpp"

namespace holdfast::core {

// One peer as the primary sees it, for status and INFO.
struct PeerView {
  NodeId id;
  bool is_connected = false;
  wire::Claim claim = wire::Claim::kSound;
  LogIndex persisted;  // agreed with and persisted there
  LogIndex next;       // sent next
  bool is_snapshotting = false;
  Duration silent;  // since it was last heard
};

class Replica {
 public:
  // REQUIRES: check_config finds nothing. What the beginning does (the durable record above all) is
  // in the effects of the first step.
  Replica(Config config, Start start);

  void step(const Event& event, Effects& effects);

  Role role() const { return role_; }
  Term term() const { return term_; }
  NodeId primary() const { return primary_; }  // 0: unknown
  LogIndex commit_index() const { return commit_; }
  LogIndex last_index() const { return log_.last_index(); }
  LogIndex next_index() const { return {log_.last_index().value + 1}; }
  wire::Claim claim() const { return claim_; }
  std::uint64_t generation() const { return generation_; }
  const Config& config() const { return config_; }

  // Primary, everything of former terms committed and applied, not handing over, disk sound.
  bool accepts_entries() const;
  // The primary's lease holds at `now`, and what is applied is all that was ever acknowledged.
  bool lease_holds(MonoTime now) const;
  // When Tick has something to do next. May be in the past.
  MonoTime next_due() const;
  // Log entries from here on must stay readable.
  LogIndex log_needed_from() const;
  // Bytes of entries in memory; who submits slows down when it grows far beyond
  // config().backlog_bytes.
  std::size_t backlog_bytes() const { return log_.backlog_bytes(); }
  std::vector<PeerView> peers() const;
  MonoTime lease_until() const { return lease_.until(); }
};

}  // namespace holdfast::core
