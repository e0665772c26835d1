// AwakeWait decides whether it is worth to look for something awake instead of sleeping until it
// comes. To sleep and be woken costs a processor tens of microseconds, in a virtual machine most of
// all; where what is waited for comes sooner, being awake is quicker and costs no more. Each time
// that it was in vain makes for a longer while without.
#pragma once

#include <algorithm>

#include "base/time.hpp"

namespace holdfast::net {

class AwakeWait {
 public:
  // Longer than an answer takes between processes of one machine or one rack.
  static constexpr MonoUs kUsMax = 150;

  // Asked once a wait; if true, `ended` is to follow.
  bool is_worth() {
    if (left_out_ == 0) return true;
    --left_out_;
    return false;
  }
  void ended(bool in_vain) {
    leave_out_ = in_vain ? std::clamp(2 * leave_out_, 1, kLeaveOutMax) : 0;
    left_out_ = leave_out_;
  }

 private:
  static constexpr int kLeaveOutMax = 128;

  int leave_out_ = 0;  // waits, after the last one
  int left_out_ = 0;   // of these, still to come
};

}  // namespace holdfast::net
