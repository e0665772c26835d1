// Loader streams what a recovered folder holds: the newest snapshot whose blocks are whole, then
// the entries behind it. A snapshot that turns out damaged on the way is said, and the next older
// one that the log reaches takes its place from the beginning; after the last one, the log alone.
// One that cannot be read is no reason for that: the start is refused.
//
// Blocks are handed over whole, the loader keeps no reference to what it gave out. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "replication/log/log_reader.hpp"
#include "replication/log/recovery.hpp"
#include "replication/log/snapshot_file.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::log {

class Loader {
 public:
  // `recovered` outlives the loader.
  Loader(FileSystem& files, KeyRing keys, std::string folder, const RecoveredState& recovered);

  // A block, or Loaded after the last one, or Refused: what is there cannot be loaded. Notes go to
  // `notes`.
  using Step = std::variant<LoadedBlock, Loaded, Refused>;
  Step next(std::vector<StorageEvent>& notes);

  // Snapshots that were found damaged.
  const std::vector<LogIndex>& damaged() const { return damaged_; }
  std::uint64_t bytes_to_load() const { return bytes_to_load_; }

 private:
  bool skip_to_loadable();
  void begin_entries();
  void on_damage(std::string text, std::vector<StorageEvent>& notes);
  std::uint64_t bytes_loaded() const;

  FileSystem& files_;
  KeyRing keys_;
  std::string folder_;
  const RecoveredState& recovered_;
  std::size_t at_ = 0;  // in recovered_.snapshots; their number: the log alone
  std::unique_ptr<SnapshotReader> snapshot_;
  std::unique_ptr<LogReader> entries_;
  bool is_restart_ = false;  // to be said with the next block
  std::string last_damage_;
  std::vector<LogIndex> damaged_;
  std::uint64_t snapshot_bytes_ = 0;  // loaded
  std::uint64_t bytes_to_load_ = 0;
};

}  // namespace holdfast::log
