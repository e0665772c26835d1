#include "server/storage/log_thread.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>

#include "base/check.hpp"
#include "replication/log/storage_requests.hpp"
#include "server/storage/timed_file_system.hpp"

namespace holdfast::storage {

namespace {

using Clock = std::chrono::steady_clock;

MonoUs now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch())
      .count();
}

// Of requests between two answers.
constexpr std::uint64_t kBytesAtOnce = std::uint64_t{8} << 20;

// A write on the owner's thread that took longer is the last one for a while, which doubles each
// time that this happens, and is short again once none was slow for as long as the longest.
constexpr MonoUs kSlowWriteUs = 2'000;
constexpr MonoUs kDistrustUsMin = 2'000'000;
constexpr MonoUs kDistrustUsMax = 60'000'000;

// How often this thread has given up its core to wait for something.
long waits_so_far() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

bool is_stop(const log::Request& request) {
  return std::holds_alternative<log::StopRequest>(request);
}

template <typename T>
void move_behind(std::vector<T>& from, std::vector<T>& to) {
  if (to.empty()) {
    std::swap(from, to);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }
  from.clear();
}

// One Persisted says what those before it said.
void move_behind(log::StorageEvents& from, log::StorageEvents& to) {
  if (!from.events.empty() && std::holds_alternative<log::Persisted>(from.events.front()) &&
      !to.events.empty() && std::holds_alternative<log::Persisted>(to.events.back()))
    to.events.pop_back();
  move_behind(from.events, to.events);
  move_behind(from.spent_entries, to.spent_entries);
  move_behind(from.spent_ropes, to.spent_ropes);
}

bool is_empty(const log::StorageEvents& events) {
  return events.events.empty() && events.spent_entries.empty() && events.spent_ropes.empty();
}

}  // namespace

struct LogThread::Shared {
  Shared(std::unique_ptr<log::FileSystem> file_system, log::StorageOptions options,
         std::function<void()> wake_owner)
      : files(std::move(file_system)),
        storage(files, std::move(options)),
        wake(std::move(wake_owner)) {}

  // --- of the log thread
  TimedFileSystem files;
  log::Storage storage;
  std::uint64_t carried_bytes = 0;  // of what storage has taken and not written

  bool wait_for_requests(std::vector<log::Request>& requests);
  bool carry_out(std::vector<log::Request> requests, log::StorageEvents& produced);
  void publish(log::StorageEvents& produced);

  void note_write_now(MonoUs begun, MonoUs ended, long waits_before);  // of the owner

  // --- of both
  std::mutex wake_mutex;  // held during `wake`
  std::function<void()> wake;
  std::atomic<std::uint64_t> queued_bytes = 0;
  std::atomic<bool> writes_now = false;

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<log::Request> inbox;
  bool is_sleeping = false;
  MonoUs sleeps_until = 0;
  log::StorageEvents outbox;
  bool is_woken = false;  // the owner, until it takes the events
  log::StorageFigures figures;
  bool has_ended = false;
  bool is_abandoned = false;

  // --- of the owner
  bool is_stop_posted = false;
  MonoUs trusts_disk_from = 0;
  MonoUs distrust_us = kDistrustUsMin;
  std::thread thread;
};

// Sleeps until there is something to do. Meanwhile the owner may use the storage under the mutex.
bool LogThread::Shared::wait_for_requests(std::vector<log::Request>& requests) {
  std::unique_lock lock(mutex);
  while (inbox.empty()) {
    const MonoUs due = storage.next_due();
    if (due <= now_us()) break;
    is_sleeping = true;
    sleeps_until = due;
    if (due == std::numeric_limits<MonoUs>::max()) {
      changed.wait(lock);
    } else {
      changed.wait_until(lock, Clock::time_point(std::chrono::microseconds(due)));
    }
    is_sleeping = false;
  }
  requests.swap(inbox);
  return !requests.empty();
}

void LogThread::Shared::publish(log::StorageEvents& produced) {
  log::StorageFigures latest = storage.figures();
  latest.fsyncs = files.sync_times().count;
  latest.fsync_us_max = files.sync_times().us_max;
  bool must_wake = false;
  {
    const std::lock_guard lock(mutex);
    figures = latest;
    if (!is_empty(produced)) {
      move_behind(produced, outbox);
      must_wake = !std::exchange(is_woken, true);
    }
  }
  if (!must_wake) return;
  const std::lock_guard lock(wake_mutex);
  if (wake) wake();
}

// A thread that waited for the disk gave up its core by itself; on a busy machine it loses it, too.
void LogThread::Shared::note_write_now(MonoUs begun, MonoUs ended, long waits_before) {
  if (ended - begun <= kSlowWriteUs || waits_so_far() == waits_before) return;
  if (begun - trusts_disk_from > kDistrustUsMax) distrust_us = kDistrustUsMin;
  trusts_disk_from = ended + distrust_us;
  distrust_us = std::min(2 * distrust_us, kDistrustUsMax);
}

// A slow disk is heard of on the way. True: the last one was among them.
bool LogThread::Shared::carry_out(std::vector<log::Request> requests,
                                  log::StorageEvents& produced) {
  bool is_last = false;
  std::vector<log::Request> some;
  std::uint64_t some_bytes = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::uint64_t bytes = log::payload_bytes(requests[i]);
    carried_bytes += bytes;
    some_bytes += bytes;
    is_last = is_last || is_stop(requests[i]);
    some.push_back(std::move(requests[i]));
    const bool is_end = i + 1 == requests.size();
    if (!is_end && some_bytes < kBytesAtOnce) continue;
    storage.handle(std::exchange(some, {}), now_us(), produced);
    some_bytes = 0;
    if (!is_end) publish(produced);
  }
  return is_last;
}

void LogThread::run(const std::shared_ptr<Shared>& shared) {
  Shared& self = *shared;
  log::StorageEvents produced;
  self.storage.start(produced);
  self.publish(produced);
  bool is_last = false;
  while (!is_last) {
    std::vector<log::Request> requests;
    if (self.wait_for_requests(requests)) {
      is_last = self.carry_out(std::move(requests), produced);
    }
    // Also while requests never end: one block of a snapshot after each batch of them.
    const MonoUs now = now_us();
    if (self.storage.next_due() <= now) self.storage.poll(now, produced);
    const std::uint64_t waiting = self.storage.waiting_bytes();
    self.queued_bytes -= self.carried_bytes - waiting;
    self.carried_bytes = waiting;
    self.publish(produced);
  }
  std::unique_lock lock(self.mutex);
  self.has_ended = true;
  self.changed.notify_all();
  // What it holds has counts that only the owner may touch, and the owner has gone on.
  if (self.is_abandoned) self.changed.wait(lock, [] { return false; });
}

LogThread::LogThread(std::unique_ptr<log::FileSystem> files, log::StorageOptions options,
                     std::function<void()> wake)
    : shared_(std::make_shared<Shared>(std::move(files), std::move(options), std::move(wake))) {
  // Signals are the owner's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  shared_->thread = std::thread([shared = shared_] {
    pthread_setname_np(pthread_self(), "log");
    run(shared);
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LogThread::~LogThread() {
  if (!shared_->thread.joinable()) return;
  if (!shared_->is_stop_posted) post({log::StopRequest{}});
  shared_->thread.join();
}

void LogThread::post(std::vector<log::Request> requests) {
  if (requests.empty()) return;
  Shared& self = *shared_;
  std::uint64_t byte_count = 0;
  for (const log::Request& request : requests) {
    HF_CHECK(!self.is_stop_posted);
    byte_count += log::payload_bytes(request);
    self.is_stop_posted = is_stop(request);
  }
  self.queued_bytes += byte_count;
  bool must_wake = false;
  {
    const std::lock_guard lock(self.mutex);
    move_behind(requests, self.inbox);
    must_wake = self.is_sleeping;
  }
  if (must_wake) self.changed.notify_all();
}

std::optional<log::StorageEvents> LogThread::write_now(std::vector<log::Request>& requests) {
  Shared& self = *shared_;
  const MonoUs begun = now_us();
  if (requests.empty() || begun < self.trusts_disk_from) return std::nullopt;
  const long waits_before = waits_so_far();
  log::StorageEvents events;
  bool must_wake = false;
  {
    const std::unique_lock lock(self.mutex, std::try_to_lock);
    if (!lock || !self.is_sleeping || !self.inbox.empty() || !is_empty(self.outbox) ||
        !self.storage.is_small_write(requests))
      return std::nullopt;
    self.writes_now = true;
    self.storage.handle(std::move(requests), begun, events);
    self.writes_now = false;
    self.figures.unsynced_bytes = self.storage.figures().unsynced_bytes;
    must_wake = self.storage.next_due() < self.sleeps_until;
  }
  if (must_wake) self.changed.notify_all();
  self.note_write_now(begun, now_us(), waits_before);
  return events;
}

bool LogThread::writes_now() const {
  return shared_->writes_now;
}

log::StorageEvents LogThread::take_events() {
  const std::lock_guard lock(shared_->mutex);
  shared_->is_woken = false;
  return std::exchange(shared_->outbox, {});
}

std::uint64_t LogThread::queued_bytes() const {
  return shared_->queued_bytes;
}

log::StorageFigures LogThread::figures() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->figures;
}

bool LogThread::stop(std::chrono::milliseconds bound) {
  Shared& self = *shared_;
  if (!self.thread.joinable()) return !self.is_abandoned;
  if (!self.is_stop_posted) post({log::StopRequest{}});
  {
    std::unique_lock lock(self.mutex);
    if (!self.changed.wait_for(lock, bound, [&] { return self.has_ended; })) {
      self.is_abandoned = true;
      lock.unlock();
      self.thread.detach();
      const std::lock_guard wake_lock(self.wake_mutex);
      self.wake = nullptr;
      return false;
    }
  }
  self.thread.join();
  return true;
}

}  // namespace holdfast::storage
