#include "tests/support/sim_disk.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace holdfast::sim {

using log::File;
using log::FileError;
using log::FileErrorKind;
using log::FileResult;
using log::FileStatus;
using log::FolderLock;
using log::OpenMode;

namespace {

constexpr std::size_t kSectorBytes = 512;

FileError error_of(FileErrorKind kind, const char* operation, const std::string& path) {
  switch (kind) {
    case FileErrorKind::kNotFound:
      return {kind, operation, path, 2, "No such file or directory"};
    case FileErrorKind::kExists:
      return {kind, operation, path, 17, "File exists"};
    case FileErrorKind::kNoSpace:
      return {kind, operation, path, 28, "No space left on device"};
    case FileErrorKind::kIo:
      return {kind, operation, path, 5, "Input/output error"};
    case FileErrorKind::kReadOnly:
      return {kind, operation, path, 30, "Read-only file system"};
    case FileErrorKind::kPermission:
      return {kind, operation, path, 13, "Permission denied"};
    case FileErrorKind::kLocked:
      return {kind, operation, path, 11, "held by another process"};
    case FileErrorKind::kOther:
      break;
  }
  return {kind, operation, path, 0, "failed"};
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

struct SimDisk::Inode {
  struct Write {
    std::uint64_t offset = 0;
    std::string bytes;
  };
  std::string cached;   // what the process reads
  std::string durable;  // what the platter has
  std::vector<Write> pending;
  bool has_forgotten = false;  // cached holds what no sync will write
  std::uint64_t size_min = 0;  // of those since the last sync

  void write(std::uint64_t offset, std::string_view bytes) {
    if (cached.size() < offset + bytes.size()) cached.resize(offset + bytes.size());
    std::memcpy(cached.data() + offset, bytes.data(), bytes.size());
    pending.push_back({offset, std::string(bytes)});
  }

  // Decides, sector by sector, what of the pending writes is on the platter.
  void settle(Random& random) {
    const std::string old = durable;
    const std::uint64_t size_low = std::min<std::uint64_t>(size_min, old.size());
    const std::uint64_t size_high = std::max(old.size(), cached.size());
    const std::uint64_t luck = random.below(4);  // 0: all is lost, 3: most is there
    // All of the size, nothing or anything between: a file system updates it in one piece.
    std::uint64_t size = luck == 0 ? std::max<std::uint64_t>(size_low, old.size()) : cached.size();
    if (random.below(2) == 0) size = size_low + random.below(size_high - size_low + 1);
    std::string now(size, '\0');
    if (random.below(4) == 0) {  // what lay there before the file did
      for (char& c : now) c = static_cast<char>(random.next());
    }
    std::memcpy(now.data(), old.data(), std::min(now.size(), old.size()));
    for (std::size_t begin = 0; begin < now.size(); begin += kSectorBytes) {
      const std::size_t end = std::min(begin + kSectorBytes, now.size());
      std::vector<const Write*> versions;
      for (const Write& write : pending) {
        if (write.offset < end && write.offset + write.bytes.size() > begin)
          versions.push_back(&write);
      }
      if (versions.empty() || luck == 0) continue;
      std::size_t count = random.below(versions.size() + 1);
      if (luck == 3 && random.below(8) != 0) count = versions.size();
      bool is_torn = random.below(4) == 0;
      for (std::size_t i = 0; i < count; ++i) {
        const Write& write = *versions[i];
        const std::size_t from = std::max<std::size_t>(begin, write.offset);
        std::size_t to = std::min<std::size_t>(end, write.offset + write.bytes.size());
        if (is_torn && i + 1 == count) to = from + random.below(to - from + 1);
        std::memcpy(now.data() + from, write.bytes.data() + (from - write.offset), to - from);
      }
    }
    durable = std::move(now);
    pending.clear();
    size_min = durable.size();
  }

  // What was pending when the file had `size` bytes; it was `count` writes.
  void synced_first(std::size_t count, std::uint64_t size) {
    if (count == pending.size()) return synced();
    durable.resize(std::max<std::uint64_t>(durable.size(), size));
    for (std::size_t i = 0; i < count; ++i)
      std::memcpy(durable.data() + pending[i].offset, pending[i].bytes.data(),
                  pending[i].bytes.size());
    pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(count));
    size_min = size;
  }

  void synced() {
    const std::uint64_t size = cached.size();
    if (has_forgotten) {
      durable.resize(size);
      for (const Write& write : pending)
        std::memcpy(durable.data() + write.offset, write.bytes.data(),
                    std::min<std::size_t>(write.bytes.size(),
                                          size > write.offset ? size - write.offset : 0));
    } else {
      durable = cached;
    }
    pending.clear();
    size_min = size;
  }
};

class SimDisk::Handle final : public File {
 public:
  Handle(SimDisk& disk, std::shared_ptr<Inode> inode, std::string path, bool writes)
      : disk_(disk),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writes_(writes),
        process_(disk.process_) {}

  FileResult<std::size_t> append(std::span<const std::string_view> pieces) override {
    std::string bytes;
    for (const std::string_view piece : pieces) bytes += piece;
    return write(inode_->cached.size(), bytes);
  }

  FileResult<std::size_t> write_at(std::uint64_t offset, std::string_view bytes) override {
    return write(offset, bytes);
  }

  FileResult<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
    const Outcome outcome = begin(Kind::kRead, "read");
    if (outcome.fails) return unexpected(outcome.error);
    if (offset >= inode_->cached.size()) return 0;
    const std::size_t count = std::min<std::size_t>(into.size(), inode_->cached.size() - offset);
    std::memcpy(into.data(), inode_->cached.data() + offset, count);
    return count;
  }

  FileResult<std::uint64_t> size() override {
    const Outcome outcome = begin(Kind::kRead, "stat");
    if (outcome.fails) return unexpected(outcome.error);
    return inode_->cached.size();
  }

  FileStatus sync() override {
    const Outcome outcome = begin(Kind::kSync, "fsync");
    if (disk_.is_dead_) {
      // The kernel still has it.
      if (disk_.random_.below(2) == 0) inode_->synced();
      return unexpected(outcome.error);
    }
    if (outcome.fails) {
      inode_->has_forgotten = inode_->has_forgotten || !inode_->pending.empty();
      inode_->settle(disk_.random_);
      return unexpected(outcome.error);
    }
    inode_->synced();
    return {};
  }

  void begin_sync() override {
    if (!disk_.slow_syncs_) return File::begin_sync();
    begun_ = {begin(Kind::kSync, "fsync"), inode_->pending.size(), inode_->cached.size()};
  }

  std::optional<FileStatus> end_sync(bool wait) override {
    if (!begun_) return File::end_sync(wait);
    if (!wait && disk_.random_.below(3) != 0) return std::nullopt;
    const Begun done = *std::exchange(begun_, std::nullopt);
    if (disk_.is_dead_) return FileStatus(unexpected(error_of(FileErrorKind::kIo, "fsync", path_)));
    if (done.outcome.fails) {
      inode_->has_forgotten = inode_->has_forgotten || !inode_->pending.empty();
      inode_->settle(disk_.random_);
      return FileStatus(unexpected(done.outcome.error));
    }
    inode_->synced_first(done.writes, done.size);
    return FileStatus();
  }

  FileStatus truncate(std::uint64_t size) override {
    HF_CHECK(writes_);
    const Outcome outcome = begin(Kind::kWrite, "truncate");
    if (outcome.fails) return unexpected(outcome.error);
    inode_->cached.resize(size);
    inode_->size_min = std::min(inode_->size_min, size);
    for (Inode::Write& write : inode_->pending) {
      const std::uint64_t end = std::max(size, write.offset);
      if (write.offset + write.bytes.size() > end) write.bytes.resize(end - write.offset);
    }
    return {};
  }

  const std::string& path() const override { return path_; }

 private:
  Outcome begin(Kind kind, const char* operation) {
    HF_CHECK(process_ == disk_.process_ && "a file handle of a process that ended");
    return disk_.begin(kind, operation, path_);
  }

  FileResult<std::size_t> write(std::uint64_t offset, std::string_view bytes) {
    HF_CHECK(writes_ && !bytes.empty());
    Outcome outcome = begin(Kind::kWrite, "write");
    std::size_t count = bytes.size();
    const std::uint64_t used = disk_.used_bytes();
    const std::uint64_t grows =
        std::max(offset + bytes.size(), std::uint64_t{inode_->cached.size()}) -
        inode_->cached.size();
    if (used + grows > disk_.capacity_) {
      const std::uint64_t missing = std::min(used + grows - disk_.capacity_, grows);
      count -= static_cast<std::size_t>(missing);
      if (count == 0 && !outcome.fails)
        return unexpected(error_of(FileErrorKind::kNoSpace, "write", path_));
    }
    if (outcome.is_partial) count = disk_.random_.below(count + 1);
    if (!outcome.fails && count == 0) count = 1;
    if (outcome.fails && !outcome.is_partial) count = 0;
    if (count > 0) inode_->write(offset, bytes.substr(0, count));
    if (outcome.fails) return unexpected(outcome.error);
    return count;
  }

  SimDisk& disk_;
  std::shared_ptr<Inode> inode_;
  std::string path_;
  bool writes_;
  std::uint64_t process_;
  struct Begun {
    Outcome outcome;
    std::size_t writes = 0;  // that are covered
    std::uint64_t size = 0;
  };
  std::optional<Begun> begun_;
};

class SimDisk::Lock final : public FolderLock {
 public:
  Lock(SimDisk& disk, std::string folder)
      : disk_(disk), folder_(std::move(folder)), process_(disk.process_) {}
  ~Lock() override {
    if (process_ == disk_.process_) disk_.locked_.erase(folder_);
  }

 private:
  SimDisk& disk_;
  std::string folder_;
  std::uint64_t process_;
};

SimDisk::SimDisk(std::uint64_t seed) : random_(seed) {}
SimDisk::~SimDisk() = default;

SimDisk::Outcome SimDisk::begin(Kind kind, const char* operation, const std::string& path) {
  const std::uint64_t number = operations_++;
  Outcome outcome;
  if (is_dead_) return {true, false, error_of(FileErrorKind::kIo, operation, path)};
  const auto struck = faults_.find(number);
  if (struck != faults_.end()) {
    const Fault fault = struck->second;
    struck_ = std::string(operation) + " " + path;
    outcome.fails = fault.strike != Strike::kShortWrite;
    outcome.is_partial =
        kind == Kind::kWrite || kind == Kind::kName || fault.strike == Strike::kDeath;
    const bool is_read = kind == Kind::kRead;
    outcome.error = error_of(is_read ? FileErrorKind::kIo : fault.error, operation, path);
    is_dead_ = fault.strike == Strike::kDeath;
  } else {
    const std::uint32_t fails = kind == Kind::kWrite || kind == Kind::kName ? weather_.write_error
                                : kind == Kind::kSync                       ? weather_.sync_error
                                                                            : weather_.read_error;
    outcome.fails = chance(fails);
    outcome.is_partial = kind == Kind::kWrite && (outcome.fails || chance(weather_.short_write));
    if (outcome.fails) outcome.error = error_of(FileErrorKind::kIo, operation, path);
  }
  if (outcome.fails && kind == Kind::kSync) ++failed_syncs_;
  return outcome;
}

void SimDisk::apply(const NameChange& change, Names& names) {
  for (const auto& [path, inode] : change.names) {
    if (inode != nullptr) {
      names[path] = inode;
    } else {
      names.erase(path);
    }
  }
}

void SimDisk::change_names(NameChange change) {
  apply(change, names_);
  pending_names_.push_back(std::move(change));
}

std::uint64_t SimDisk::used_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [path, inode] : names_) sum += inode->cached.size();
  return sum;
}

void SimDisk::kill_process() {
  ++process_;
  is_dead_ = false;
  locked_.clear();
  for (const auto& [path, inode] : names_) {
    if (!inode->has_forgotten || random_.below(2) == 0) continue;
    // The pages were dropped meanwhile, and come back as they are on the platter.
    std::string now = inode->durable;
    now.resize(inode->cached.size());
    for (const Inode::Write& write : inode->pending)
      std::memcpy(now.data() + write.offset, write.bytes.data(), write.bytes.size());
    inode->cached = std::move(now);
  }
}

void SimDisk::lose_power() {
  ++process_;
  is_dead_ = false;
  locked_.clear();
  // A journal keeps the order; not everything has one.
  const bool in_order = random_.below(2) == 0;
  std::uint64_t count = in_order ? random_.below(pending_names_.size() + 1) : 0;
  for (const NameChange& change : pending_names_) {
    if (in_order ? count > 0 : random_.below(2) == 0) apply(change, durable_names_);
    if (count > 0) --count;
  }
  pending_names_.clear();
  names_ = durable_names_;
  for (const auto& [path, inode] : names_) {
    inode->settle(random_);
    inode->cached = inode->durable;
    inode->has_forgotten = false;
  }
}

std::vector<std::string> SimDisk::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, inode] : names_) paths.push_back(path);
  return paths;
}

std::string SimDisk::content(const std::string& path) const {
  const auto found = names_.find(path);
  HF_CHECK(found != names_.end());
  return found->second->cached;
}

void SimDisk::set_content(const std::string& path, std::string bytes) {
  auto inode = std::make_shared<Inode>();
  inode->cached = bytes;
  inode->durable = std::move(bytes);
  inode->size_min = inode->durable.size();
  folders_.insert(folder_of(path));
  names_[path] = inode;
  durable_names_[path] = inode;
}

void SimDisk::erase(const std::string& path) {
  names_.erase(path);
  durable_names_.erase(path);
}

FileResult<std::unique_ptr<File>> SimDisk::open(const std::string& path, OpenMode mode) {
  Outcome outcome = begin(mode == OpenMode::kCreate ? Kind::kName : Kind::kRead, "open", path);
  const bool happens = !outcome.fails || (outcome.is_partial && random_.below(2) == 0);
  const auto found = names_.find(path);
  if (mode == OpenMode::kCreate) {
    if (!outcome.fails && found != names_.end())
      return unexpected(error_of(FileErrorKind::kExists, "open", path));
    if (!outcome.fails && folders_.count(folder_of(path)) == 0)
      return unexpected(error_of(FileErrorKind::kNotFound, "open", path));
    auto inode = std::make_shared<Inode>();
    if (happens && found == names_.end()) change_names({folder_of(path), {{path, inode}}});
    if (outcome.fails) return unexpected(outcome.error);
    return std::make_unique<Handle>(*this, std::move(inode), path, true);
  }
  if (outcome.fails) return unexpected(outcome.error);
  if (found == names_.end()) return unexpected(error_of(FileErrorKind::kNotFound, "open", path));
  return std::make_unique<Handle>(*this, found->second, path, mode != OpenMode::kRead);
}

FileResult<std::vector<std::string>> SimDisk::list(const std::string& folder) {
  const Outcome outcome = begin(Kind::kRead, "list", folder);
  if (outcome.fails) return unexpected(outcome.error);
  if (folders_.count(folder) == 0)
    return unexpected(error_of(FileErrorKind::kNotFound, "list", folder));
  std::vector<std::string> names;
  for (const auto& [path, inode] : names_) {
    if (folder_of(path) == folder) names.push_back(path.substr(folder.size() + 1));
  }
  // No particular order.
  for (std::size_t i = names.size(); i > 1; --i) std::swap(names[i - 1], names[random_.below(i)]);
  return names;
}

FileStatus SimDisk::rename(const std::string& from, const std::string& to) {
  const Outcome outcome = begin(Kind::kName, "rename", from);
  const auto found = names_.find(from);
  if (!outcome.fails && found == names_.end())
    return unexpected(error_of(FileErrorKind::kNotFound, "rename", from));
  if (found != names_.end() && (!outcome.fails || (outcome.is_partial && random_.below(2) == 0))) {
    const std::shared_ptr<Inode> inode = found->second;
    change_names({folder_of(to), {{from, nullptr}, {to, inode}}});
  }
  if (outcome.fails) return unexpected(outcome.error);
  return {};
}

FileStatus SimDisk::remove(const std::string& path) {
  const Outcome outcome = begin(Kind::kName, "unlink", path);
  const auto found = names_.find(path);
  if (!outcome.fails && found == names_.end())
    return unexpected(error_of(FileErrorKind::kNotFound, "unlink", path));
  if (found != names_.end() && (!outcome.fails || (outcome.is_partial && random_.below(2) == 0)))
    change_names({folder_of(path), {{path, nullptr}}});
  if (outcome.fails) return unexpected(outcome.error);
  return {};
}

FileStatus SimDisk::make_dir(const std::string& folder) {
  const Outcome outcome = begin(Kind::kName, "mkdir", folder);
  if (outcome.fails) return unexpected(outcome.error);
  folders_.insert(folder);
  return {};
}

FileStatus SimDisk::sync_dir(const std::string& folder) {
  const Outcome outcome = begin(Kind::kSync, "fsync", folder);
  if (outcome.fails) return unexpected(outcome.error);
  std::vector<NameChange> others;
  for (NameChange& change : pending_names_) {
    if (change.folder == folder) {
      apply(change, durable_names_);
    } else {
      others.push_back(std::move(change));
    }
  }
  pending_names_ = std::move(others);
  return {};
}

FileResult<std::unique_ptr<FolderLock>> SimDisk::lock(const std::string& folder) {
  const Outcome outcome = begin(Kind::kRead, "lock", folder);
  if (outcome.fails) return unexpected(outcome.error);
  if (folders_.count(folder) == 0)
    return unexpected(error_of(FileErrorKind::kNotFound, "lock", folder));
  if (!locked_.insert(folder).second)
    return unexpected(error_of(FileErrorKind::kLocked, "lock", folder));
  return std::make_unique<Lock>(*this, folder);
}

FileResult<std::uint64_t> SimDisk::free_bytes(const std::string& folder) {
  const Outcome outcome = begin(Kind::kRead, "statfs", folder);
  if (outcome.fails) return unexpected(outcome.error);
  const std::uint64_t used = used_bytes();
  return capacity_ > used ? capacity_ - used : 0;
}

}  // namespace holdfast::sim
