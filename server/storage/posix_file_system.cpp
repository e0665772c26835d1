#include "server/storage/posix_file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <system_error>

namespace holdfast::storage {

namespace {

using log::FileError;
using log::FileErrorKind;
using log::FileResult;
using log::FileStatus;

// So much may wait in memory before its way to the disk begins.
constexpr std::uint64_t kWritebackBytes = 1 << 20;
constexpr std::uint64_t kPageBytes = 4096;
constexpr mode_t kFileRights = 0640;
constexpr mode_t kFolderRights = 0750;

FileErrorKind kind_of(int code) {
  switch (code) {
    case ENOENT:
    case ENOTDIR:
      return FileErrorKind::kNotFound;
    case EEXIST:
      return FileErrorKind::kExists;
    case ENOSPC:
    case EDQUOT:
      return FileErrorKind::kNoSpace;
    case EIO:
      return FileErrorKind::kIo;
    case EROFS:
      return FileErrorKind::kReadOnly;
    case EACCES:
    case EPERM:
      return FileErrorKind::kPermission;
    default:
      return FileErrorKind::kOther;
  }
}

tl::unexpected<FileError> failed(const char* operation, const std::string& path, int code = errno) {
  return log::unexpected(
      {kind_of(code), operation, path, code, std::generic_category().message(code)});
}

template <typename Call>
auto repeat_interrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  bool ok() const { return number_ >= 0; }
  int number() const { return number_; }

 private:
  int number_;
};

Descriptor open_folder(const std::string& folder) {
  return Descriptor(repeat_interrupted(
      [&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
}

class PosixFile final : public log::File {
 public:
  PosixFile(std::string path, Descriptor descriptor, std::uint64_t size,
            const std::unique_ptr<SyncThread>& syncs)
      : path_(std::move(path)),
        descriptor_(std::move(descriptor)),
        end_(size),
        written_back_(size),
        syncs_(syncs) {}
  ~PosixFile() override {
    if (is_syncing_) syncs_->end(true);
  }

  FileResult<std::size_t> append(std::span<const std::string_view> pieces) override {
    std::array<iovec, IOV_MAX> vectors;
    std::size_t count = 0;
    for (const std::string_view piece : pieces) {
      if (piece.empty()) continue;
      if (count == vectors.size()) break;
      vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
    }
    if (count == 0) return 0;
    const ssize_t written = repeat_interrupted([&] {
      return ::pwritev(descriptor_.number(), vectors.data(), static_cast<int>(count),
                       static_cast<off_t>(end_));
    });
    if (written < 0) return failed("write", path_);
    if (written == 0) return failed("write", path_, ENOSPC);
    end_ += static_cast<std::uint64_t>(written);
    start_writeback();
    return static_cast<std::size_t>(written);
  }

  FileResult<std::size_t> write_at(std::uint64_t offset, std::string_view bytes) override {
    if (bytes.empty()) return 0;
    const ssize_t written = repeat_interrupted([&] {
      return ::pwrite(descriptor_.number(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    });
    if (written < 0) return failed("write", path_);
    if (written == 0) return failed("write", path_, ENOSPC);
    end_ = std::max(end_, offset + static_cast<std::uint64_t>(written));
    return static_cast<std::size_t>(written);
  }

  FileResult<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
    std::size_t filled = 0;
    while (filled < into.size()) {
      const ssize_t count = repeat_interrupted([&] {
        return ::pread(descriptor_.number(), into.data() + filled, into.size() - filled,
                       static_cast<off_t>(offset + filled));
      });
      if (count < 0) return failed("read", path_);
      if (count == 0) break;
      filled += static_cast<std::size_t>(count);
    }
    return filled;
  }

  FileResult<std::uint64_t> size() override {
    struct stat status {};
    if (::fstat(descriptor_.number(), &status) != 0) return failed("stat", path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  FileStatus sync() override {
    if (repeat_interrupted([&] { return ::fdatasync(descriptor_.number()); }) != 0)
      return failed("fsync", path_);
    written_back_ = end_;
    return {};
  }

  void begin_sync() override {
    if (syncs_ == nullptr) return File::begin_sync();
    written_back_ = end_;
    is_syncing_ = true;
    syncs_->begin(descriptor_.number());
  }

  std::optional<FileStatus> end_sync(bool wait) override {
    if (!is_syncing_) return File::end_sync(wait);
    const std::optional<int> code = syncs_->end(wait);
    if (!code) return std::nullopt;
    is_syncing_ = false;
    if (*code != 0) return failed("fsync", path_, *code);
    return FileStatus{};
  }

  FileStatus truncate(std::uint64_t size) override {
    if (repeat_interrupted(
            [&] { return ::ftruncate(descriptor_.number(), static_cast<off_t>(size)); }) != 0)
      return failed("truncate", path_);
    end_ = size;
    written_back_ = std::min(written_back_, size);
    return {};
  }

  const std::string& path() const override { return path_; }
  void set_path(std::string path) override { path_ = std::move(path); }

 private:
  // Whole pages only: the next append into a page that is on its way would have to wait for it. An
  // error shows at the next sync.
  void start_writeback() {
    if (end_ - written_back_ < kWritebackBytes) return;
    const std::uint64_t through = end_ - end_ % kPageBytes;
    ::sync_file_range(descriptor_.number(), static_cast<off_t>(written_back_),
                      static_cast<off_t>(through - written_back_), SYNC_FILE_RANGE_WRITE);
    written_back_ = through;
  }

  std::string path_;
  Descriptor descriptor_;
  std::uint64_t end_;
  std::uint64_t written_back_;
  const std::unique_ptr<SyncThread>& syncs_;
  bool is_syncing_ = false;
};

class PosixFolderLock final : public log::FolderLock {
 public:
  explicit PosixFolderLock(Descriptor folder) : folder_(std::move(folder)) {}

 private:
  Descriptor folder_;
};

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string PosixFileSystem::from_here(const std::string& path) const {
  if (working_folder_.empty() || !path.starts_with(working_folder_)) return path;
  if (path.size() == working_folder_.size()) return ".";
  if (path[working_folder_.size()] != '/') return path;
  return "." + path.substr(working_folder_.size());
}

FileResult<std::unique_ptr<log::File>> PosixFileSystem::open(const std::string& path,
                                                             log::OpenMode mode) {
  int flags = O_CLOEXEC;
  switch (mode) {
    case log::OpenMode::kRead:
      flags |= O_RDONLY;
      break;
    case log::OpenMode::kWrite:
      flags |= O_RDWR;
      break;
    case log::OpenMode::kCreate:
      flags |= O_RDWR | O_CREAT | O_EXCL;
      break;
  }
  Descriptor descriptor(
      repeat_interrupted([&] { return ::open(from_here(path).c_str(), flags, kFileRights); }));
  if (!descriptor.ok()) return failed("open", path);
  struct stat status {};
  if (::fstat(descriptor.number(), &status) != 0) return failed("stat", path);
  if (!S_ISREG(status.st_mode))
    return failed("open", path, S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
  return std::make_unique<PosixFile>(path, std::move(descriptor),
                                     static_cast<std::uint64_t>(status.st_size), syncs_);
}

FileResult<std::vector<std::string>> PosixFileSystem::list(const std::string& folder) {
  DIR* const stream = ::opendir(from_here(folder).c_str());
  if (stream == nullptr) return failed("list", folder);
  std::vector<std::string> names;
  int code = 0;
  for (;;) {
    errno = 0;
    const dirent* const found = ::readdir(stream);
    if (found == nullptr) {
      code = errno;
      break;
    }
    const std::string_view name = found->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  if (code != 0) return failed("list", folder, code);
  return names;
}

FileStatus PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from_here(from).c_str(), from_here(to).c_str()) != 0) return failed("rename", from);
  return {};
}

FileStatus PosixFileSystem::remove(const std::string& path) {
  if (::unlink(from_here(path).c_str()) != 0) return failed("remove", path);
  return {};
}

FileStatus PosixFileSystem::make_dir(const std::string& folder) {
  struct stat status {};
  const std::string here = from_here(folder);
  if (::stat(here.c_str(), &status) == 0) {
    if (!S_ISDIR(status.st_mode)) return failed("make folder", folder, ENOTDIR);
    return {};
  }
  if (errno != ENOENT) return failed("make folder", folder);
  const std::string parent = parent_of(folder);
  if (parent != folder) {
    auto made = make_dir(parent);
    if (!made) return made;
  }
  if (::mkdir(here.c_str(), kFolderRights) != 0 && errno != EEXIST)
    return failed("make folder", folder);
  return sync_dir(parent);
}

FileStatus PosixFileSystem::sync_dir(const std::string& folder) {
  const Descriptor descriptor = open_folder(from_here(folder));
  if (!descriptor.ok()) return failed("open", folder);
  if (repeat_interrupted([&] { return ::fsync(descriptor.number()); }) != 0)
    return failed("fsync", folder);
  return {};
}

FileResult<std::unique_ptr<log::FolderLock>> PosixFileSystem::lock(const std::string& folder) {
  Descriptor descriptor = open_folder(from_here(folder));
  if (!descriptor.ok()) return failed("open", folder);
  if (repeat_interrupted([&] { return ::flock(descriptor.number(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return failed("lock", folder);
    return log::unexpected({FileErrorKind::kLocked, "lock", folder, EWOULDBLOCK,
                            "another server is using this data folder"});
  }
  try {
    if (syncs_ == nullptr) syncs_ = std::make_unique<SyncThread>();
  } catch (const std::system_error&) {  // then syncs hold up writes
  }
  return std::make_unique<PosixFolderLock>(std::move(descriptor));
}

FileResult<std::uint64_t> PosixFileSystem::free_bytes(const std::string& folder) {
  struct statvfs status {};
  if (repeat_interrupted([&] { return ::statvfs(from_here(folder).c_str(), &status); }) != 0)
    return failed("statvfs", folder);
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace holdfast::storage
