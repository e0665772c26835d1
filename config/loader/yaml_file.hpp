// Reads the configuration file. The one place that knows yaml-cpp, whose exceptions end here.
//
//   file    := section*            a mapping of mappings
//   section := name: option*
//   option  := name: value         value := scalar | list of scalars
//
// cluster.nodes may also be a list of mappings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/options/option_table.hpp"

namespace holdfast::config {

// Lines and columns count from 0.
struct YamlOption {
  const OptionRow* row = nullptr;
  std::string text;  // lists are joined by spaces
  int line = 0;
  int column = 0;
  int value_line = 0;
  int value_column = 0;
};

struct YamlSection {
  std::string name;
  int line = 0;
};

struct YamlFile {
  std::vector<YamlSection> sections;
  std::vector<YamlOption> options;
};

// `file_name` is for the error texts: "holdfast.yaml:14: memory.maxmemroy: unknown option; did you
// mean 'maxmemory'?".
Result<YamlFile> parse_yaml(std::string_view text, std::string_view file_name);

// A size no configuration reaches; longer files are refused unread.
inline constexpr std::size_t kConfigFileBytesMax = 1 << 20;
// The whole file; the error names it and the system's reason.
Result<std::string> read_text_file(const std::string& path);

}  // namespace holdfast::config
