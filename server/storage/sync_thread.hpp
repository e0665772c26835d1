// SyncThread carries out fdatasync for one other thread, which goes on writing meanwhile: a disk
// that takes its time to sync holds up no write. The thread is there from the beginning, as later
// there may be no descriptors or memory to start one.
//
// All functions belong to one owner thread. The descriptor stays open until its job is done.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace holdfast::storage {

class SyncThread {
 public:
  // Throws std::system_error if no thread is to be had.
  SyncThread();
  ~SyncThread();
  SyncThread(const SyncThread&) = delete;
  SyncThread& operator=(const SyncThread&) = delete;

  // REQUIRES: no other job is under way.
  void begin(int descriptor);
  // errno of the job that was begun (0: done well), once; nothing while it goes on, unless it is to
  // be waited for.
  std::optional<int> end(bool wait);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  enum class State { kIdle, kWanted, kDone } state_ = State::kIdle;
  int descriptor_ = -1;
  int code_ = 0;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace holdfast::storage
