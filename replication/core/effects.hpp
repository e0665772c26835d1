// Effects: all that a replica ever does. The owner carries them out after the step, in the order of
// the members below, and in each list from front to end; then `clear`s it for the next step.
//
// Messages in `send` are true already: what depends on durable state was withheld until it was
// durable. They may be sent at once, before the writes of the same step are carried out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/event.hpp"
#include "replication/log/durable_record.hpp"
#include "replication/log/entry.hpp"

namespace holdfast::core {

enum class Role : std::uint8_t { kReplica, kCandidate, kPrimary };

// To be fsynced, always; answered by RecordSaved.
struct RecordWrite {
  WriteNumber write = 0;
  log::DurableRecord record;
};

// A change of the log; answered by Persisted. Order within: reset, truncate, append.
struct LogWrite {
  WriteNumber write = 0;
  // Not 0: the log ends here now, with the state of the snapshot that is installed (index may be 0:
  // an empty log).
  std::optional<wire::SnapshotId> reset;
  LogIndex truncate_from;  // 0: nothing is truncated
  std::vector<log::Entry> entries;
};

// A role was taken, or a primary became known (or unknown: 0).
struct Became {
  Role role = Role::kReplica;
  Term term;
  NodeId primary;
  // Not 0: a deposed primary. What it applied from this index on, if anything, is void and must be
  // undone, submitted or not; what of it is kept by the cluster comes again in `apply`.
  LogIndex void_from;
};

// Blocks of a snapshot that a primary sends; kept aside, in order, until it is installed or
// discarded. A block with offset 0 begins a new one and discards the one before. Each is answered
// by SnapshotStored, or SnapshotStoreFailed; behind a failure none is, until a stream begins anew.
// No more than two windows of a stream are given ahead of the answers.
struct StoreSnapshot {
  std::uint64_t number = 0;  // of the stream
  wire::SnapshotId snapshot;
  std::uint64_t offset = 0;
  Rope bytes;
  bool is_last = false;
};

struct ReadLog {
  std::uint64_t number = 0;
  LogIndex from;
  LogIndex to;  // exclusive
  std::size_t payload_bytes_max = 0;
  bool is_to_apply = false;  // by this member; otherwise for a peer
};

// Bytes of a snapshot for a peer, from `offset` on, at most bytes_max. `wanted` names the one that
// a stream began with (index 0: any, offset is 0 then). If it is not there any more, offset 0 of
// another one is the answer. Always answered, by SnapshotRead or SnapshotUnavailable of the same
// number; in a term there is one at a time for each peer, and offsets hardly ever go back.
struct ReadSnapshot {
  NodeId peer;
  std::uint64_t number = 0;
  wire::SnapshotId wanted;
  std::uint64_t offset = 0;
  std::size_t bytes_max = 0;
  // Its index must be committed: without this peer nothing more can be. (The newest snapshot on
  // disk always is, and the log goes on behind it.) Otherwise it may be of any applied index.
  bool must_be_committed = false;
};

struct Send {
  NodeId to;
  wire::Message message;
};

struct ReadOutcome {
  std::uint64_t id = 0;
  bool allowed = false;  // false: this is not the primary (any more)
};

enum class TransferOutcome : std::uint8_t { kDone, kFailed };

struct Note {
  bool is_warning = false;
  std::string text;  // one line, key=value
};

struct Effects {
  std::vector<RecordWrite> records;
  bool discard_snapshot = false;  // what store_snapshot gave in former steps
  std::vector<StoreSnapshot> store_snapshot;
  std::vector<LogWrite> writes;
  std::vector<Became> became;
  // Not 0: entries were submitted that are not in the log; what was applied from here on is void.
  LogIndex refused_from;
  // Not empty: what is applied is replaced, in one switch, by this stored snapshot (index 0: by
  // nothing, an empty keyspace). The matching LogWrite has `reset`. Was said to be stored whole.
  std::optional<wire::SnapshotId> install_snapshot;
  // Committed entries to apply next, in order. On the primary they are applied already, except
  // those of former terms when it begins.
  std::vector<log::Entry> apply;
  // Not 0: the commit index grew to this.
  LogIndex committed;
  std::vector<ReadLog> read_log;
  std::vector<ReadSnapshot> read_snapshot;
  std::vector<NodeId> end_snapshot;  // a peer needs no more of it; a stream outlives a broken link
  std::vector<ReadOutcome> reads;
  std::optional<TransferOutcome> transfer;
  std::vector<Send> send;
  std::vector<Note> notes;

  void clear();
};

}  // namespace holdfast::core
