#include "server/node/disk_watch.hpp"

#include <catch2/catch.hpp>

using namespace holdfast;
using node::DiskWatch;

namespace {

constexpr MonoUs kTenthUs = 100'000;

// Looks every tenth of a second until then; whether it is stuck at the end.
bool watch(DiskWatch& disk, MonoUs& now, MonoUs until) {
  for (; now <= until; now += kTenthUs) disk.look(now);
  return disk.is_stuck();
}

}  // namespace

TEST_CASE("a disk that does not answer for five seconds is stuck until it has caught up",
          "[disk]") {
  DiskWatch disk;
  MonoUs now = 1'000'000;
  disk.look(now);
  disk.on_posted(1, 100, now);
  disk.on_posted(2, 100, now + 2 * kTenthUs);
  CHECK_FALSE(watch(disk, now, 5'900'000));
  CHECK(watch(disk, now, 6'100'000));
  disk.on_answered(1, now);
  CHECK(disk.look(now));
  CHECK_FALSE(disk.is_stuck());
  disk.on_answered(2, now);
  CHECK_FALSE(watch(disk, now, 20'000'000));
}

TEST_CASE("a disk that falls ever further behind, but gets on, is not stuck", "[disk]") {
  DiskWatch disk;
  log::WriteNumber posted = 0;
  for (MonoUs now = 0; now < 60'000'000; now += kTenthUs) {
    disk.on_posted(++posted, 100, now);
    disk.on_answered(posted / 2, now);
    disk.look(now);
    REQUIRE_FALSE(disk.is_stuck());
  }
}

TEST_CASE("a large append may take the longer", "[disk]") {
  DiskWatch disk;
  MonoUs now = 0;
  disk.look(now);
  disk.on_posted(1, 300'000'000, now);
  CHECK_FALSE(watch(disk, now, 34'000'000));
  CHECK(watch(disk, now, 36'000'000));
}

TEST_CASE("a process that was stopped does not take its disk for stuck", "[disk]") {
  DiskWatch disk;
  disk.look(0);
  disk.on_posted(1, 100, 0);
  disk.look(kTenthUs);
  CHECK_FALSE(disk.look(10'000'000));
  CHECK_FALSE(disk.is_stuck());
}
