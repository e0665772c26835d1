// TimedFileSystem measures how long the syncs of another file system take. It belongs to the thread
// that the other one belongs to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "replication/log/file_system.hpp"

namespace holdfast::storage {

struct SyncTimes {
  std::uint64_t count = 0;
  std::uint64_t us_last = 0;
  std::uint64_t us_max = 0;
};

class TimedFileSystem final : public log::FileSystem {
 public:
  explicit TimedFileSystem(std::unique_ptr<log::FileSystem> files) : files_(std::move(files)) {}

  // Of files; those of folders are not counted.
  const SyncTimes& sync_times() const { return times_; }

  log::FileResult<std::unique_ptr<log::File>> open(const std::string& path,
                                                   log::OpenMode mode) override;
  log::FileResult<std::vector<std::string>> list(const std::string& folder) override {
    return files_->list(folder);
  }
  log::FileStatus rename(const std::string& from, const std::string& to) override {
    return files_->rename(from, to);
  }
  log::FileStatus remove(const std::string& path) override { return files_->remove(path); }
  log::FileStatus make_dir(const std::string& folder) override { return files_->make_dir(folder); }
  log::FileStatus sync_dir(const std::string& folder) override { return files_->sync_dir(folder); }
  log::FileResult<std::unique_ptr<log::FolderLock>> lock(const std::string& folder) override {
    return files_->lock(folder);
  }
  log::FileResult<std::uint64_t> free_bytes(const std::string& folder) override {
    return files_->free_bytes(folder);
  }
  std::uint64_t memory_bytes() const override { return files_->memory_bytes(); }

 private:
  std::unique_ptr<log::FileSystem> files_;
  SyncTimes times_;  // files refer to it
};

}  // namespace holdfast::storage
