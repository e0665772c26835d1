// The ACL categories of Redis 7.0 and which of them a command belongs to: those that follow from
// its flags, and those that its row names.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "server/commands/spec.hpp"

namespace holdfast::commands {

// Without '@', in Redis's order.
std::span<const std::string_view> acl_categories();
// Ignores case; `name` without '@'.
std::optional<std::size_t> find_acl_category(std::string_view name);
// `category`: position in acl_categories().
bool is_in_category(const CommandSpec& spec, std::size_t category);

}  // namespace holdfast::commands
