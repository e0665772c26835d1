// LineLimit keeps strangers from filling the log: so many lines a period, the rest are counted and
// the count goes with the next line that is let through. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "replication/core/time.hpp"

namespace holdfast::transport {

class LineLimit {
 public:
  static constexpr int kLinesMax = 10;
  static constexpr core::Duration kPeriod = core::milliseconds(10'000);

  // Nothing: do not log. Otherwise the number of lines that were left out before this one.
  std::optional<std::uint64_t> admit(core::MonoTime now) {
    if (now - begin_ >= kPeriod) {
      begin_ = now;
      lines_ = 0;
    }
    if (lines_ == kLinesMax) {
      ++left_out_;
      return std::nullopt;
    }
    ++lines_;
    return std::exchange(left_out_, 0);
  }

 private:
  core::MonoTime begin_ = core::kLongAgo;
  int lines_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace holdfast::transport
