// The one table of options: a row per option feeds the loading of files, environment and command
// line, CONFIG GET and SET,
// --help and the documented example file. To add an option: a member in options.hpp and a row in
// option_table.cpp.
//
// Defaults are not in the rows: they are what a default-constructed Options holds. Pure: no I/O.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "config/options/options.hpp"

namespace holdfast::config {

// Where an option lives; the pointed-to type says how its text is read and shown. Never null.
using Field = std::variant<bool*, std::int64_t*, std::uint64_t*, std::string*,
                           std::vector<std::string>*, FileMode*, EvictionPolicy*, LogFsync*,
                           LogLevel*, KeyspaceEvents*, OutputBufferLimits*, SnapshotSchedule*,
                           Percentiles*, ClusterNodes*, Failover*, Acks*, Reads*>;

enum class Change : std::uint8_t {
  kAtStart,  // fixed while the server runs
  kAnytime,  // CONFIG SET may change it
};

struct OptionRow {
  std::string_view path;              // section.name, as in YAML
  std::string_view redis_name;        // as in CONFIG GET and on the command line
  std::string_view redis_alias = {};  // a former name that Redis still answers to; empty = none
  Change change = Change::kAtStart;
  // Inclusive; they apply to numbers (std::int64_t) and sizes in bytes (std::uint64_t).
  std::int64_t min = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::span<const std::string_view> choices = {};  // of an enum, by its value
  std::string_view help = {};                      // one sentence
  Field (*field)(Options&) = nullptr;

  std::string_view section() const { return path.substr(0, path.find('.')); }
  std::string_view name() const { return path.substr(path.find('.') + 1); }
};

// In the order of the documented example file: sections are contiguous.
std::span<const OptionRow> option_table();

// Null when there is none. Paths are matched exactly; Redis's names ignore case and include
// aliases.
const OptionRow* find_by_path(std::string_view path);
const OptionRow* find_by_redis_name(std::string_view name);

}  // namespace holdfast::config
