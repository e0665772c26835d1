// Reload puts the keyspace back to what it was at one log index: from the member's own newest
// snapshot and its log. A deposed primary needs it, which has applied entries that never came to
// be, and a member that has installed a snapshot of its primary.
//
// It asks for one thing at a time (`next_request`), is told the answers, and applies in slices.
// Everything at or below the index is committed, so snapshot and log agree on it. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "protocol/wire/message.hpp"
#include "replication/log/snapshot_stream.hpp"
#include "replication/log/storage.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/mutation_codec.hpp"
#include "server/node/loader.hpp"

namespace holdfast::node {

class Reload {
 public:
  // Readers and reads of this number or above are reloads'; below, peers' and the replica's.
  static constexpr std::uint64_t kNumbersFrom = std::uint64_t{1} << 63;

  // Empties the keyspace. `snapshot`: which one to begin with (0: the newest). `number` is this
  // reload's own, from kNumbersFrom on. `log_bytes`: how much is behind the snapshot, as far as
  // that is known.
  Reload(keyspace::Keyspace& keyspace, LogIndex snapshot, Term snapshot_term, LogIndex until,
         std::uint64_t number, std::uint64_t log_bytes);

  std::uint64_t number() const { return number_; }
  LogIndex until() const { return until_; }
  // Further. REQUIRES: not done; up to there everything is committed and in the log, or about to
  // be.
  void extend(LogIndex until, std::uint64_t log_bytes);
  std::optional<log::Request> next_request(MonoUs now);
  void on(log::SnapshotPart part);
  void on(log::EntriesRead read, MonoUs now);
  // Applies about `units` mutations. True: there is more at hand.
  bool slice(std::size_t units);
  bool is_done() const { return is_done_; }
  // Not empty: it cannot go on, and why.
  const std::string& error() const { return error_; }
  // Of the snapshot's file and of the log's payload.
  std::uint64_t bytes_loaded() const { return snapshot_bytes_read_ + log_bytes_read_; }
  // About: what a deposed primary's log has beyond `until` is counted. 0: nothing is known yet.
  std::uint64_t bytes_to_load() const;
  // Of the last entry in the snapshot; 0: there is none.
  UnixMs snapshot_time() const { return snapshot_time_; }

 private:
  enum class Phase { kSnapshot, kEntries };
  void take_blocks();

  keyspace::Keyspace& keyspace_;
  Loader loader_;
  const LogIndex snapshot_;
  const Term snapshot_term_;
  LogIndex until_;
  const std::uint64_t number_;
  Phase phase_ = Phase::kSnapshot;
  bool is_waiting_ = false;  // for an answer
  MonoUs not_before_ = 0;
  log::SnapshotStreamDecoder decoder_;
  wire::SnapshotId reading_;
  UnixMs snapshot_time_ = 0;
  std::uint64_t offset_ = 0;
  LogIndex next_;  // entry to be read
  int failures_ = 0;
  std::uint64_t snapshot_bytes_ = 0;
  std::uint64_t snapshot_bytes_read_ = 0;
  std::uint64_t log_bytes_;
  std::uint64_t log_bytes_read_ = 0;
  bool is_done_ = false;
  std::string error_;
};

}  // namespace holdfast::node
