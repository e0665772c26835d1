// DiskWatch tells that the disk hangs without an error, or takes so much less than it is given that
// what waits for it would fill the memory. Not thread-safe.
#pragma once

#include <deque>

#include "base/time.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::node {

class DiskWatch {
 public:
  static constexpr MonoUs kPatienceUs = 5'000'000;

  // An append, in the order of their numbers.
  void on_posted(log::WriteNumber write, MonoUs now);
  // All up to this one.
  void on_answered(log::WriteNumber write);
  // At every turn. True: the answer of `is_stuck` changed.
  bool look(MonoUs now);
  bool is_stuck() const { return is_stuck_; }

 private:
  // Appends that were posted within a short time of each other, and wait for an answer.
  struct Group {
    log::WriteNumber last = 0;
    MonoUs posted = 0;  // the first of them
  };

  std::deque<Group> waiting_;
  MonoUs looked_ = 0;
  bool is_stuck_ = false;
};

}  // namespace holdfast::node
