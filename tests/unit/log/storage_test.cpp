#include "replication/log/storage.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/log/storage_member.hpp"

namespace holdfast::log::test {

TEST_CASE("a new folder is told to be new, and gets an identity", "[storage]") {
  sim::SimDisk disk(1);
  StorageMember member(disk, small_storage(1, FsyncMode::kEverySecond));
  REQUIRE(member.start());
  CHECK(member.problem() == "");
  CHECK(member.recovered().is_new);
  CHECK(member.recovered().record.running);
  CHECK(member.recovered().record.incarnation == 1);
  CHECK(member.recovered().record.log_id != LogId{});
}

}  // namespace holdfast::log::test
