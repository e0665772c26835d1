// Strong types for the numbers that must not be mixed up.
#pragma once

#include <compare>
#include <cstdint>

namespace holdfast {

template <typename Tag>
struct Id {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(Id, Id) = default;
};

// A client connection's number: 1, 2, 3, ... in the order of arrival, never used twice by one
// process.
using ClientId = Id<struct ClientTag>;
// Position in the replicated log; 0 stands before the first entry.
using LogIndex = Id<struct LogIndexTag>;
// Number of an election; 0 stands before the first.
using Term = Id<struct TermTag>;
// A member of the cluster: 1, 2, 3, ... in the order of the list that it was started with; 0 is
// nobody.
using NodeId = Id<struct NodeTag>;
// Number of a question to the other members whether this one is still the primary; 0: none.
using ReadRound = Id<struct ReadRoundTag>;

}  // namespace holdfast
