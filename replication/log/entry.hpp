// Entry is one element of the replicated log: exactly one for a command, a MULTI or a script. Disk,
// wire and backlog share its one encoding.
//
// The payload is opaque here: whoever submits the entry knows its content by `kind` (mutations:
// server/keyspace/mutation_codec.hpp). An entry is immutable once it has its index. It is cheap to
// copy (reference counts, not atomic: one thread copies and drops; see base/rope.hpp for what
// another thread may read).
#pragma once

#include <cstdint>

#include "base/ids.hpp"
#include "base/rope.hpp"
#include "base/time.hpp"

namespace holdfast::log {

// The numbers are part of the format: never change or reuse one. Unknown ones are refused.
enum class EntryKind : std::uint8_t {
  kNoOp = 1,           // begins a term; no payload
  kMutations = 2,      // mutations of the keyspace, one after the other
  kMarker = 3,         // a point in the log that somebody waits for (digest, snapshot)
  kConfiguration = 4,  // members
};
constexpr bool is_entry_kind(std::uint8_t number) {
  return number >= 1 && number <= 4;
}

struct Entry {
  Term term;
  LogIndex index;
  // The primary's wall clock when it made the entry; never below that of the entry before it.
  UnixMs time = 0;
  EntryKind kind = EntryKind::kNoOp;
  Rope payload;
};

}  // namespace holdfast::log
