#include "replication/log/check.hpp"

#include <catch2/catch.hpp>

#include "base/check.hpp"
#include "tests/unit/log/folder.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using Catch::Matchers::Contains;
using sim::SimDisk;

namespace {

std::map<std::string, std::string> contents(const SimDisk& disk) {
  std::map<std::string, std::string> all;
  for (const std::string& path : disk.paths()) all[path] = disk.content(path);
  return all;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

void flip(SimDisk& disk, const std::string& path, std::size_t at) {
  std::string bytes = disk.content(path);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  disk.set_content(path, bytes);
}

std::size_t payload_of(SimDisk& disk, std::uint64_t sequence, std::uint64_t index) {
  const std::size_t at =
      disk.content(segment_path(sequence)).find("payload " + std::to_string(index) + " ");
  REQUIRE(at != std::string::npos);
  return at;
}

}  // namespace

TEST_CASE("check tells what a healthy folder holds and touches nothing", "[check]") {
  for (const bool is_encrypted : {false, true}) {
    FolderOptions options;
    if (is_encrypted) options.keys = KeyRing({make_key(1)});
    SimDisk disk(1);
    build_folder(disk, options);
    const auto before = contents(disk);
    for (const bool repair : {false, true}) {
      const CheckReport report = check(disk, {kFolder, options.keys, repair});
      CHECK(report.verdict == CheckVerdict::kHealthy);
      CHECK(report.damages.empty());
      const std::string text = joined(report.lines);
      CHECK_THAT(text, Contains("entries 17 to 24, through term 2"));
      CHECK_THAT(text, Contains("through entry 12 of term 1: 2 records in 2 blocks"));
      CHECK_THAT(text, Contains("2 of 2 snapshots good"));
      CHECK_THAT(text, Contains("healthy"));
      CHECK(contents(disk) == before);
    }
  }
}

TEST_CASE("a torn tail is told, and is no damage", "[check]") {
  SimDisk disk(1);
  build_folder(disk);
  flip(disk, segment_path(3), payload_of(disk, 3, 24));
  const auto before = contents(disk);
  const CheckReport report = check(disk, {kFolder, {}, true});
  CHECK(report.verdict == CheckVerdict::kHealthy);
  CHECK_THAT(joined(report.lines), Contains("torn tail at offset"));
  CHECK(contents(disk) == before);
}

TEST_CASE("check finds every damage, repair only when told", "[check]") {
  SimDisk disk(1);
  build_folder(disk);
  flip(disk, segment_path(3), payload_of(disk, 3, 18));
  flip(disk, snapshot_path(6), kHeaderBytes + 30);
  const auto before = contents(disk);
  const CheckReport report = check(disk, {kFolder, {}, false});
  CHECK(report.verdict == CheckVerdict::kDamaged);
  REQUIRE(report.damages.size() == 2);
  CHECK(report.damages[0].path == snapshot_path(6));
  CHECK(report.damages[1].path == segment_path(3));
  CHECK(report.damages[1].offset.has_value());
  CHECK_THAT(joined(report.lines),
             Contains("--repair would: cut") && Contains("entries behind 17"));
  CHECK(contents(disk) == before);
}

TEST_CASE("repair cuts the log before the damage, keeps the rest aside and stops claiming",
          "[check]") {
  for (const std::uint64_t bad : {10, 14, 16, 17, 18, 20}) {
    SimDisk disk(1);
    build_folder(disk);
    const std::uint64_t sequence = bad <= 16 ? 2 : 3;
    const std::string path = segment_path(sequence);
    flip(disk, path, payload_of(disk, sequence, bad));
    const std::string bytes = disk.content(path);
    const CheckReport report = check(disk, {kFolder, {}, true});
    INFO("entry " << bad << "\n" << joined(report.lines));
    CHECK(report.is_repaired);
    CHECK(report.verdict == CheckVerdict::kHealthy);
    const auto loaded = start_member(disk);
    REQUIRE(loaded);
    const std::uint64_t left = std::max<std::uint64_t>(bad - 1, 12);
    CHECK(loaded->last == left);
    CHECK(loaded->recovering);
    const auto expected = expected_entries();
    std::uint64_t index = loaded->base;
    for (const std::string& entry : loaded->entries) CHECK(entry == expected.at(++index));
    CHECK(index == left);
    // Nothing is thrown away.
    CHECK(disk.content(path) + disk.content(path + ".damaged") == bytes);
    if (sequence == 2) CHECK(disk.content(segment_path(3) + ".damaged").size() > kHeaderBytes);
  }
}

TEST_CASE("repair sets aside what a good snapshot makes superfluous, without a loss", "[check]") {
  SimDisk disk(1);
  build_folder(disk);
  flip(disk, segment_path(1), payload_of(disk, 1, 3));
  const CheckReport report = check(disk, {kFolder, {}, true});
  INFO(joined(report.lines));
  CHECK(report.is_repaired);
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->last == 24);
  CHECK_FALSE(loaded->recovering);
}

TEST_CASE("repair sets a damaged snapshot aside if the log has what it held", "[check]") {
  SimDisk disk(1);
  build_folder(disk);
  flip(disk, snapshot_path(12), kHeaderBytes + 30);
  CHECK(check(disk, {kFolder, {}, true}).is_repaired);
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->base == 6);
  CHECK(loaded->last == 24);
  CHECK_FALSE(loaded->recovering);
}

TEST_CASE("what cannot be repaired is left untouched", "[check]") {
  SimDisk disk(1);
  build_folder(disk);
  SECTION("no snapshot reaches the log") {
    disk.erase(segment_path(1));
    flip(disk, snapshot_path(6), kHeaderBytes + 30);
    flip(disk, snapshot_path(12), kHeaderBytes + 30);
  }
  SECTION("the durable record is lost") {
    disk.erase(record_path());
  }
  const auto before = contents(disk);
  const CheckReport report = check(disk, {kFolder, {}, true});
  CHECK(report.verdict == CheckVerdict::kDamaged);
  CHECK_THAT(joined(report.lines), Contains("cannot be repaired"));
  CHECK(contents(disk) == before);
}

TEST_CASE("without the key nothing is judged, and nothing repaired", "[check]") {
  SimDisk disk(1);
  FolderOptions options;
  options.keys = KeyRing({make_key(1)});
  build_folder(disk, options);
  flip(disk, snapshot_path(6), 20);  // in a header
  const auto before = contents(disk);
  const CheckReport report = check(disk, {kFolder, KeyRing({make_key(2)}), true});
  CHECK(report.verdict == CheckVerdict::kUnreadable);
  CHECK_THAT(joined(report.lines), Contains("is encrypted with key"));
  CHECK(contents(disk) == before);
}

TEST_CASE("a repair that is interrupted anywhere can be repeated", "[check]") {
  SimDisk healthy(1);
  build_folder(healthy);
  flip(healthy, segment_path(2), payload_of(healthy, 2, 14));
  const auto before = contents(healthy);
  const std::uint64_t begin = healthy.operations();
  check(healthy, {kFolder, {}, true});
  const std::uint64_t operations = healthy.operations() - begin;
  for (std::uint64_t i = 0; i < operations; ++i) {
    SimDisk disk(i);
    for (const auto& [path, bytes] : before) disk.set_content(path, bytes);
    disk.strike_at(i, {SimDisk::Strike::kDeath, FileErrorKind::kIo});
    check(disk, {kFolder, {}, true});
    if (i % 2 == 0) {
      disk.kill_process();
    } else {
      disk.lose_power();
    }
    const CheckReport report = check(disk, {kFolder, {}, true});
    INFO("operation " << i << "\n" << joined(report.lines));
    CHECK(report.verdict == CheckVerdict::kHealthy);
    const auto loaded = start_member(disk);
    REQUIRE(loaded);
    CHECK(loaded->last == 13);
  }
}

TEST_CASE("a repair does not bring back entries that were truncated", "[check]") {
  SimDisk disk(1);
  build_folder(disk);
  {
    const auto state = recover(disk, {kFolder, {}, "boot"});
    REQUIRE(state);
    LogStore store(disk, store_options({}, 5), state->log);
    REQUIRE(store.open(state->unsynced));
    REQUIRE(store.truncate_suffix(LogIndex{15}));
    const std::vector<Entry> entries{make_entry(15, 3, "new 15"), make_entry(16, 3, "new 16")};
    REQUIRE(store.append(entries));
    REQUIRE(store.sync());
    REQUIRE(store.close());
  }
  // The segment that voided 15 and 16 is lost altogether.
  const std::string path = segment_path(5);
  flip(disk, path, kHeaderBytes + 40);
  const CheckReport report = check(disk, {kFolder, {}, true});
  INFO(joined(report.lines));
  CHECK(report.is_repaired);
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->last == 14);
}
