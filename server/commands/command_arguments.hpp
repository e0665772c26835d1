// What COMMAND DOCS tells of a command's arguments, which redis-cli shows as hints while one types.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/commands/spec.hpp"

namespace holdfast::commands {

// As in Redis: a name for people; a type (string, integer, double, key, pattern, unix-time,
// pure-token, oneof, block); a token that stands before the value, or alone; the arguments that a
// oneof or block consists of. Empty where there is none.
struct CommandArgument {
  std::string name;
  std::string_view type;
  std::string_view token;
  std::string_view since;  // the Redis version that had it first, if the command is older
  std::string_view deprecated_since;
  int key_specification = -1;  // of a key: which of the command's key specifications finds it
  bool optional = false;
  bool multiple = false;
  std::vector<CommandArgument> arguments;
};

// Empty for a command without arguments, and for a container.
std::vector<CommandArgument> command_arguments(const CommandSpec& spec);

// The notation of the table:
//
//   arguments := argument { ' ' argument }
//   argument  := ( item | '[' item ']' ) [ '...' ]             [optional], multiple...
//   item      := TOKEN marks                                   a token alone; its name in lower
//   case
//              | [ TOKEN '=' ] name [ ':' type ] marks [ body ]
//   marks     := [ '@' version ] [ '!' version ]               since, deprecated since
//   body      := '(' argument { '|' argument } ')'             one of them
//              | '{' arguments '}'                             all of them
//
// A token is in capitals, a name never. Without a type it is a string; `key1` is a key that the
// second key specification finds. REQUIRES: well-formed.
std::vector<CommandArgument> parse_arguments(std::string_view text);

}  // namespace holdfast::commands
