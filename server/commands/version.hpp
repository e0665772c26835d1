// The Redis version that clients are told: drivers switch features by it. Holdfast's own stands in
// INFO as holdfast_version.
#pragma once

#include <string_view>

namespace holdfast::commands {

inline constexpr std::string_view kRedisVersion = "7.2.4";

}  // namespace holdfast::commands
