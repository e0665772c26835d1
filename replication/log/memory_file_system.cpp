#include "replication/log/memory_file_system.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace holdfast::log {

namespace {

tl::unexpected<FileError> failed(FileErrorKind kind, const char* operation, const std::string& path,
                                 const char* message) {
  return unexpected({kind, operation, path, 0, message});
}

tl::unexpected<FileError> not_found(const char* operation, const std::string& path) {
  return failed(FileErrorKind::kNotFound, operation, path, "No such file or directory");
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_always_there(const std::string& folder) {
  return folder == "." || folder == "/";
}

}  // namespace

// The bytes of a file, whatever it is called.
class MemoryFileSystem::Content {
 public:
  explicit Content(std::uint64_t& chunks_of_all) : chunks_of_all_(chunks_of_all) {}
  ~Content() { chunks_of_all_ -= chunks_.size(); }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  std::uint64_t size() const { return size_; }

  void write(std::uint64_t offset, std::string_view bytes) {
    if (offset > size_) resize(offset);
    set_size(std::max(size_, offset + bytes.size()));
    for_each_part(offset, bytes.size(), [&](char* part, std::size_t count) {
      std::memcpy(part, bytes.data(), count);
      bytes.remove_prefix(count);
    });
  }

  std::size_t read(std::uint64_t offset, std::span<char> into) const {
    if (offset >= size_) return 0;
    const auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - offset));
    char* to = into.data();
    for_each_part(offset, count, [&](const char* part, std::size_t part_bytes) {
      std::memcpy(to, part, part_bytes);
      to += part_bytes;
    });
    return count;
  }

  // What is new reads as zeros.
  void resize(std::uint64_t size) {
    const std::uint64_t before = size_;
    set_size(size);
    if (size <= before) return;
    for_each_part(before, size - before,
                  [](char* part, std::size_t part_bytes) { std::memset(part, 0, part_bytes); });
  }

 private:
  // What is new holds anything.
  void set_size(std::uint64_t size) {
    const auto count = static_cast<std::size_t>((size + kChunkBytes - 1) / kChunkBytes);
    chunks_of_all_ -= chunks_.size();
    chunks_.resize(std::min(count, chunks_.size()));
    while (chunks_.size() < count)
      chunks_.push_back(std::make_unique_for_overwrite<char[]>(kChunkBytes));
    chunks_of_all_ += chunks_.size();
    size_ = size;
  }

  template <typename Use>
  void for_each_part(std::uint64_t offset, std::uint64_t count, Use&& use) const {
    while (count > 0) {
      const auto within = static_cast<std::size_t>(offset % kChunkBytes);
      const auto part =
          static_cast<std::size_t>(std::min<std::uint64_t>(count, kChunkBytes - within));
      use(chunks_[static_cast<std::size_t>(offset / kChunkBytes)].get() + within, part);
      offset += part;
      count -= part;
    }
  }

  std::uint64_t& chunks_of_all_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::uint64_t size_ = 0;
};

class MemoryFileSystem::Handle final : public File {
 public:
  Handle(std::string path, std::shared_ptr<Content> content, bool may_write)
      : path_(std::move(path)), content_(std::move(content)), may_write_(may_write) {}

  FileResult<std::size_t> append(std::span<const std::string_view> pieces) override {
    if (!may_write_) return refused("write");
    std::size_t count = 0;
    for (const std::string_view piece : pieces) {
      content_->write(content_->size(), piece);
      count += piece.size();
    }
    return count;
  }

  FileResult<std::size_t> write_at(std::uint64_t offset, std::string_view bytes) override {
    if (!may_write_) return refused("write");
    if (!bytes.empty()) content_->write(offset, bytes);
    return bytes.size();
  }

  FileResult<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
    return content_->read(offset, into);
  }

  FileResult<std::uint64_t> size() override { return content_->size(); }
  FileStatus sync() override { return {}; }

  FileStatus truncate(std::uint64_t size) override {
    if (!may_write_) return refused("truncate");
    content_->resize(size);
    return {};
  }

  const std::string& path() const override { return path_; }
  void set_path(std::string path) override { path_ = std::move(path); }

 private:
  tl::unexpected<FileError> refused(const char* operation) const {
    return failed(FileErrorKind::kOther, operation, path_, "it is open for reading only");
  }

  std::string path_;
  std::shared_ptr<Content> content_;
  bool may_write_;
};

class MemoryFileSystem::Lock final : public FolderLock {
 public:
  Lock(std::set<std::string>& locked, std::string folder)
      : locked_(locked), folder_(std::move(folder)) {
    locked_.insert(folder_);
  }
  ~Lock() override { locked_.erase(folder_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::set<std::string>& locked_;
  std::string folder_;
};

MemoryFileSystem::MemoryFileSystem() = default;
MemoryFileSystem::~MemoryFileSystem() = default;

bool MemoryFileSystem::has_folder(const std::string& folder) const {
  return is_always_there(folder) || folders_.contains(folder);
}

FileResult<std::unique_ptr<File>> MemoryFileSystem::open(const std::string& path, OpenMode mode) {
  if (has_folder(path)) return failed(FileErrorKind::kOther, "open", path, "Is a directory");
  auto found = files_.find(path);
  if (mode == OpenMode::kCreate) {
    if (found != files_.end()) return failed(FileErrorKind::kExists, "open", path, "File exists");
    if (!has_folder(parent_of(path))) return not_found("open", path);
    found = files_.emplace(path, std::make_shared<Content>(chunks_)).first;
  } else if (found == files_.end()) {
    return not_found("open", path);
  }
  return std::make_unique<Handle>(path, found->second, mode != OpenMode::kRead);
}

FileResult<std::vector<std::string>> MemoryFileSystem::list(const std::string& folder) {
  if (!has_folder(folder)) return not_found("list", folder);
  std::vector<std::string> names;
  const auto add = [&](const std::string& path) {
    if (parent_of(path) == folder) names.push_back(path.substr(path.find_last_of('/') + 1));
  };
  for (const std::string& path : folders_) add(path);
  for (const auto& [path, content] : files_) add(path);
  return names;
}

FileStatus MemoryFileSystem::rename(const std::string& from, const std::string& to) {
  const auto found = files_.find(from);
  if (found == files_.end() || !has_folder(parent_of(to))) return not_found("rename", from);
  if (has_folder(to)) return failed(FileErrorKind::kOther, "rename", from, "Is a directory");
  std::shared_ptr<Content> content = std::move(found->second);
  files_.erase(found);
  files_[to] = std::move(content);
  return {};
}

FileStatus MemoryFileSystem::remove(const std::string& path) {
  if (files_.erase(path) == 0) return not_found("remove", path);
  return {};
}

FileStatus MemoryFileSystem::make_dir(const std::string& folder) {
  if (has_folder(folder)) return {};
  if (files_.contains(folder))
    return failed(FileErrorKind::kNotFound, "make folder", folder, "Not a directory");
  auto made = make_dir(parent_of(folder));
  if (made) folders_.insert(folder);
  return made;
}

FileStatus MemoryFileSystem::sync_dir(const std::string& folder) {
  if (!has_folder(folder)) return not_found("open", folder);
  return {};
}

FileResult<std::unique_ptr<FolderLock>> MemoryFileSystem::lock(const std::string& folder) {
  if (!has_folder(folder)) return not_found("open", folder);
  if (locked_.contains(folder))
    return failed(FileErrorKind::kLocked, "lock", folder, "it is locked already");
  return std::make_unique<Lock>(locked_, folder);
}

FileResult<std::uint64_t> MemoryFileSystem::free_bytes(const std::string& folder) {
  if (!has_folder(folder)) return not_found("statvfs", folder);
  return std::numeric_limits<std::uint64_t>::max();
}

}  // namespace holdfast::log
