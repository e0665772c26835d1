// Timeline is the one true time of a simulated world: what is to happen, in order. Times are
// microseconds since its beginning; what is due at the same time happens in the order in which it
// was scheduled, so a seed replays exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace holdfast::sim {

using TrueTime = std::int64_t;

class Timeline {
 public:
  TrueTime now() const { return now_; }
  void at(TrueTime time, std::function<void()> action) {
    queue_.push({std::max(time, now_), next_++, std::move(action)});
  }
  void after(TrueTime delay, std::function<void()> action) { at(now_ + delay, std::move(action)); }
  // One action. False: nothing is left before `end`.
  bool step(TrueTime end) {
    if (queue_.empty() || queue_.top().time > end) {
      now_ = std::max(now_, end);
      return false;
    }
    now_ = queue_.top().time;
    const std::function<void()> action = std::move(const_cast<Item&>(queue_.top()).action);
    queue_.pop();
    action();
    return true;
  }

 private:
  struct Item {
    TrueTime time = 0;
    std::uint64_t order = 0;
    std::function<void()> action;
    bool operator<(const Item& other) const {
      return std::pair(time, order) > std::pair(other.time, other.order);
    }
  };
  TrueTime now_ = 0;
  std::uint64_t next_ = 0;
  std::priority_queue<Item> queue_;
};

}  // namespace holdfast::sim
