// The way from what a user wrote to Options: defaults, then a YAML file, then the environment, then
// the command line; later ones win. Unknown names and wrong values are errors that say where, what
// and what is allowed; nothing is guessed.
//
//   holdfast [FILE] [--config FILE] [--<redis name> VALUE] [--set section.option=VALUE] ...
//   holdfast check [FOLDER] [--repair] [the same options]
//   holdfast ping [FILE] [the same options]
//   HOLDFAST_<SECTION>_<OPTION>=VALUE, HOLDFAST_CONFIG=FILE
//
// Runs once, before any thread starts. yaml-cpp is wrapped by yaml_file.cpp, CLI11 by
// command_line.cpp; nothing is thrown.
#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "config/options/options.hpp"

namespace holdfast::config {

// `holdfast check`: look at the data folder `server.dir` instead of starting a server.
struct CheckWish {
  bool repair = false;
};

struct LoadOutcome {
  Options options;
  std::string config_path;  // absolute; empty = no file
  // Set for --help and the like: print it on standard output and exit with 0 instead of starting a
  // server.
  std::optional<std::string> exit_text;
  std::optional<CheckWish> check;
  bool is_ping = false;  // `holdfast ping`: ask the server of these options instead of starting it
};

// `argv` and `environment` as main gets them (`environment` ends with a null pointer; it may be
// null itself). On an error main prints the message on standard error and exits with 2.
Result<LoadOutcome> load(int argc, const char* const* argv, const char* const* environment);

// A password in a file of its own usually ends with a newline, which is not part of it.
std::string strip_newline(std::string text);

}  // namespace holdfast::config
