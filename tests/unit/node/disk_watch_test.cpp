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
  disk.on_posted(1, now);
  disk.on_posted(2, now + 2 * kTenthUs);
  CHECK_FALSE(watch(disk, now, 5'900'000));
  CHECK(watch(disk, now, 6'100'000));
  disk.on_answered(1);
  CHECK(watch(disk, now, 6'200'000));
  disk.on_answered(2);
  CHECK(disk.look(now));
  CHECK_FALSE(disk.is_stuck());
}

TEST_CASE("a disk that answers, but falls ever further behind, is stuck", "[disk]") {
  DiskWatch disk;
  MonoUs now = 0;
  log::WriteNumber posted = 0;
  MonoUs stuck_at = 0;
  for (; now < 20'000'000 && stuck_at == 0; now += kTenthUs) {
    disk.on_posted(++posted, now);
    disk.on_answered(posted / 2);
    disk.look(now);
    if (disk.is_stuck()) stuck_at = now;
  }
  CHECK(stuck_at > 9'000'000);
  CHECK(stuck_at < 12'000'000);
}

TEST_CASE("a process that was stopped does not take its disk for stuck", "[disk]") {
  DiskWatch disk;
  disk.look(0);
  disk.on_posted(1, 0);
  disk.look(kTenthUs);
  CHECK_FALSE(disk.look(10'000'000));
  CHECK_FALSE(disk.is_stuck());
}
