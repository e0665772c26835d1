// Suspicion is the judgement that the primary is gone, from silence or from a broken link. It binds
// nobody and breaks no promise (lease.hpp): it only moves a member to ask the others.
//
// Silence is measured by AwakeClock, which leaves out the time in which this process did not run
// itself: after a pause of our own, the silence of others means nothing.
#pragma once

#include <algorithm>

#include "replication/core/time.hpp"

namespace holdfast::core {

class AwakeClock {
 public:
  // `step_max`: ticks that are further apart count as a pause.
  AwakeClock(MonoTime now, Duration step_max) : seen_(now), awake_(now), step_max_(step_max) {}
  void on_tick(MonoTime now) {
    awake_ = awake_ + std::min(now - seen_, step_max_);
    seen_ = std::max(seen_, now);
  }
  MonoTime now() const { return awake_; }

 private:
  MonoTime seen_;
  MonoTime awake_;
  Duration step_max_;
};

// Times are of the AwakeClock. Begins suspicious: no primary is known.
class Suspicion {
 public:
  explicit Suspicion(Duration busy_limit) : busy_limit_(busy_limit) {}

  bool is_suspected() const { return suspected_; }
  // `timeout` is this member's, drawn anew with each primary.
  void on_primary(MonoTime awake, Duration timeout) {
    suspected_ = false;
    heard_ = spoke_ = awake;
    timeout_ = timeout;
  }
  void on_heard(MonoTime awake) {
    suspected_ = false;
    heard_ = spoke_ = awake;
  }
  // It lives, but is inside a long command: believed up to the limit.
  void on_busy(MonoTime awake) {
    if (!suspected_ && awake - spoke_ < busy_limit_) heard_ = awake;
  }
  void suspect() { suspected_ = true; }
  bool is_silent(MonoTime awake) const { return awake - heard_ >= timeout_; }
  // When silence would become suspicious.
  MonoTime silent_at() const { return heard_ + timeout_; }

 private:
  Duration busy_limit_;
  Duration timeout_{};
  bool suspected_ = true;
  MonoTime heard_ = kLongAgo;  // anything, busy too
  MonoTime spoke_ = kLongAgo;  // a heartbeat or entries
};

}  // namespace holdfast::core
