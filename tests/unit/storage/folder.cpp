#include "tests/unit/storage/folder.hpp"

#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>

#include "base/check.hpp"

namespace holdfast::storage::test {

TemporaryFolder::TemporaryFolder() {
  path_ = (std::filesystem::temp_directory_path() / "holdfast-storage-XXXXXX").string();
  HF_CHECK(::mkdtemp(path_.data()) != nullptr);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

SmallVolume::SmallVolume(std::size_t bytes) {
  const std::string options = "mode=0700,size=" + std::to_string(bytes);
  is_mounted_ =
      ::mount("tmpfs", path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0;
}

SmallVolume::~SmallVolume() {
  if (is_mounted_) ::umount2(path().c_str(), MNT_DETACH);
}

bool SmallVolume::make_read_only() {
  return ::mount("tmpfs", path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0;
}

}  // namespace holdfast::storage::test
