// The command line. Every option can be given by the name that Redis has for it (--maxmemory 1gb),
// so that a command line written for redis-server works as far as the options exist, or by its path
// (--set memory.maxmemory=1gb). Redis's parameters with a fixed answer are taken when they say what
// is so anyway (--appendonly no). Wraps CLI11.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/loader/setting.hpp"

namespace holdfast::config {

struct CommandLine {
  enum class Wish : std::uint8_t { kRun, kHelp, kVersion, kExampleFile, kCheck, kPing };
  Wish wish = Wish::kRun;
  std::string config_file;
  std::string folder;             // kCheck: the data folder; empty for the one of the options
  bool repair = false;            // kCheck
  std::vector<Setting> settings;  // in the order of the line
};

// `arguments` without the program's name.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace holdfast::config
