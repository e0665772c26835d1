// DiskWatch tells that the disk hangs without an error: appends wait for it, and it answers none.
// One that is slow, but gets on, is not meant: what waits for it is bounded elsewhere
// (Node::is_pressed). Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>

#include "base/time.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::node {

class DiskWatch {
 public:
  static constexpr MonoUs kPatienceUs = 5'000'000;

  // An append, in the order of their numbers. A large one may take the longer.
  void on_posted(log::WriteNumber write, std::uint64_t bytes, MonoUs now);
  // All up to this one.
  void on_answered(log::WriteNumber write, MonoUs now);
  // At every turn. True: the answer of `is_stuck` changed.
  bool look(MonoUs now);
  bool is_stuck() const { return is_stuck_; }

 private:
  // Appends that were posted within a short time of each other, and wait for an answer.
  struct Group {
    log::WriteNumber last = 0;
    MonoUs posted = 0;            // the first of them
    std::uint64_t bytes_max = 0;  // of one of them
  };

  std::deque<Group> waiting_;
  MonoUs answered_ = 0;
  MonoUs looked_ = 0;
  bool is_stuck_ = false;
};

}  // namespace holdfast::node
