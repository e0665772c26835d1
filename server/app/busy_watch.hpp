// BusyWatch is a thread that speaks for the loop while it is inside a long command: it tells the
// other members that this one is busy, so that they do not take it for dead. A process that is
// stopped says nothing; a busy primary extends no lease by it (design: busy is not dead).
//
// The loop says `alive` at the end of every turn, at least twice a heartbeat.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "replication/core/time.hpp"

namespace holdfast::app {

class BusyWatch {
 public:
  // `say` is called on the thread, with the frame to be sent. So is `waits_for_disk`: a loop that
  // does has no work to be excused by, and others can serve.
  BusyWatch(core::Duration heartbeat, std::function<void(const std::string& frame)> say,
            std::function<bool()> waits_for_disk);
  ~BusyWatch();
  BusyWatch(const BusyWatch&) = delete;
  BusyWatch& operator=(const BusyWatch&) = delete;

  void alive(core::MonoTime now) { alive_at_us_.store(now.us, std::memory_order_relaxed); }
  // What is said from now on.
  void set_frame(std::string frame);

 private:
  void run();

  const core::Duration heartbeat_;
  const std::function<void(const std::string&)> say_;
  const std::function<bool()> waits_for_disk_;
  std::atomic<std::int64_t> alive_at_us_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string frame_;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace holdfast::app
