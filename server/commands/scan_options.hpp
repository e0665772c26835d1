// The arguments that SCAN and its kin (HSCAN) have in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/commands/context.hpp"

namespace holdfast::commands {

// As Redis's strtoul takes it: "", "-1" and "+7" are cursors too. One that no SCAN returned is at
// the end. Replies `ERR invalid cursor` and returns nothing if it is none.
std::optional<std::uint64_t> cursor_argument(CommandContext& ctx, std::size_t index);

struct ScanOptions {
  std::size_t count = 10;
  std::optional<std::string_view> pattern;  // none matches all
  std::optional<std::string_view> type;

  bool matches(std::string_view name) const;
};

// MATCH and COUNT, and TYPE if `with_type`, from argument `first` on. Replies the error and returns
// nothing if they are wrong.
std::optional<ScanOptions> scan_options(CommandContext& ctx, std::size_t first, bool with_type);

}  // namespace holdfast::commands
