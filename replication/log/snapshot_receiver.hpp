// SnapshotReceiver keeps aside the snapshot that a peer sends (snapshot_stream.hpp), in a file of
// this member's own keys, packing and log id, until it is installed or discarded. Its name is a
// temporary one: a start removes it.
//
// Belongs to the log thread; does not touch the reference counts of what it is given.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"
#include "replication/log/snapshot_draft.hpp"
#include "replication/log/snapshot_stream.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::log {

class SnapshotReceiver {
 public:
  SnapshotReceiver(FileSystem& files, const std::string& folder, std::uint64_t sync_bytes)
      : folder_(folder),
        path_(join_path(folder, std::string(kIncomingName) + std::string(kTemporarySuffix))),
        draft_(files, sync_bytes) {}

  // A stream begins; what was kept before is discarded. `header` says what is this member's own:
  // log id, packing and salt.
  void begin(LogIndex index, Term term, FileHeader header, KeyRing keys);
  // The next block of it. An error says why it is void; blocks of a void stream are passed over
  // then, until one begins anew.
  Result<void> add(const StoreSnapshotRequest& block);
  void discard();

  // Of the stream under way; none after an error.
  bool is_storing() const { return decoder_.has_value(); }
  std::uint64_t stored_bytes() const { return offset_; }
  bool is_complete() const { return is_complete_; }
  // Whole, checked and synced: the file of that snapshot, at `path`.
  bool is_complete(LogIndex index, Term term) const {
    return is_complete_ && index_ == index && term_ == term;
  }
  const std::string& path() const { return path_; }
  UnixMs time() const { return decoder_->head()->time; }
  // The file has got another name.
  void hand_over();

 private:
  Result<void> take(const StoreSnapshotRequest& block);
  FileStatus write_blocks();
  Result<void> on_error(const FileError& error) const;

  std::string folder_;
  std::string path_;
  LogIndex index_;
  Term term_;
  FileHeader header_;
  KeyRing keys_;
  std::optional<SnapshotStreamDecoder> decoder_;  // none: no stream, or a void one
  std::uint64_t offset_ = 0;
  SnapshotDraft draft_;
  bool is_complete_ = false;
};

}  // namespace holdfast::log
