// What a replica puts together from parts: one large entry from its fragments, and a snapshot,
// which belongs to the term of the primary that sends it and is void when that changes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/chunked.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/time.hpp"

namespace holdfast::core {

// The entry is appended with its last fragment, never before. What has come outlives the term: a
// slow link may take longer for it than a primary lasts. In a generation index and term name an
// entry.
struct EntryAssembly {
  std::uint64_t generation = 0;
  wire::Entry head;
  std::uint64_t total_bytes = 0;
  Chunked bytes;
  bool is_asked_for = false;  // this term's primary has sent some of it: what it holds may be told

  bool is_for(const wire::AppendFragment& fragment, std::uint64_t of_generation) const {
    return generation == of_generation && head.index == fragment.entry.index &&
           head.term == fragment.entry.term && total_bytes == fragment.total_bytes;
  }
};

// What is received is with the owner; only what is stored is acknowledged.
struct IncomingSnapshot {
  std::uint64_t number = 0;  // of the stream, as the owner knows it
  wire::SnapshotId id;
  UnixMs time = 0;  // of the last entry in it
  std::uint64_t received_bytes = 0;
  std::uint64_t stored_bytes = 0;
  bool is_all_received = false;
  bool is_complete = false;  // stored as a whole
};

}  // namespace holdfast::core
