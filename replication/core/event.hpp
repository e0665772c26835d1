// Events: all that a replica ever learns.
//
// Each carries `now`, a sample of the monotonic clock taken *after* the bytes that the event is
// made of were read. A sample that is older than other events' is legal (time within the replica
// never goes backwards); one that was taken before its bytes were read is not: a promise would
// begin too early, and a read could be answered from a lease that had ended when it arrived.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/time.hpp"
#include "replication/log/entry.hpp"

namespace holdfast::core {

// Numbers of log writes and record writes, one sequence for both; grows. As log::WriteNumber.
using WriteNumber = std::uint64_t;

// Time passes. REQUIRES: all input that was waiting at `now` has been delivered; silence is judged
// here and nowhere else. To come at `Replica::next_due`, and at least twice a heartbeat.
struct Tick {};

// From a link that is authenticated as `from`, of the peer's present incarnation, in order.
struct Received {
  NodeId from;
  wire::Message message;
};
// A new link to a peer; what was on its way over an older one is never delivered any more.
struct PeerConnected {
  NodeId peer;
};
struct PeerLost {
  NodeId peer;
};

// What the node executed this turn, applied already; the entries get the indexes from
// `Replica::next_index` on. REQUIRES: `Replica::accepts_entries`; otherwise they are refused, see
// Effects::refused_from. The span is only looked at during the step.
struct Proposal {
  UnixMs time = 0;
  log::EntryKind kind = log::EntryKind::kMutations;
  Rope payload;
};
struct Submitted {
  std::span<const Proposal> entries;
};

// The log write of this number is persisted, and all before it.
struct Persisted {
  WriteNumber write = 0;
};
// The durable record of this number is fsynced, and all before it. (Votes live in it.)
struct RecordSaved {
  WriteNumber write = 0;
};
// Writes to the log fail; nothing is persisted until DiskHealthy. Records may still be saved.
struct DiskFailed {};
struct DiskHealthy {};
// Whether the owner could serve at once as primary: not while it loads its data anew. True at
// first.
struct OwnerReady {
  bool is_ready = true;
};

// Answers ReadLog. Fewer entries than asked for are fine; none, or an error: they are not there.
struct LogRead {
  std::uint64_t number = 0;
  std::vector<log::Entry> entries;
};
// The owner removed the log's entries before `first`. REQUIRES: first <= Replica::log_needed_from
// and a snapshot at or above first - 1 exists.
struct LogTrimmed {
  LogIndex first;
};
// Answers ReadSnapshot. `bytes` is not empty, or is_last. After the last one, nothing is read.
struct SnapshotRead {
  NodeId peer;
  std::uint64_t number = 0;
  wire::SnapshotId snapshot;
  UnixMs time = 0;  // of the last entry in it
  std::uint64_t offset = 0;
  Rope bytes;
  bool is_last = false;
};
// ... or it cannot be had now; the replica asks again later.
struct SnapshotUnavailable {
  NodeId peer;
  std::uint64_t number = 0;
};
// What StoreSnapshot gave of the stream of this number is kept up to here; whole: its last block,
// too, and all of it was found good.
struct SnapshotStored {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
  bool is_whole = false;
};
// ... or a block of it could not be kept: the stream is void, and the next one begins anew.
struct SnapshotStoreFailed {
  std::uint64_t number = 0;
};

// Hand over to `target` (0: whoever is best) within `timeout`, or go on as primary.
struct TransferRequested {
  NodeId target;
  Duration timeout;
};
struct TransferAborted {};

enum class ReadMode : std::uint8_t {
  kLease,   // at once under the lease, otherwise as kQuorum
  kQuorum,  // by a round of a majority that was sent after it; trusts no clock
};
// May what is applied here be shown? `id` is the caller's; answered by Effects::reads.
struct ReadRequested {
  std::uint64_t id = 0;
  ReadMode mode = ReadMode::kLease;
};

// An operator says that what is left is all there is: see claim.hpp. Loses what only absent members
// hold.
struct GenerationForced {};

using Happening =
    std::variant<Tick, Received, Submitted, Persisted, RecordSaved, PeerConnected, PeerLost,
                 DiskFailed, DiskHealthy, OwnerReady, LogRead, LogTrimmed, SnapshotRead,
                 SnapshotUnavailable, SnapshotStored, SnapshotStoreFailed, TransferRequested,
                 TransferAborted, ReadRequested, GenerationForced>;

struct Event {
  MonoTime now;
  Happening what;
};

}  // namespace holdfast::core
