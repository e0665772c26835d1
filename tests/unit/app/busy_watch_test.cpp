#include "server/app/busy_watch.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

using namespace holdfast;

namespace {

// What the watch's thread did, to be waited for.
class Counter {
 public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool wait_for(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return count_ >= count; });
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

}  // namespace

TEST_CASE("a loop that waits for its disk is not called busy", "[busy]") {
  std::atomic<bool> waits_for_disk = true;
  Counter asked;
  Counter said;
  app::BusyWatch watch(
      core::milliseconds(1), [&](const std::string&) { said.add(); },
      [&] {
        asked.add();
        return waits_for_disk.load();
      });
  watch.set_frame("busy");
  REQUIRE(asked.wait_for(5));
  CHECK(said.count() == 0);
  waits_for_disk = false;  // inside a long command, then
  CHECK(said.wait_for(2));
}
