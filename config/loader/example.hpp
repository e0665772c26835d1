// Texts made from the option table: the documented example file, --help, and values as YAML.
#pragma once

#include <string>

#include "config/options/option_table.hpp"

namespace holdfast::config {

// The value as it is written after "name: " in the file: sizes with units, lists as [a, b], text in
// quotes.
std::string format_yaml(const OptionRow& row, const Options& options);

// Every option with its default, what it means and what is allowed. docs/holdfast.example.yaml is
// this text.
std::string example_file();

std::string help_text();

}  // namespace holdfast::config
