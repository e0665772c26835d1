// A start whose newest snapshot could not be read for a moment (a failing device, no descriptor)
// once took an older one, and renamed the good one to *.damaged.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "tests/support/sim_disk.hpp"
#include "tests/unit/log/storage_member.hpp"

namespace holdfast::log::test {

using Catch::Matchers::Contains;
using sim::SimDisk;

TEST_CASE("a start that cannot read the newest snapshot is refused, and sets nothing aside",
          "[storage]") {
  const std::uint32_t snapshots = GENERATE(1, 2);
  std::size_t refused = 0;
  for (std::uint64_t operation = 0; operation < 60; ++operation) {
    SimDisk disk(1);
    StorageOptions options = small_storage(1, FsyncMode::kAlways);
    options.snapshots_kept = snapshots;
    StorageMember member(disk, options);
    REQUIRE(member.start());
    for (std::uint32_t i = 0; i < snapshots; ++i) {
      member.append(20, 400);
      member.take_snapshot();
    }
    const LogIndex newest{member.model().size()};
    member.kill();

    disk.strike_at(disk.operations() + operation, {SimDisk::Strike::kError, FileErrorKind::kIo});
    const bool has_started = member.start();
    INFO(operation << ": " << disk.struck());
    const auto paths = disk.paths();
    CHECK(std::none_of(paths.begin(), paths.end(), [](const std::string& path) {
      return path.find(".damaged") != std::string::npos;
    }));
    if (has_started) {
      CHECK((member.loaded_snapshot().snapshot_index == newest ||
             disk.struck().find("/snapshot-") == std::string::npos));
    } else if (disk.struck().find("/snapshot-") != std::string::npos) {
      ++refused;
      CHECK_THAT(member.refusal(), Contains("Input/output error"));
      CHECK_THAT(member.refusal(), !Contains("Restore") && !Contains("empty"));
    }
    member.kill();
    disk.clear_strikes();
    REQUIRE(member.start());
    CHECK(member.loaded_snapshot().snapshot_index == newest);
    CHECK(member.loaded() == member.model());
  }
  CHECK(refused >= 8);
}

}  // namespace holdfast::log::test
