// What recovery found, from which a replica begins its life.
#pragma once

#include <vector>

#include "base/ids.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/time.hpp"
#include "replication/log/durable_record.hpp"
#include "replication/log/entry.hpp"

namespace holdfast::core {

// From `first` on (to the next run, or the end) entries are of `term`.
struct TermRun {
  LogIndex first;
  Term term;
  friend bool operator==(const TermRun&, const TermRun&) = default;
};

struct Start {
  MonoTime now;
  std::uint64_t seed = 0;  // true randomness, not to be the same on two members or starts
  bool is_new = false;     // an empty folder
  // As recovered. If the folder is new, the owner fills in log_id (random), fsync_mode, cluster_id,
  // members, boot_id; the replica owns incarnation, generation, recovering, is_log_partial,
  // voted_generation, term, voted_for, promise_ms_max, and sets running.
  log::DurableRecord record;
  wire::SnapshotId snapshot;  // the newest valid one; index 0: none
  std::vector<TermRun> runs;  // of the entries behind the snapshot
  LogIndex last_index;        // of the log; the snapshot's if there are no entries behind it
  UnixMs last_time = 0;       // the same
  // The last entries of the log, if the owner has them at hand: contiguous, ending at last_index.
  std::vector<log::Entry> tail;
  // What the owner has applied: snapshot.index. A member that is alone may have applied the whole
  // log, as all of it is committed.
  LogIndex applied;
  bool tail_in_doubt = false;   // log::Recovered
  bool log_is_missing = false;  // the record is there, the files of the log are not
};

}  // namespace holdfast::core
