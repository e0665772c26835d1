// The parts of the server family that stand in files of their own.
#pragma once

#include <span>
#include <string>

#include "server/commands/context.hpp"
#include "server/commands/spec.hpp"

namespace holdfast::commands {

// info_command.cpp
void info(CommandContext& ctx);

// config_commands.cpp
std::span<const CommandSpec> config_subcommands();
// slowlog_commands.cpp
std::span<const CommandSpec> slowlog_subcommands();
std::span<const CommandSpec> latency_subcommands();
// memory_commands.cpp
std::span<const CommandSpec> memory_subcommands();
void debug(CommandContext& ctx);
// acl_commands.cpp
std::span<const CommandSpec> acl_subcommands();
std::span<const CommandSpec> module_subcommands();

// Redis's short form of a number of bytes: "1.50M".
std::string human_bytes(std::uint64_t bytes);

inline constexpr std::uint32_t kAdminFlags = kAdmin | kNoScript | kLoading | kStale;

}  // namespace holdfast::commands
