// What COMMAND INFO tells of a command beyond its row: hints for proxies ("tips") and how its keys
// are accessed. As in Redis 7.0.15.
#pragma once

#include <string_view>
#include <vector>

#include "server/commands/spec.hpp"

namespace holdfast::commands {

// One group of keys, as the key specifications of Redis 7 describe it.
struct KeySpecification {
  int begin;  // index of the first key
  int last;   // relative to `begin`; from the end if negative
  int step;
  std::string_view flags;  // "RW access update": separated by spaces
  std::string_view notes;  // may be empty
};

std::vector<KeySpecification> key_specifications(const CommandSpec& spec);

// Separated by spaces.
std::string_view command_tips(const CommandSpec& spec);

}  // namespace holdfast::commands
