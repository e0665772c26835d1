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

TEST_CASE("pieces are appended one behind the other, however many there are", "[posix]") {
  const TemporaryFolder folder;
  PosixFileSystem files;
  auto file = files.open(folder.path() + "/a", OpenMode::kCreate);
  REQUIRE(file);
  std::string whole;
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(std::to_string(i) + ",");
  std::vector<std::string_view> pieces;
  for (const std::string& text : texts) {
    pieces.push_back(text);
    pieces.emplace_back();  // empty ones are no harm
    whole += text;
  }
  REQUIRE(log::append_all(**file, pieces));
  CHECK((*file)->size().value() == whole.size());
  CHECK(log::read_whole(files, folder.path() + "/a", 1 << 20).value() == whole);
  REQUIRE(log::append_all(**file, "end"));
  REQUIRE((*file)->sync());
  CHECK(log::read_whole(files, folder.path() + "/a", 1 << 20).value() == whole + "end");
}

TEST_CASE("a long file is whole although its way to the disk begins early", "[posix]") {
  const TemporaryFolder folder;
  PosixFileSystem files;
  auto file = files.open(folder.path() + "/a", OpenMode::kCreate);
  REQUIRE(file);
  std::string whole;
  for (int i = 0; i < 40; ++i) {
    const std::string part(100'001, static_cast<char>('a' + i % 26));
    REQUIRE(log::append_all(**file, part));
    whole += part;
    if (i % 7 == 0) REQUIRE((*file)->sync());
  }
  CHECK(log::read_whole(files, folder.path() + "/a", 8 << 20).value() == whole);
}

TEST_CASE("what is written at a position stays there", "[posix]") {
  const TemporaryFolder folder;
  PosixFileSystem files;
  auto file = files.open(folder.path() + "/a", OpenMode::kCreate);
  REQUIRE(file);
  REQUIRE(log::append_all(**file, "0123456789"));
  REQUIRE(log::write_all_at(**file, 3, "abc"));
  char bytes[20];
  CHECK((*file)->read_at(2, bytes).value() == 8);
  CHECK(std::string_view(bytes, 8) == "2abc6789");
  CHECK((*file)->read_at(10, bytes).value() == 0);
  REQUIRE((*file)->truncate(4));
  REQUIRE(log::append_all(**file, "!"));
  CHECK(log::read_whole(files, folder.path() + "/a", 100).value() == "012a!");
}

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

TEST_CASE("a file that is opened for reading cannot be written", "[posix]") {
  const TemporaryFolder folder;
  PosixFileSystem files;
  REQUIRE(files.open(folder.path() + "/a", OpenMode::kCreate));
  auto file = files.open(folder.path() + "/a", OpenMode::kRead);
  REQUIRE(file);
  CHECK(!log::append_all(**file, "x"));
}

TEST_CASE("folders are made with those above, listed and renamed in", "[posix]") {
  const TemporaryFolder folder;
  PosixFileSystem files;
  const std::string deep = folder.path() + "/a/b/c";
  REQUIRE(files.make_dir(deep));
  REQUIRE(files.make_dir(deep));
  REQUIRE(files.open(deep + "/one", OpenMode::kCreate));
  REQUIRE(files.open(deep + "/two", OpenMode::kCreate));
  REQUIRE(files.rename(deep + "/one", deep + "/two"));
  REQUIRE(files.sync_dir(deep));
  CHECK(files.list(deep).value() == std::vector<std::string>{"two"});
  CHECK(files.list(folder.path() + "/none").error().kind == FileErrorKind::kNotFound);
  CHECK(files.free_bytes(deep).value() > 0);
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

TEST_CASE("errors call a file by its new name after a rename", "[posix]") {
  const TemporaryFolder folder;
  PosixFileSystem files;
  auto file = files.open(folder.path() + "/a.tmp", OpenMode::kCreate);
  REQUIRE(file);
  REQUIRE(files.rename(folder.path() + "/a.tmp", folder.path() + "/a"));
  (*file)->set_path(folder.path() + "/a");
  CHECK((*file)->path() == folder.path() + "/a");
}

}  // namespace holdfast::storage::test
