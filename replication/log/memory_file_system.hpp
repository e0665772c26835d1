// MemoryFileSystem keeps files in the memory of the process and nowhere else: what a member writes
// to whose persistence is off. A new one is an empty disk, which is what such a member has after
// each restart.
//
// It does what POSIX does: a file that is removed or replaced stays readable through handles that
// are open, and its memory is freed with the last of them. A file is made of chunks and never
// copied while it grows. A sync has nothing to do and always succeeds; so does everything else but
// what is wrong about names. Where memory ends the process does.
//
// It outlives its files and locks. One thread at a time, for all of them together.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "replication/log/file_system.hpp"

namespace holdfast::log {

class MemoryFileSystem final : public FileSystem {
 public:
  static constexpr std::size_t kChunkBytes = 64 << 10;

  MemoryFileSystem();
  ~MemoryFileSystem() override;
  MemoryFileSystem(const MemoryFileSystem&) = delete;
  MemoryFileSystem& operator=(const MemoryFileSystem&) = delete;

  FileResult<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  FileResult<std::vector<std::string>> list(const std::string& folder) override;
  FileStatus rename(const std::string& from, const std::string& to) override;
  FileStatus remove(const std::string& path) override;
  FileStatus make_dir(const std::string& folder) override;
  FileStatus sync_dir(const std::string& folder) override;
  FileResult<std::unique_ptr<FolderLock>> lock(const std::string& folder) override;
  // Nothing is known of a bound.
  FileResult<std::uint64_t> free_bytes(const std::string& folder) override;
  std::uint64_t memory_bytes() const override { return chunks_ * kChunkBytes; }

 private:
  class Content;
  class Handle;
  class Lock;

  bool has_folder(const std::string& folder) const;

  std::uint64_t chunks_ = 0;  // of all contents, those without a name too
  std::set<std::string> folders_;
  std::set<std::string> locked_;
  std::map<std::string, std::shared_ptr<Content>> files_;
};

}  // namespace holdfast::log
