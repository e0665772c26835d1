// What the members of a cluster say to each other, as plain structs. codec.hpp gives them bytes.
//
// Nothing here decides: what a message means is replication/core's business. A message is a fact
// about its sender at the time of sending; `term` and `generation` are the sender's, and durable
// there. Times are durations in microseconds: clocks are never compared between members.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/rope.hpp"
#include "base/time.hpp"

namespace holdfast::wire {

// As log::Entry (which this room may not know); `kind` is opaque here.
struct Entry {
  Term term;
  LogIndex index;
  UnixMs time = 0;
  std::uint8_t kind = 0;
  Rope payload;
};

enum class VoteKind : std::uint8_t {
  kPreVote = 0,     // "would you vote for me?"; binds nobody
  kVote = 1,        // binds the voter for `for_term`
  kTransfer = 2,    // as kVote; the primary itself asked the candidate to stand
  kGeneration = 3,  // as kVote, among members that cannot prove that their logs are whole
};

struct VoteRequest {
  VoteKind kind = VoteKind::kPreVote;
  Term for_term;
  LogIndex last_index;
  Term last_term;
  std::uint64_t new_generation = 0;  // kGeneration: what a victory begins
};

enum class Refusal : std::uint8_t {
  kNone = 0,
  kLogBehind = 1,
  kAlreadyVoted = 2,
  kOldTerm = 3,
  kPrimaryAlive = 4,  // pre-vote: the voter hears the primary
  kRecovering = 5,    // the voter may not vote at all
  kOther = 6,
};

struct VoteReply {
  VoteKind kind = VoteKind::kPreVote;
  Term for_term;
  bool granted = false;
  Refusal reason = Refusal::kNone;
};

// What a member can claim about its log; see replication/core/claim.hpp.
enum class Claim : std::uint8_t {
  kSound = 0,
  kRecovering = 1,  // a tail that it acknowledged may be missing
  kBlank = 2,       // an empty disk: it may have forgotten everything, votes too
};

struct Heartbeat {
  std::uint64_t round = 0;     // grows in a term; names the promise that an answer gives
  std::uint64_t lease_us = 0;  // promise asked for; 0: none
  LogIndex commit;             // of the primary
  LogIndex last_index;         // of the primary's log
  LogIndex acknowledged;       // what this peer has acknowledged in this term
};

struct HeartbeatReply {
  std::uint64_t round = 0;
  LogIndex received;   // the log agrees with the primary's up to here, persisted or not
  LogIndex persisted;  // ... and is persisted up to here
  Claim claim = Claim::kSound;
  bool is_unfit = false;  // to take over now: its disk fails, or its owner is not ready to serve
};

// Entries that follow (prev_index, prev_term). Without entries: a probe.
struct AppendEntries {
  LogIndex prev_index;
  Term prev_term;
  LogIndex commit;
  std::vector<Entry> entries;
};

// Bytes of one entry that is too large for one message, in order. The entry is appended with its
// last fragment, never before.
struct AppendFragment {
  LogIndex prev_index;
  Term prev_term;
  LogIndex commit;
  Entry entry;  // its payload is empty
  std::uint64_t total_bytes = 0;
  std::uint64_t offset = 0;
  Rope bytes;
};

struct AppendReply {
  bool accepted = false;
  // Accepted: as in HeartbeatReply. Refused: `received` echoes prev_index.
  LogIndex received;
  LogIndex persisted;
  // Refused: `hint_index` is an index at or below which the logs may agree; its term here.
  LogIndex hint_index;
  Term hint_term;
  // Of the entry after `received`, so much is here of its fragments.
  std::uint64_t fragment_bytes = 0;
  Claim claim = Claim::kSound;
};

// The sender lives but is inside a long command. Delays suspicion, extends no lease.
struct Busy {};

// The promise given for heartbeat `round` of this term, or an earlier one, is void.
struct Release {
  std::uint64_t round = 0;
};

// The primary asks this peer, which holds its whole log, to stand for election at once. Frees the
// peer's own promise as Release does.
struct TakeOver {
  LogIndex last_index;
  std::uint64_t round = 0;
};

struct StatusRequest {
  std::uint64_t nonce = 0;
};

struct StatusReply {
  std::uint64_t nonce = 0;  // of the request
  Claim claim = Claim::kSound;
  LogIndex last_index;
  Term last_term;
  std::uint64_t promise_us_max = 0;  // the longest lease that it ever promised or asked for
  bool hears_primary = false;
  bool is_log_partial = false;         // log::DurableRecord
  std::uint64_t voted_generation = 0;  // the same
};

// Names a state: that after the entry (index, term).
struct SnapshotId {
  LogIndex index;
  Term term;
  friend bool operator==(const SnapshotId&, const SnapshotId&) = default;
};

struct SnapshotChunk {
  SnapshotId snapshot;
  UnixMs time = 0;  // of the last entry in it
  std::uint64_t offset = 0;
  bool is_last = false;
  Rope bytes;
};

struct SnapshotReply {
  SnapshotId snapshot;
  std::uint64_t received_bytes = 0;  // and stored; 0 also after it was discarded
  bool is_installed = false;
  bool store_failed = false;  // all of it is void, and will be again as long as nothing changes
};

using Body = std::variant<VoteRequest, VoteReply, Heartbeat, HeartbeatReply, AppendEntries,
                          AppendFragment, AppendReply, Busy, Release, TakeOver, StatusRequest,
                          StatusReply, SnapshotChunk, SnapshotReply>;

struct Message {
  Term term;
  std::uint64_t generation = 0;
  Body body;
};

}  // namespace holdfast::wire
