// A setting is one value for one option, with the place where it was written. All sources are
// reduced to settings, and all complaints about values are made here.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "config/options/option_table.hpp"

namespace holdfast::config {

struct Setting {
  const OptionRow* row = nullptr;
  std::string text;
  std::string place;  // "holdfast.yaml:14: memory.maxmemory", "environment HOLDFAST_SERVER_PORT",
                      // "--set server.port"
};

// By path of the option: the place of the setting that won.
using Places = std::map<std::string_view, std::string>;

Result<void> apply(const Setting& setting, Options& options, Places& places);

// The error text for a name that is not in the table, with the nearest one that is: "unknown
// option; did you mean 'port'?". Plain "unknown option" when nothing is near.
std::string unknown_name(std::string_view kind, std::string_view name,
                         const std::vector<std::string>& known);

}  // namespace holdfast::config
