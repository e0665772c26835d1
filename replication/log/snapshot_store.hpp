// SnapshotStore knows the snapshots that a member's data folder holds, writes new ones of its own
// and keeps the newest few. One at a time is written, under a temporary name until it is complete
// (snapshot_draft.hpp).
//
// What it writes may be removed at any time before `finish` returned without error. Belongs to the
// log thread; does not touch the reference counts of what it is given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/rope.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"
#include "replication/log/snapshot_draft.hpp"

namespace holdfast::log {

struct SnapshotStoreOptions {
  std::string folder;
  std::uint32_t kept = 5;  // at least 1
  std::uint64_t sync_bytes = 8 << 20;
};

class SnapshotStore {
 public:
  struct Kept {
    LogIndex index;
    Term term;
  };

  // `kept` are those that the folder holds.
  SnapshotStore(FileSystem& files, SnapshotStoreOptions options, std::vector<Kept> kept);

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
  void abandon() { draft_.abandon(); }
  bool is_writing() const { return draft_.is_writing(); }

  // A snapshot that lies whole and synced in the file `path` becomes one of the store's, in place
  // of one of the same index. After an error it may be one, or not: to be called again. (`path` is
  // then maybe gone.) When it returns without error the snapshot is there for good.
  FileStatus adopt(const std::string& path, Kept snapshot);
  // Whether the folder holds, sound or not, a snapshot that would be taken for newer than `index`.
  FileResult<bool> has_above(LogIndex index);
  // Removes all snapshots of the folder but that of `index`, for good.
  FileStatus remove_others(LogIndex index);

  // Removes what is older than the newest `kept`; what cannot be removed is tried again next time.
  FileStatus remove_old();
  // A snapshot that turned out damaged gets another name, under which it is never loaded and does
  // not count as kept.
  FileStatus set_aside(LogIndex index);
  // A snapshot that turned out damaged does not count any more, but stays where it is: without
  // another one it is the evidence.
  void forget(LogIndex index);

  std::optional<LogIndex> oldest() const;
  std::optional<Kept> newest() const;
  bool has(LogIndex index, Term term) const;
  std::string path_of(LogIndex index) const;

 private:
  FileResult<std::vector<LogIndex>> list() const;
  void insert(Kept snapshot);
  bool lies_there(Kept snapshot) const;

  FileSystem& files_;
  SnapshotStoreOptions options_;
  std::vector<Kept> kept_;  // by index
  SnapshotDraft draft_;
};

inline constexpr std::string_view kDamagedSuffix = ".damaged";

}  // namespace holdfast::log
