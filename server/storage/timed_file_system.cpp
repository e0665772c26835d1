#include "server/storage/timed_file_system.hpp"

#include <algorithm>
#include <chrono>

namespace holdfast::storage {

namespace {

class TimedFile final : public log::File {
 public:
  TimedFile(std::unique_ptr<log::File> file, SyncTimes& times)
      : file_(std::move(file)), times_(times) {}

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
    begin_ = std::chrono::steady_clock::now();
    auto done = file_->sync();
    note();
    return done;
  }
  void begin_sync() override {
    begin_ = std::chrono::steady_clock::now();
    file_->begin_sync();
  }
  std::optional<log::FileStatus> end_sync(bool wait) override {
    auto done = file_->end_sync(wait);
    if (done) note();
    return done;
  }
  log::FileStatus truncate(std::uint64_t size) override { return file_->truncate(size); }
  const std::string& path() const override { return file_->path(); }
  void set_path(std::string path) override { file_->set_path(std::move(path)); }

 private:
  void note() {
    const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - begin_);
    ++times_.count;
    times_.us_last = static_cast<std::uint64_t>(taken.count());
    times_.us_max = std::max(times_.us_max, times_.us_last);
  }

  std::unique_ptr<log::File> file_;
  std::chrono::steady_clock::time_point begin_;  // of the sync
  SyncTimes& times_;
};

}  // namespace

log::FileResult<std::unique_ptr<log::File>> TimedFileSystem::open(const std::string& path,
                                                                  log::OpenMode mode) {
  auto file = files_->open(path, mode);
  if (!file) return file;
  return std::make_unique<TimedFile>(std::move(*file), times_);
}

}  // namespace holdfast::storage
