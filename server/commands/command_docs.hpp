// What COMMAND DOCS tells of each command.
#pragma once

#include <string_view>

#include "server/commands/spec.hpp"

namespace holdfast::commands {

struct CommandDocs {
  std::string_view name;
  std::string_view summary;
  std::string_view since;  // the Redis version that had it first
  std::string_view group;
  std::string_view complexity;
};

// Every command and subcommand has some.
CommandDocs docs_of(const CommandSpec& spec);

}  // namespace holdfast::commands
