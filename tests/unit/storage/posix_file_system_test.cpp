#include "server/storage/posix_file_system.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/unit/storage/folder.hpp"

namespace holdfast::storage::test {

namespace {

using log::FileErrorKind;
using log::OpenMode;

}  // namespace

TEST_CASE("errors are told by kind, with path and cause", "[posix]") {
  const TemporaryFolder folder;
  PosixFileSystem files;
  const std::string path = folder.path() + "/a";
  auto none = files.open(path, OpenMode::kRead);
  REQUIRE(!none);
  CHECK(none.error().kind == FileErrorKind::kNotFound);
  CHECK(none.error().text() == "open " + path + ": No such file or directory (2)");
  REQUIRE(files.open(path, OpenMode::kCreate));
  auto again = files.open(path, OpenMode::kCreate);
  REQUIRE(!again);
  CHECK(again.error().kind == FileErrorKind::kExists);
  auto is_folder = files.open(folder.path(), OpenMode::kRead);
  REQUIRE(!is_folder);
  CHECK(is_folder.error().kind == FileErrorKind::kOther);
  auto below_a_file = files.make_dir(path + "/b");
  REQUIRE(!below_a_file);
  CHECK(files.remove(folder.path() + "/x").error().kind == FileErrorKind::kNotFound);
}

TEST_CASE("a folder is held by one lock at a time", "[posix]") {
  const TemporaryFolder folder;
  PosixFileSystem files;
  PosixFileSystem others;
  auto lock = files.lock(folder.path());
  REQUIRE(lock);
  auto second = others.lock(folder.path());
  REQUIRE(!second);
  CHECK(second.error().kind == FileErrorKind::kLocked);
  CHECK(second.error().text() ==
        "lock " + folder.path() + ": another server is using this data folder (11)");
  lock->reset();
  CHECK(others.lock(folder.path()));
}

TEST_CASE("a folder without the right to write is told as such", "[posix]") {
  if (::geteuid() == 0) return;  // root may do everything; the read-only volume stands for it
  const TemporaryFolder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0500) == 0);
  PosixFileSystem files;
  CHECK(files.open(folder.path() + "/a", OpenMode::kCreate).error().kind ==
        FileErrorKind::kPermission);
}

TEST_CASE("a full and a read-only volume are told as such", "[posix]") {
  SmallVolume volume(256 * 1024);
  if (!volume.ok()) return;  // no right to mount
  PosixFileSystem files;
  auto file = files.open(volume.path() + "/a", OpenMode::kCreate);
  REQUIRE(file);
  const auto full = log::append_all(**file, std::string(512 * 1024, 'x'));
  REQUIRE(!full);
  CHECK(full.error().kind == FileErrorKind::kNoSpace);
  file->reset();
  REQUIRE(volume.make_read_only());
  CHECK(files.open(volume.path() + "/b", OpenMode::kCreate).error().kind ==
        FileErrorKind::kReadOnly);
  CHECK(files.open(volume.path() + "/a", OpenMode::kWrite).error().kind ==
        FileErrorKind::kReadOnly);
  CHECK(files.lock(volume.path()));  // needs no room
}

TEST_CASE("whole paths below the working folder follow it when it is moved", "[posix]") {
  const TemporaryFolder folder;
  const std::string data = folder.path() + "/data";
  const std::string moved = folder.path() + "/moved";
  const auto before = std::filesystem::current_path();
  REQUIRE(PosixFileSystem().make_dir(data));
  std::filesystem::current_path(data);
  PosixFileSystem files(data);
  REQUIRE(files.open(data + "/a", OpenMode::kCreate));
  std::filesystem::rename(data, moved);
  REQUIRE(PosixFileSystem().make_dir(data));

  REQUIRE(files.open(data + "/b", OpenMode::kCreate));
  REQUIRE(files.rename(data + "/b", data + "/c"));
  REQUIRE(files.sync_dir(data));
  CHECK(files.list(data).value().size() == 2);
  CHECK(std::filesystem::exists(moved + "/c"));
  REQUIRE(files.remove(data + "/a"));
  CHECK(std::filesystem::is_empty(data));
  // Errors name the path as it was given.
  CHECK(files.open(data + "/a", OpenMode::kRead).error().path == data + "/a");
  // What only begins alike is another folder.
  CHECK(files.open(data + "-other/a", OpenMode::kCreate).error().kind == FileErrorKind::kNotFound);
  std::filesystem::current_path(before);
}

}  // namespace holdfast::storage::test
