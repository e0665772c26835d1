// PosixFileSystem is the real one behind the seam of replication/log: system calls, and their
// errors told by kind. Interrupted calls are repeated, short writes are passed on as the contract
// says. No file is inherited by a child process.
//
// Long files begin to reach the disk while they are still being written (sync_file_range), so that
// a later sync has little left to wait for. That promises nothing.
//
// Paths may be whole although the process works in the folder: what lies below `working_folder` is
// then reached from there, so that a folder which is moved while in use takes its files along, and
// one that is put in its place is left alone.
//
// The lock is flock(2) on the folder itself: it leaves no file behind, needs no room on the disk,
// and ends with the process however that ends.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replication/log/file_system.hpp"
#include "server/storage/sync_thread.hpp"

namespace holdfast::storage {

class PosixFileSystem final : public log::FileSystem {
 public:
  // The working folder of the process; empty: paths are taken as they are.
  explicit PosixFileSystem(std::string working_folder = {})
      : working_folder_(std::move(working_folder)) {}

  log::FileResult<std::unique_ptr<log::File>> open(const std::string& path,
                                                   log::OpenMode mode) override;
  log::FileResult<std::vector<std::string>> list(const std::string& folder) override;
  log::FileStatus rename(const std::string& from, const std::string& to) override;
  log::FileStatus remove(const std::string& path) override;
  log::FileStatus make_dir(const std::string& folder) override;
  log::FileStatus sync_dir(const std::string& folder) override;
  log::FileResult<std::unique_ptr<log::FolderLock>> lock(const std::string& folder) override;
  log::FileResult<std::uint64_t> free_bytes(const std::string& folder) override;

 private:
  std::string from_here(const std::string& path) const;

  std::string working_folder_;
  // From the lock on: who holds a folder writes there. Files refer to it.
  std::unique_ptr<SyncThread> syncs_;
};

}  // namespace holdfast::storage
