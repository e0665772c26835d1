// FileSystem is the seam between the log and the world: server/storage has the real one,
// memory_file_system.hpp is one for members without a disk, tests have one that tears, loses and
// refuses. It does what POSIX does and no more; who uses it must expect what a disk does.
//
//   - What `append` and `write_at` wrote survives the death of the process, but a loss of power
//   only
//     once `sync` returned without error. Until then any of its 512-byte sectors may be lost, in
//     any order; bytes that were synced before stay, also in a sector that is being written again.
//   - After a failed `sync` it is unknown what is on disk, and a later `sync` does not vouch for
//   it.
//   - A file that was created, renamed or removed is so for good once `sync_dir` of its folder
//     returned.
//
// Paths are given whole, with '/' between. All calls block: one thread, never the loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace holdfast::log {

// What a caller decides by; everything else is only shown.
enum class FileErrorKind : std::uint8_t {
  kNotFound,
  kExists,
  kNoSpace,     // disk full, quota: passes when there is room again
  kIo,          // the device failed
  kReadOnly,    // a read-only file system
  kPermission,  // missing rights
  kLocked,      // another process holds the folder
  kOther,
};

struct FileError {
  FileErrorKind kind = FileErrorKind::kOther;
  std::string operation;  // "write", "fsync", "open", ...
  std::string path;
  int code = 0;         // errno, 0 if there is none
  std::string message;  // what the code means

  // "write /data/log-0001: No space left on device (28)"
  std::string text() const;
};

template <typename T>
using FileResult = tl::expected<T, FileError>;
using FileStatus = FileResult<void>;

inline tl::unexpected<FileError> unexpected(FileError error) {
  return tl::unexpected<FileError>(std::move(error));
}
Error to_error(const FileError& error);

// Closes when it is dropped; closing does not sync.
class File {
 public:
  virtual ~File() = default;

  // Writes the pieces at the end, one behind the other. Gives how many bytes were written, at least
  // one, maybe less than all (then the caller goes on); after an error it is unknown how many.
  virtual FileResult<std::size_t> append(std::span<const std::string_view> pieces) = 0;
  // The same at a position, for files of fixed size.
  virtual FileResult<std::size_t> write_at(std::uint64_t offset, std::string_view bytes) = 0;
  // Gives how many bytes were read: less than asked only at the end of the file, where it is 0.
  virtual FileResult<std::size_t> read_at(std::uint64_t offset, std::span<char> into) = 0;
  virtual FileResult<std::uint64_t> size() = 0;
  // Of content and size (fdatasync).
  virtual FileStatus sync() = 0;
  // A sync that may go on while more is appended: it covers what was written before it began. One
  // at a time, and nothing but appends and reads until it has ended.
  virtual void begin_sync() { begun_ = sync(); }
  // Its outcome, once; none while it goes on, unless it is to be waited for. REQUIRES: one begun.
  virtual std::optional<FileStatus> end_sync(bool wait) {
    (void)wait;
    return std::exchange(begun_, std::nullopt);
  }
  virtual FileStatus truncate(std::uint64_t size) = 0;
  virtual const std::string& path() const = 0;
  // After a rename: what errors are to call it from now on.
  virtual void set_path(std::string) {}

 private:
  std::optional<FileStatus> begun_;
};

// Holds a folder for this process until it is dropped.
class FolderLock {
 public:
  virtual ~FolderLock() = default;
};

enum class OpenMode : std::uint8_t {
  kRead,
  kWrite,   // exists; read and write
  kCreate,  // does not exist yet (else kExists); read and write
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual FileResult<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  // Names, not paths, in no particular order; without "." and "..".
  virtual FileResult<std::vector<std::string>> list(const std::string& folder) = 0;
  // Replaces `to`.
  virtual FileStatus rename(const std::string& from, const std::string& to) = 0;
  virtual FileStatus remove(const std::string& path) = 0;
  // With the folders above; fine if it is there. Makes them last, too.
  virtual FileStatus make_dir(const std::string& folder) = 0;
  virtual FileStatus sync_dir(const std::string& folder) = 0;
  virtual FileResult<std::unique_ptr<FolderLock>> lock(const std::string& folder) = 0;
  virtual FileResult<std::uint64_t> free_bytes(const std::string& folder) = 0;
  // Of this process's memory, for the contents of files; 0: they lie on a disk.
  virtual std::uint64_t memory_bytes() const { return 0; }
};

// All of it, however often the file takes only a part.
FileStatus append_all(File& file, std::span<const std::string_view> pieces);
FileStatus append_all(File& file, std::string_view bytes);
FileStatus write_all_at(File& file, std::uint64_t offset, std::string_view bytes);
FileResult<std::string> read_whole(FileSystem& files, const std::string& path,
                                   std::uint64_t bytes_max);
std::string join_path(std::string_view folder, std::string_view name);

}  // namespace holdfast::log
