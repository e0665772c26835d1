// Starts loading the cache line at `address`, which may be any address.
//
// The empty assembly keeps GCC 12 from taking a function that does nothing but this for one without
// effect, and dropping the calls of it.
#pragma once

namespace holdfast {

inline void prefetch(const void* address) {
  __builtin_prefetch(address);
  asm volatile("");
}

// The same for what is about to be overwritten.
inline void prefetch_for_writing(const void* address) {
  __builtin_prefetch(address, 1);
  asm volatile("");
}

}  // namespace holdfast
