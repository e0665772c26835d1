// Limits that know each other: what no single option can see for itself.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "config/options/options.hpp"

namespace holdfast::config {

struct Violation {
  std::string_view path;  // the option to change, as in the option table
  std::string message;    // what is wrong and what to do
};

tl::expected<void, Violation> validate(const Options& options);

// What is allowed but may not be meant, for the log of a start. REQUIRES: `options` are valid.
std::vector<std::string> warnings(const Options& options);

// The host of an address as in server.bind: without a leading '-', and "*" as the address it means.
std::string bind_host(std::string_view address);

// True when only this machine can reach `address` (as in server.bind, a leading '-' is passed
// over).
bool is_loopback(std::string_view address);

}  // namespace holdfast::config
