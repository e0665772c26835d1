// The command table: every command that this server has, one row each, sorted by name within its
// family.
//
// A family is one file (string_commands.cpp, hash_commands.cpp, ...) that ends in its rows. Lookup
// ignores case.
#pragma once

#include <span>
#include <string_view>

#include "server/commands/spec.hpp"

namespace holdfast::commands {

// nullptr if there is no such command.
const CommandSpec* find_command(std::string_view name);
const CommandSpec* find_subcommand(const CommandSpec& container, std::string_view name);
// "get", "client" or "client|list".
const CommandSpec* find_by_full_name(std::string_view name);

// All commands, sorted by name.
std::span<const CommandSpec* const> all_commands();

// How many numbers the rows have got: commands in the order of all_commands(), subcommands behind
// them.
std::size_t command_numbers();

// The families.
std::span<const CommandSpec> string_commands();
std::span<const CommandSpec> key_commands();
std::span<const CommandSpec> hash_commands();
std::span<const CommandSpec> transaction_commands();
std::span<const CommandSpec> connection_commands();
std::span<const CommandSpec> client_commands();
std::span<const CommandSpec> server_commands();
std::span<const CommandSpec> cluster_commands();
std::span<const CommandSpec> introspection_commands();

}  // namespace holdfast::commands
