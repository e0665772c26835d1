// Folders for tests on real disks: one that is removed in the end, and a small volume that can be
// filled up.
#pragma once

#include <string>

namespace holdfast::storage::test {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A tmpfs of its own; needs the right to mount, else `ok` is false.
class SmallVolume {
 public:
  explicit SmallVolume(std::size_t bytes);
  ~SmallVolume();
  bool ok() const { return is_mounted_; }
  bool make_read_only();
  const std::string& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  bool is_mounted_ = false;
};

}  // namespace holdfast::storage::test
