// SnapshotDraft is a snapshot file that is being written under a temporary name. It is synced every
// so many bytes on the way, so that no single sync takes long. After an error, and when it is
// abandoned, the file is removed; what is left of it anyhow, recovery removes.
//
// Belongs to the log thread; does not touch the reference counts of what it is given.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/rope.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"
#include "replication/log/snapshot_file.hpp"

namespace holdfast::log {

class SnapshotDraft {
 public:
  SnapshotDraft(FileSystem& files, std::uint64_t sync_bytes)
      : files_(files), sync_bytes_(sync_bytes) {}

  // `header` as for SnapshotWriter. What an earlier attempt left under the name is removed.
  // REQUIRES: !is_writing().
  FileStatus begin(std::string path, FileHeader header, const KeyRing& keys);
  FileStatus add(const Rope& mutations, std::uint64_t record_count);
  void count_records(std::uint64_t record_count) { writer_->count_records(record_count); }
  // Trailer and sync. The file is whole then, and the caller's to rename; it is closed by
  // `release`.
  FileStatus finish();
  // Parts with the file, which stays.
  void release();
  void abandon();

  bool is_writing() const { return writer_ != nullptr; }
  const std::string& path() const { return path_; }
  // REQUIRES: is_writing().
  const FileHeader& header() const { return writer_->header(); }
  std::uint64_t file_bytes() const { return writer_->file_bytes(); }
  const SnapshotTotals& totals() const { return writer_->totals(); }

 private:
  FileStatus give_up(FileError error);

  FileSystem& files_;
  std::uint64_t sync_bytes_;
  std::string path_;
  std::unique_ptr<SnapshotWriter> writer_;
  std::uint64_t synced_bytes_ = 0;
};

}  // namespace holdfast::log
