// PersistenceState is what commands see of persistence, and what they ask of it. The node's
// Persistence keeps it true; commands write only the fields under "asked".
//
// A member of a cluster whose persistence is off keeps a log and a snapshot in memory, for its
// peers: then `enabled` is false, and what is said here of log and snapshots is not what a client
// means by persistence.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.hpp"

namespace holdfast::commands {

struct PersistenceState {
  bool enabled = false;  // as the option says

  // Reading what a former life left, or reloading (node/reload.hpp). Until it ends there is no data
  // to answer with.
  bool loading = false;
  MonoUs loading_since_us = 0;
  std::uint64_t loading_bytes = 0;       // of files, in all; 0: not known yet
  std::uint64_t loading_bytes_done = 0;  // so far
  std::uint64_t loaded_keys = 0;
  std::uint64_t loaded_keys_expired = 0;  // due before they were loaded

  // Not empty: the log cannot be written, for this reason; commands that write are refused.
  std::string disk_error;

  bool snapshot_running = false;
  UnixMs snapshot_since = 0;
  std::uint64_t snapshot_keys_total = 0;
  std::uint64_t snapshot_keys_done = 0;
  bool last_snapshot_ok = true;
  std::int64_t last_snapshot_ms = -1;  // how long it took
  UnixMs last_snapshot_at = 0;         // 0: none since the start
  std::uint64_t snapshots = 0;         // completed
  std::uint64_t mutations_at_last_snapshot = 0;

  std::uint64_t log_bytes = 0;
  std::uint64_t log_bytes_since_snapshot = 0;
  std::uint64_t log_segments = 0;
  std::uint64_t log_synced_index = 0;
  std::uint64_t log_fsyncs = 0;
  std::uint64_t log_fsync_us_max = 0;
  std::uint64_t log_index_committed = 0;
  std::uint64_t memory_bytes = 0;  // that log and snapshots take; 0: they are on a disk

  // --- asked by commands
  bool snapshot_wanted = false;
};

}  // namespace holdfast::commands
