// Disk is a simulated disk under a State, whatever that is: operations are handed over in order,
// carried out after a while (then they survive the death of the process) and synced later (then
// they survive the loss of power). What a loss of power leaves is what was synced and any number of
// the operations behind it, in order: what follows a torn record is not found by recovery.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "base/random.hpp"
#include "tests/sim/timeline.hpp"

namespace holdfast::sim {

struct DiskTiming {
  std::int64_t write_us_max = 300;
  std::int64_t sync_us_max = 3'000;
  std::int64_t sync_period_us = 0;  // 0: every operation is synced before it is done
  // One operation in so many takes up to slow_us_max; 0: none.
  std::uint64_t slow_one_in = 0;
  std::int64_t slow_us_max = 200'000;
};

template <typename State>
class Disk {
 public:
  using Operation = std::function<void(State&)>;

  Disk(Timeline& timeline, Random& random, DiskTiming timing)
      : timeline_(timeline), random_(random), timing_(timing) {}

  // What is carried out, as a reader of the files sees it.
  const State& state() const { return written_; }
  State& state_for_repair() { return written_; }

  // `done` is called when the operation counts as persisted, unless the process dies before.
  void submit(Operation operation, std::function<void()> done) {
    pending_.push_back({std::move(operation), std::move(done)});
    pump();
  }
  void set_failed(bool failed) {
    failed_ = failed;
    if (!failed) pump();
  }
  bool is_failed() const { return failed_; }

  // At a start: what is found is made durable before anybody relies on it.
  void sync_found() { sync(); }

  // What was not carried out yet may be, or may not.
  void kill_process() {
    ++life_;
    for (std::uint64_t left = random_.below(pending_.size() + 1); left > 0; --left) {
      if (failed_) break;
      carry_out();
    }
    pending_.clear();
    busy_ = false;
    failed_ = false;
  }
  void lose_power() {
    kill_process();
    written_ = synced_;
    const std::uint64_t kept = random_.below(unsynced_.size() + 1);
    for (std::uint64_t i = 0; i < kept; ++i) unsynced_[i](written_);
    unsynced_.clear();
    synced_ = written_;
  }
  void wipe() {
    kill_process();
    written_ = synced_ = State{};
    unsynced_.clear();
  }

 private:
  struct Pending {
    Operation operation;
    std::function<void()> done;
  };
  void pump() {
    if (busy_ || failed_ || pending_.empty()) return;
    busy_ = true;
    std::int64_t us = 1 + static_cast<std::int64_t>(
                              random_.below(static_cast<std::uint64_t>(timing_.write_us_max)));
    const bool always = timing_.sync_period_us == 0;
    if (always)
      us +=
          static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(timing_.sync_us_max)));
    if (timing_.slow_one_in != 0 && random_.below(timing_.slow_one_in) == 0)
      us +=
          static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(timing_.slow_us_max)));
    // What waits together is one write.
    const std::size_t group = pending_.size();
    timeline_.after(us, [this, group, life = life_, always] {
      if (life != life_) return;
      busy_ = false;
      if (failed_) return;
      std::deque<std::function<void()>> done;
      for (std::size_t i = 0; i < group; ++i) done.push_back(carry_out());
      if (always)
        sync();
      else
        schedule_sync();
      for (const auto& each : done) each();
      pump();
    });
  }
  std::function<void()> carry_out() {
    Pending next = std::move(pending_.front());
    pending_.pop_front();
    next.operation(written_);
    unsynced_.push_back(std::move(next.operation));
    return std::move(next.done);
  }
  void sync() {
    for (const Operation& operation : unsynced_) operation(synced_);
    unsynced_.clear();
  }
  void schedule_sync() {
    if (sync_scheduled_) return;
    sync_scheduled_ = true;
    timeline_.after(timing_.sync_period_us, [this] {
      sync_scheduled_ = false;
      if (!failed_) sync();
    });
  }

  Timeline& timeline_;
  Random& random_;
  DiskTiming timing_;
  State written_;
  State synced_;
  std::deque<Operation> unsynced_;
  std::deque<Pending> pending_;
  bool busy_ = false;
  bool failed_ = false;
  bool sync_scheduled_ = false;
  std::uint64_t life_ = 0;
};

}  // namespace holdfast::sim
