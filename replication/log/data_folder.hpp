// What files lie in a data folder, by their names and headers: the common ground of recovery and
// check. Only reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"

namespace holdfast::log {

struct FolderFile {
  std::string path;
  std::uint64_t file_bytes = 0;
  HeaderState state = HeaderState::kGood;
  FileHeader header;    // with kGood; it agrees with the file's name
  std::string problem;  // otherwise
};

struct FolderSegment : FolderFile {
  std::uint64_t sequence = 0;  // by its name
  // All its entries were replaced by those of later segments (format.hpp, "What holds between").
  bool is_void = false;
  // The last entry that counts, as the next segment says; nullopt for the last segment.
  std::optional<LogIndex> last;
};

struct FolderSnapshot : FolderFile {
  LogIndex index;  // by its name
};

struct DataFolder {
  std::vector<FolderSegment> segments;      // by sequence
  std::vector<FolderSnapshot> snapshots;    // newest first, but those that are void
  std::vector<std::string> void_snapshots;  // their paths
  std::vector<std::string> leftovers;       // paths of our .tmp files
  std::uint64_t next_sequence = 1;
  bool empty() const { return segments.empty() && snapshots.empty() && void_snapshots.empty(); }
};

// The error: the folder or a file could not be read.
Result<DataFolder> read_data_folder(FileSystem& files, const std::string& folder);

// Empty if the snapshot ends with its trailer, else what is wrong; its blocks are not looked at.
// The error: it could not be read. Both name the file.
Result<std::string> check_snapshot_end(FileSystem& files, const FolderSnapshot& snapshot,
                                       const KeyRing& keys);

// Cause and remedy where a snapshot that a start needs cannot be read. A disk that fails may work
// again: an older one does not take its place.
std::string unread_snapshot(std::string_view problem);

// What an operator can do about data that is lost, with the commands as they are to be typed.
std::string way_out(std::string_view folder, const KeyRing& keys);

}  // namespace holdfast::log
