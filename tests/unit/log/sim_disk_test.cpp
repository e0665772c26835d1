#include "tests/support/sim_disk.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace holdfast;
using namespace holdfast::log;
using sim::SimDisk;

namespace {

std::unique_ptr<File> create(SimDisk& disk, const std::string& path) {
  auto file = disk.open(path, OpenMode::kCreate);
  REQUIRE(file);
  return std::move(*file);
}

}  // namespace

TEST_CASE("what was written survives a killed process, what was synced a loss of power",
          "[sim_disk]") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimDisk disk(seed);
    REQUIRE(disk.make_dir("/d"));
    {
      auto file = create(disk, "/d/f");
      REQUIRE(append_all(*file, "synced"));
      REQUIRE(file->sync());
      REQUIRE(disk.sync_dir("/d"));
      REQUIRE(append_all(*file, std::string(2000, 'x')));
    }
    disk.kill_process();
    CHECK(disk.content("/d/f") == "synced" + std::string(2000, 'x'));
    disk.lose_power();
    const std::string left = disk.content("/d/f");
    CHECK(left.substr(0, 6) == "synced");
    seen.insert(left);
  }
  // All, nothing, parts, in many ways.
  CHECK(seen.count("synced") == 1);
  CHECK(seen.count("synced" + std::string(2000, 'x')) == 1);
  CHECK(seen.size() > 50);
}

TEST_CASE("a name is for good once its folder was synced", "[sim_disk]") {
  std::set<std::vector<std::string>> seen;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SimDisk disk(seed);
    REQUIRE(disk.make_dir("/d"));
    create(disk, "/d/old");
    REQUIRE(disk.sync_dir("/d"));
    create(disk, "/d/new");
    REQUIRE(disk.rename("/d/old", "/d/renamed"));
    disk.lose_power();
    seen.insert(disk.paths());
  }
  CHECK(seen == std::set<std::vector<std::string>>{
                    {"/d/old"}, {"/d/renamed"}, {"/d/new", "/d/old"}, {"/d/new", "/d/renamed"}});
}

TEST_CASE("a sync that failed forgets: a later one does not vouch for what it had", "[sim_disk]") {
  bool was_lost = false;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimDisk disk(seed);
    REQUIRE(disk.make_dir("/d"));
    auto file = create(disk, "/d/f");
    REQUIRE(disk.sync_dir("/d"));
    REQUIRE(append_all(*file, std::string(600, 'a')));
    disk.strike_at(disk.operations(), {SimDisk::Strike::kError, FileErrorKind::kIo});
    CHECK_FALSE(file->sync());
    CHECK(disk.struck() == "fsync /d/f");
    char byte = 0;
    REQUIRE(file->read_at(599, {&byte, 1}));
    CHECK(byte == 'a');
    REQUIRE(append_all(*file, "b"));
    REQUIRE(file->sync());
    file = nullptr;
    disk.lose_power();
    const std::string left = disk.content("/d/f");
    REQUIRE(left.size() == 601);
    CHECK(left[600] == 'b');
    was_lost = was_lost || left.substr(0, 600) != std::string(600, 'a');
  }
  CHECK(was_lost);
}

TEST_CASE("a full disk takes what fits and then says so", "[sim_disk]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir("/d"));
  disk.set_capacity(10);
  auto file = create(disk, "/d/f");
  const std::string_view bytes = "0123456789abcdef";
  CHECK(file->append({&bytes, 1}).value() == 10);
  const auto more = file->append({&bytes, 1});
  REQUIRE_FALSE(more);
  CHECK(more.error().kind == FileErrorKind::kNoSpace);
  CHECK(file->write_at(0, "##").value() == 2);
  CHECK(disk.content("/d/f") == "##23456789");
  CHECK(disk.free_bytes("/d").value() == 0);
}

TEST_CASE("a folder is locked once, and free again when its holder dies", "[sim_disk]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir("/d"));
  auto lock = disk.lock("/d");
  REQUIRE(lock);
  const auto second = disk.lock("/d");
  REQUIRE_FALSE(second);
  CHECK(second.error().kind == FileErrorKind::kLocked);
  disk.kill_process();
  CHECK(disk.lock("/d"));
}

TEST_CASE("the same seed and the same calls come to the same end", "[sim_disk]") {
  const auto outcome = [](std::uint64_t seed) {
    SimDisk disk(seed);
    REQUIRE(disk.make_dir("/d"));
    auto file = create(disk, "/d/f");
    REQUIRE(disk.sync_dir("/d"));
    REQUIRE(append_all(*file, std::string(5000, 'x')));
    file = nullptr;
    disk.lose_power();
    return disk.content("/d/f");
  };
  CHECK(outcome(7) == outcome(7));
  CHECK(outcome(7) != outcome(8));
}
