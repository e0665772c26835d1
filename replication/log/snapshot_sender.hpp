// SnapshotSender reads snapshots as streams (snapshot_stream.hpp), one a reader. The file of a
// stream stays open, so that it goes on although retention removes it.
//
// Belongs to the log thread. Blocks are handed over whole.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "base/ids.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/snapshot_store.hpp"
#include "replication/log/snapshot_stream.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::log {

class SnapshotSender {
 public:
  // `store` outlives the sender.
  SnapshotSender(FileSystem& files, const SnapshotStore& store) : files_(files), store_(store) {}

  // Nothing: the place is not reached yet, ask again; it is looked for in slices. `damaged` is set
  // to a snapshot that turns out to be (the answer is then an error).
  std::optional<SnapshotPart> read(const ReadSnapshotRequest& request, const KeyRing& keys,
                                   LogIndex& damaged);
  void end(std::uint64_t reader) { streams_.erase(reader); }
  void end_all() { streams_.clear(); }

 private:
  using Stream = std::unique_ptr<SnapshotStreamEncoder>;
  Result<Stream*> stream_of(const ReadSnapshotRequest& request, const KeyRing& keys);

  FileSystem& files_;
  const SnapshotStore& store_;
  std::map<std::uint64_t, Stream> streams_;  // by reader
};

}  // namespace holdfast::log
