// A file system whose syncs wait while a gate is closed: a disk that does not answer.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "replication/log/file_system.hpp"

namespace holdfast::storage::test {

class Gate {
 public:
  void close() {
    const std::lock_guard lock(mutex_);
    is_open_ = false;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return is_open_; });
    --waiting_;
  }
  bool wait_for_someone(std::chrono::milliseconds bound) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, bound, [&] { return waiting_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = true;
  int waiting_ = 0;
};

class GatedFileSystem final : public log::FileSystem {
 public:
  GatedFileSystem(std::unique_ptr<log::FileSystem> files, Gate& gate)
      : files_(std::move(files)), gate_(gate) {}

  log::FileResult<std::unique_ptr<log::File>> open(const std::string& path,
                                                   log::OpenMode mode) override {
    auto file = files_->open(path, mode);
    if (!file) return file;
    return std::make_unique<GatedFile>(std::move(*file), gate_);
  }
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

 private:
  class GatedFile final : public log::File {
   public:
    GatedFile(std::unique_ptr<log::File> file, Gate& gate) : file_(std::move(file)), gate_(gate) {}
    log::FileResult<std::size_t> append(std::span<const std::string_view> pieces) override {
      return file_->append(pieces);
    }
    log::FileResult<std::size_t> write_at(std::uint64_t offset, std::string_view bytes) override {
      return file_->write_at(offset, bytes);
    }
    log::FileResult<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
      return file_->read_at(offset, into);
    }
    log::FileResult<std::uint64_t> size() override { return file_->size(); }
    log::FileStatus sync() override {
      gate_.pass();
      return file_->sync();
    }
    log::FileStatus truncate(std::uint64_t size) override { return file_->truncate(size); }
    const std::string& path() const override { return file_->path(); }

   private:
    std::unique_ptr<log::File> file_;
    Gate& gate_;
  };

  std::unique_ptr<log::FileSystem> files_;
  Gate& gate_;
};

}  // namespace holdfast::storage::test
