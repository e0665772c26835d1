#include "server/storage/sync_thread.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.hpp"

namespace holdfast::storage {

namespace {

int synced(int descriptor) {
  while (::fdatasync(descriptor) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

}  // namespace

SyncThread::SyncThread()
    : thread_([this] {
        pthread_setname_np(pthread_self(), "sync");
        run();
      }) {}

SyncThread::~SyncThread() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SyncThread::begin(int descriptor) {
  {
    const std::lock_guard lock(mutex_);
    HF_CHECK(state_ == State::kIdle);
    state_ = State::kWanted;
    descriptor_ = descriptor;
  }
  changed_.notify_all();
}

std::optional<int> SyncThread::end(bool wait) {
  std::unique_lock lock(mutex_);
  HF_CHECK(state_ != State::kIdle);
  if (wait) changed_.wait(lock, [this] { return state_ == State::kDone; });
  if (state_ != State::kDone) return std::nullopt;
  state_ = State::kIdle;
  return code_;
}

void SyncThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_ending_ || state_ == State::kWanted; });
    if (state_ != State::kWanted) return;
    const int descriptor = descriptor_;
    lock.unlock();
    const int code = synced(descriptor);
    lock.lock();
    code_ = code;
    state_ = State::kDone;
    changed_.notify_all();
  }
}

}  // namespace holdfast::storage
