// MarkedDigest is what became of a marker in the log (HOLDFAST MARK): the digest of the data at its
// index, for HOLDFAST STATUS.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.hpp"

namespace holdfast::commands {

struct MarkedDigest {
  enum class State {
    kRunning,
    kTaken,
    kSkipped,  // another walk over the data was under way, or there was no data yet
  };

  LogIndex index;
  State state = State::kSkipped;
  std::string digest;  // of one that was taken, and its number of keys
  std::uint64_t keys = 0;
};

}  // namespace holdfast::commands
