#include "replication/log/snapshot_file.hpp"

#include <catch2/catch.hpp>

#include "base/check.hpp"
#include "tests/unit/log/fixture.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using Catch::Matchers::Contains;
using sim::SimDisk;

namespace {

const std::string kPath = kFolder + "/snapshot";

std::unique_ptr<SnapshotWriter> create(SimDisk& disk, Packing packing, const KeyRing& keys) {
  FileHeader header;
  header.kind = FileKind::kSnapshot;
  header.log_id = kLogId;
  header.index = LogIndex{9};
  header.packing = packing;
  header.digest_seed = 4711;
  header.salt = seeded_salts(3)();
  auto writer = SnapshotWriter::create(disk, kPath, header, keys);
  REQUIRE(writer);
  return std::move(*writer);
}

Result<std::vector<std::string>> read_all(SimDisk& disk, const KeyRing& keys) {
  auto reader = SnapshotReader::open(disk, kPath, keys);
  if (!reader) return tl::unexpected(reader.error());
  std::vector<std::string> blocks;
  for (;;) {
    Rope rope;
    auto more = (*reader)->next(rope);
    if (!more) return tl::unexpected(more.error());
    if (!*more) return blocks;
    blocks.push_back(rope.str());
  }
}

}  // namespace

TEST_CASE("a snapshot gives its blocks back as they were added", "[snapshot_file]") {
  for (const Packing packing : {Packing::kPlain, Packing::kZstd}) {
    for (const KeyRing& keys : {KeyRing(), KeyRing({make_key(1)})}) {
      SimDisk disk(1);
      REQUIRE(disk.make_dir(kFolder));
      auto writer = create(disk, packing, keys);
      Random random(1);
      std::vector<std::string> blocks;
      for (const std::size_t size : {1, 100, 5000, 70'000, 1 << 20, (1 << 20) + 1, 2'500'000}) {
        std::string block(size, 'z');
        if (size % 2 == 0)  // does not pack
          for (char& c : block) c = static_cast<char>(random.next());
        REQUIRE(writer->add(Rope::copy_of(block), 2));
        blocks.push_back(std::move(block));
      }
      REQUIRE(writer->finish());
      CHECK(disk.content(kPath).size() == writer->file_bytes());
      CHECK(writer->totals().records == 14);
      const auto read = read_all(disk, keys);
      REQUIRE(read);
      CHECK((*read == blocks));
    }
  }
}

TEST_CASE("an empty snapshot is a snapshot, one without trailer is none", "[snapshot_file]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir(kFolder));
  auto writer = create(disk, Packing::kPlain, {});
  const auto unfinished = read_all(disk, {});
  REQUIRE_FALSE(unfinished);
  CHECK_THAT(unfinished.error().message, Contains("no trailer"));
  REQUIRE(writer->finish());
  CHECK(read_all(disk, {})->empty());
  disk.set_content(kPath, disk.content(kPath) + "x");
  const auto longer = read_all(disk, {});
  REQUIRE_FALSE(longer);
  CHECK_THAT(longer.error().message, Contains("something follows the trailer"));
}

TEST_CASE("a block that is missing is noticed by the trailer", "[snapshot_file]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir(kFolder));
  auto writer = create(disk, Packing::kPlain, {});
  REQUIRE(writer->add(Rope::copy_of("one"), 1));
  const auto end = static_cast<std::size_t>(writer->file_bytes());
  REQUIRE(writer->add(Rope::copy_of("two"), 1));
  const std::string bytes = disk.content(kPath);
  // The same file, ended after the first block.
  disk.erase(kPath);
  writer = create(disk, Packing::kPlain, {});
  REQUIRE(writer->add(Rope::copy_of("one"), 1));
  REQUIRE(writer->finish());
  CHECK(disk.content(kPath).substr(0, end) == bytes.substr(0, end));
  const std::string trailer = disk.content(kPath).substr(end);
  disk.set_content(kPath, bytes + trailer);
  CHECK_FALSE(read_all(disk, {}));
}
