#include "server/app/busy_watch.hpp"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <utility>

#include "replication/transport/boot_clock.hpp"

namespace holdfast::app {

BusyWatch::BusyWatch(core::Duration heartbeat, std::function<void(const std::string&)> say,
                     std::function<bool()> waits_for_disk)
    : heartbeat_(heartbeat),
      say_(std::move(say)),
      waits_for_disk_(std::move(waits_for_disk)),
      alive_at_us_(transport::boot_time().us) {
  // Signals are the loop's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "busy");
    run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

BusyWatch::~BusyWatch() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BusyWatch::set_frame(std::string frame) {
  const std::lock_guard lock(mutex_);
  frame_ = std::move(frame);
}

void BusyWatch::run() {
  std::unique_lock lock(mutex_);
  while (!is_ending_) {
    changed_.wait_for(lock, std::chrono::microseconds(heartbeat_.us));
    const std::int64_t silent_us =
        transport::boot_time().us - alive_at_us_.load(std::memory_order_relaxed);
    if (is_ending_ || frame_.empty() || silent_us < 2 * heartbeat_.us || waits_for_disk_())
      continue;
    const std::string frame = frame_;
    lock.unlock();
    say_(frame);
    lock.lock();
  }
}

}  // namespace holdfast::app
