// LogThread runs a Storage on a thread of its own, so that no write and no fsync ever stops the
// loop. The owner posts requests and is woken when there are events to take.
//
// All functions belong to one owner thread, and none of them waits for the disk but `stop` (and the
// destructor), and `write_now` if the disk is slower than it was. Entries and ropes have reference
// counts that are not atomic: the log thread reads their bytes and hands them back (StorageEvents),
// the owner alone copies and drops them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "replication/log/file_system.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::storage {

class LogThread {
 public:
  // Starts the thread, which recovers (log::Recovered or log::Refused is the first event but for
  // notes). `wake` is called on the log thread when there are events, once until the next
  // take_events; it must not block and not call into this object.
  LogThread(std::unique_ptr<log::FileSystem> files, log::StorageOptions options,
            std::function<void()> wake);
  // Waits for the thread, however long the disk takes: call `stop` before.
  ~LogThread();
  LogThread(const LogThread&) = delete;
  LogThread& operator=(const LogThread&) = delete;

  // Requests of one call are handled together.
  void post(std::vector<log::Request> requests);

  // Carries out a small write (log::Storage::is_small_write) on the owner's thread, which saves two
  // hand-overs between threads: for whoever is waited for, and may be late once. Nothing, and the
  // requests are as they were: the thread is at work, there is more to do than that, or such a
  // write was slow a short while ago.
  std::optional<log::StorageEvents> write_now(std::vector<log::Request>& requests);

  // On any thread: the owner is inside it at this moment.
  bool writes_now() const;

  log::StorageEvents take_events();

  // Payload bytes that were posted and are not written yet: what the owner must bound.
  std::uint64_t queued_bytes() const;
  // As of the last pass of the thread.
  log::StorageFigures figures() const;

  // Posts a StopRequest, unless one was posted, and waits until the thread has ended, at most so
  // long. True: it has; the last events (log::Stopped) are to be taken. False: the disk does not
  // answer. The thread is then left to itself with all that it holds, `wake` is not called any
  // more, and the process should end.
  bool stop(std::chrono::milliseconds bound);

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
};

}  // namespace holdfast::storage
