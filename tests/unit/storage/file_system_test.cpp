// What every FileSystem does, held against the one of disks and the one in memory.
#include "replication/log/file_system.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "replication/log/memory_file_system.hpp"
#include "server/storage/posix_file_system.hpp"
#include "tests/unit/storage/folder.hpp"

namespace holdfast::storage::test {

namespace {

using log::FileErrorKind;
using log::OpenMode;

// An empty folder, and the files that it belongs to.
struct OnDisk {
  std::string path() const { return folder.path(); }
  TemporaryFolder folder;
  PosixFileSystem files;
};

struct InMemory {
  InMemory() { REQUIRE(files.make_dir(path())); }
  std::string path() const { return "/data"; }
  log::MemoryFileSystem files;
};

}  // namespace

TEMPLATE_TEST_CASE("pieces are appended one behind the other, however many there are", "[files]",
                   OnDisk, InMemory) {
  TestType folder;
  log::FileSystem& files = folder.files;
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

TEMPLATE_TEST_CASE("a long file is whole however it grows", "[files]", OnDisk, InMemory) {
  TestType folder;
  log::FileSystem& files = folder.files;
  auto file = files.open(folder.path() + "/a", OpenMode::kCreate);
  REQUIRE(file);
  std::string whole;
  for (int i = 0; i < 40; ++i) {
    const std::string part(100'001, static_cast<char>('a' + i % 26));
    REQUIRE(log::append_all(**file, part));
    whole += part;
    if (i % 7 == 0) REQUIRE((*file)->sync());
  }
  CHECK((log::read_whole(files, folder.path() + "/a", 8 << 20).value() == whole));
}

TEMPLATE_TEST_CASE("what is written at a position stays there", "[files]", OnDisk, InMemory) {
  TestType folder;
  log::FileSystem& files = folder.files;
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

TEMPLATE_TEST_CASE("a file that is opened for reading cannot be written", "[files]", OnDisk,
                   InMemory) {
  TestType folder;
  log::FileSystem& files = folder.files;
  REQUIRE(files.open(folder.path() + "/a", OpenMode::kCreate));
  auto file = files.open(folder.path() + "/a", OpenMode::kRead);
  REQUIRE(file);
  CHECK(!log::append_all(**file, "x"));
}

TEMPLATE_TEST_CASE("folders are made with those above, listed and renamed in", "[files]", OnDisk,
                   InMemory) {
  TestType folder;
  log::FileSystem& files = folder.files;
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

TEMPLATE_TEST_CASE("errors call a file by its new name after a rename", "[files]", OnDisk,
                   InMemory) {
  TestType folder;
  log::FileSystem& files = folder.files;
  auto file = files.open(folder.path() + "/a.tmp", OpenMode::kCreate);
  REQUIRE(file);
  REQUIRE(files.rename(folder.path() + "/a.tmp", folder.path() + "/a"));
  (*file)->set_path(folder.path() + "/a");
  CHECK((*file)->path() == folder.path() + "/a");
}

TEMPLATE_TEST_CASE("what is wrong about names is told by kind", "[files]", OnDisk, InMemory) {
  TestType folder;
  log::FileSystem& files = folder.files;
  const std::string path = folder.path() + "/a";
  CHECK(files.open(path, OpenMode::kRead).error().kind == FileErrorKind::kNotFound);
  CHECK(files.open(path, OpenMode::kWrite).error().kind == FileErrorKind::kNotFound);
  REQUIRE(files.open(path, OpenMode::kCreate));
  const auto again = files.open(path, OpenMode::kCreate);
  CHECK(again.error().kind == FileErrorKind::kExists);
  CHECK(again.error().path == path);
  CHECK(files.open(folder.path(), OpenMode::kRead).error().kind == FileErrorKind::kOther);
  CHECK(files.open(folder.path() + "/x/a", OpenMode::kCreate).error().kind ==
        FileErrorKind::kNotFound);
  CHECK(files.open(path + "/b", OpenMode::kCreate).error().kind == FileErrorKind::kNotFound);
  CHECK(!files.make_dir(path));
  CHECK(!files.make_dir(path + "/b"));
  CHECK(files.remove(folder.path() + "/x").error().kind == FileErrorKind::kNotFound);
  CHECK(files.rename(folder.path() + "/x", path).error().kind == FileErrorKind::kNotFound);
  CHECK(files.rename(path, folder.path() + "/x/a").error().kind == FileErrorKind::kNotFound);
  CHECK(files.list(folder.path() + "/x").error().kind == FileErrorKind::kNotFound);
  CHECK(files.lock(folder.path() + "/x").error().kind == FileErrorKind::kNotFound);
  CHECK(!files.sync_dir(folder.path() + "/x"));
}

TEMPLATE_TEST_CASE("a gap between the end and what is written behind it reads as zeros", "[files]",
                   OnDisk, InMemory) {
  TestType folder;
  auto file = folder.files.open(folder.path() + "/a", OpenMode::kCreate);
  REQUIRE(file);
  REQUIRE(log::append_all(**file, std::string(200'000, 'x')));
  REQUIRE((*file)->truncate(1));
  REQUIRE(log::write_all_at(**file, 100'000, "end"));
  REQUIRE((*file)->truncate(150'000));
  std::string expected = "x" + std::string(99'999, '\0') + "end";
  expected.resize(150'000);
  CHECK(log::read_whole(folder.files, folder.path() + "/a", 1 << 20).value() == expected);
}

TEMPLATE_TEST_CASE("a file that was removed or replaced stays as it was for who has it open",
                   "[files]", OnDisk, InMemory) {
  TestType folder;
  log::FileSystem& files = folder.files;
  const std::string path = folder.path() + "/a";
  auto first = files.open(path, OpenMode::kCreate);
  REQUIRE(first);
  REQUIRE(log::append_all(**first, "first"));
  auto reader = files.open(path, OpenMode::kRead);
  REQUIRE(reader);
  auto second = files.open(path + ".tmp", OpenMode::kCreate);
  REQUIRE(log::append_all(**second, "second"));
  REQUIRE(files.rename(path + ".tmp", path));
  REQUIRE(log::append_all(**second, "!"));
  char bytes[20];
  CHECK((*reader)->read_at(0, bytes).value() == 5);
  CHECK(std::string_view(bytes, 5) == "first");
  CHECK(log::read_whole(files, path, 100).value() == "second!");
  REQUIRE(files.remove(path));
  CHECK(files.list(folder.path()).value().empty());
  CHECK((*second)->read_at(0, bytes).value() == 7);
  CHECK((*second)->sync());
}

TEMPLATE_TEST_CASE("a folder is locked once until the lock is dropped", "[files]", OnDisk,
                   InMemory) {
  TestType folder;
  auto lock = folder.files.lock(folder.path());
  REQUIRE(lock);
  CHECK(folder.files.lock(folder.path()).error().kind == FileErrorKind::kLocked);
  lock->reset();
  CHECK(folder.files.lock(folder.path()));
}

TEST_CASE("files in memory take what they hold, and give it back with the last handle", "[files]") {
  InMemory folder;
  log::MemoryFileSystem& files = folder.files;
  CHECK(files.memory_bytes() == 0);
  CHECK(OnDisk().files.memory_bytes() == 0);
  const std::string path = folder.path() + "/a";
  auto file = files.open(path, OpenMode::kCreate);
  REQUIRE(log::append_all(**file, std::string(1'000'000, 'x')));
  CHECK(files.memory_bytes() >= 1'000'000);
  CHECK(files.memory_bytes() < 1'000'000 + log::MemoryFileSystem::kChunkBytes);
  REQUIRE((*file)->truncate(10));
  CHECK(files.memory_bytes() == log::MemoryFileSystem::kChunkBytes);
  REQUIRE(log::append_all(**file, std::string(500'000, 'x')));
  REQUIRE(files.remove(path));
  CHECK(files.memory_bytes() >= 500'000);  // it can still be read
  file->reset();
  CHECK(files.memory_bytes() == 0);
}

}  // namespace holdfast::storage::test
