// CommandSpec is one row of the command table: how a command is called, what it may touch, and who
// runs it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace holdfast::commands {

class CommandContext;

using Handler = void (*)(CommandContext&);

// Flags with the names that COMMAND INFO shows, and access hints for the node.
enum Flag : std::uint32_t {
  kWrite = 1U << 0,
  kReadonly = 1U << 1,
  kDenyOom = 1U << 2,
  kAdmin = 1U << 3,
  kNoScript = 1U << 4,
  kLoading = 1U << 5,  // allowed while the data set is loaded
  kStale = 1U << 6,    // allowed without a primary
  kFast = 1U << 7,
  kNoAuth = 1U << 8,    // allowed before AUTH
  kNoMulti = 1U << 9,   // refused inside MULTI
  kNoQueue = 1U << 10,  // runs at once inside MULTI (EXEC, DISCARD, ...); not shown
  kSkipSlowlog = 1U << 11,
  kSkipMonitor = 1U << 12,
  kAllowBusy = 1U << 13,
  kMovableKeys = 1U << 14,
  kMayReplicate = 1U << 15,
  kBlocking = 1U << 16,
  kPubSub = 1U << 17,
  kNoAsyncLoading = 1U << 18,
};

// Positions as in COMMAND INFO: `last` counts from the end if negative. first = 0: no keys.
struct KeyRange {
  int first = 0;
  int last = 0;
  int step = 0;
};

struct CommandSpec {
  std::string_view name;  // lower case; of a subcommand with its container: "client|list"
  int arity;              // as in Redis, the name included: n exactly, -n at least n
  std::uint32_t flags;
  KeyRange keys;
  std::string_view categories;  // ACL categories beyond those that the flags imply, e.g. "@string"
  Handler handler;              // nullptr for a container
  std::span<const CommandSpec> subcommands{};
  // Position in the statistics, given by the table once at the start.
  mutable std::uint32_t number = 0;

  bool has(Flag flag) const { return (flags & flag) != 0; }
  bool accepts(std::size_t argument_count) const {
    const auto count = static_cast<int>(argument_count);
    return arity >= 0 ? count == arity : count >= -arity;
  }
};

}  // namespace holdfast::commands
