// CommitWatch tells a primary whose entries have waited too long for a majority to persist them:
// its peers answer, so it keeps its authority, but the disk of one fails and another is away, or
// all lag far behind. What waits goes on to wait; who comes later is better refused than held as
// well. Not thread-safe.
#pragma once

#include "base/ids.hpp"
#include "base/time.hpp"

namespace holdfast::node {

class CommitWatch {
 public:
  static constexpr MonoUs kPatienceUs = 5'000'000;

  // At every tick. `last`: what waits, if it is above `committed`. True: the answer of `is_stalled`
  // changed.
  bool look(bool is_primary, LogIndex last, LogIndex committed, MonoUs now) {
    if (!is_primary || committed >= last || committed != committed_) {
      committed_ = committed;
      moved_us_ = now;
    }
    const bool was_stalled = is_stalled_;
    is_stalled_ = now - moved_us_ >= kPatienceUs;
    return is_stalled_ != was_stalled;
  }
  bool is_stalled() const { return is_stalled_; }

 private:
  LogIndex committed_;
  MonoUs moved_us_ = 0;
  bool is_stalled_ = false;
};

}  // namespace holdfast::node
