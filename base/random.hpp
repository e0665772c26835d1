// Random is a small seeded generator (xoshiro256**, Blackman and Vigna 2018, seeded by splitmix64).
// Same seed, same sequence: the simulator depends on it. Not for secrets. Not thread-safe.
#pragma once

#include <cstdint>

namespace holdfast {

class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t next();
  // Uniform in [0, bound); bound must be positive.
  std::uint64_t below(std::uint64_t bound);

 private:
  std::uint64_t state_[4];
};

}  // namespace holdfast
