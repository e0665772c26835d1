// SnapshotStore writes a member's snapshots into its data folder and keeps the newest few: one at a
// time, under a temporary name until it is complete, synced every so many bytes on the way so that
// no single sync takes long.
//
// What it writes may be removed at any time before `finish` returned without error. Belongs to the
// log thread; does not touch the reference counts of what it is given.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rope.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"
#include "replication/log/snapshot_file.hpp"

namespace holdfast::log {

struct SnapshotStoreOptions {
  std::string folder;
  std::uint32_t kept = 5;  // at least 1
  std::uint64_t sync_bytes = 8 << 20;
};

class SnapshotStore {
 public:
  // `indices` are those that the folder holds.
  SnapshotStore(FileSystem& files, SnapshotStoreOptions options, std::vector<LogIndex> indices);

  // `header` as for SnapshotWriter. REQUIRES: !is_writing().
  FileStatus begin(FileHeader header, const KeyRing& keys);
  // After an error, here and in `finish`, the snapshot is abandoned. REQUIRES: is_writing().
  FileStatus add(const Rope& mutations, std::uint64_t record_count);
  // When it returns without error the snapshot is there for good.
  struct Finished {
    LogIndex index;
    std::uint64_t file_bytes = 0;
    std::uint64_t records = 0;
  };
  FileResult<Finished> finish();
  void abandon();
  bool is_writing() const { return writer_ != nullptr; }

  // Removes what is older than the newest `kept`; what cannot be removed is tried again next time.
  FileStatus remove_old();
  // A snapshot that turned out damaged gets another name, under which it is never loaded and does
  // not count as kept.
  FileStatus set_aside(LogIndex index);
  std::optional<LogIndex> oldest() const;

 private:
  FileStatus give_up(FileError error);
  std::string path_of(LogIndex index) const;

  FileSystem& files_;
  SnapshotStoreOptions options_;
  std::vector<LogIndex> indices_;  // ascending
  std::unique_ptr<SnapshotWriter> writer_;
  std::string temporary_;  // where it writes
  std::uint64_t synced_bytes_ = 0;
};

inline constexpr std::string_view kDamagedSuffix = ".damaged";

}  // namespace holdfast::log
