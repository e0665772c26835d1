// What CONFIG GET and CONFIG SET do, without the commands around them: names, patterns, Redis's
// error texts.
//
// Besides the option table there are fixed answers: parameters of Redis that have no counterpart
// here but that clients, tools and exporters read. Setting one of them to what it already is
// succeeds, anything else is refused and says so.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "config/options/option_table.hpp"

namespace holdfast::config {

struct FixedAnswer {
  std::string_view redis_name;
  std::string_view value;
};
std::span<const FixedAnswer> fixed_answers();
// Ignores case; null when there is none.
const FixedAnswer* find_fixed_answer(std::string_view name);

struct NameAndValue {
  std::string name;
  std::string value;
};

// All parameters that match one of the patterns, each once, in the order of the patterns and then
// of the tables. As in Redis, a pattern without wildcards is answered in the spelling of the
// question.
std::vector<NameAndValue> config_get(const Options& options,
                                     std::span<const std::string_view> patterns);

// The whole error reply for an option that cannot be set.
std::string set_error(std::string_view name, std::string_view why);

// All or nothing: on an error `options` is unchanged and the message is the whole error reply ("ERR
// ..."). Returns the rows that were named (fixed answers have none), for the caller to put into
// effect.
Result<std::vector<const OptionRow*>> config_set(
    Options& options, std::span<const std::pair<std::string_view, std::string_view>> assignments);

}  // namespace holdfast::config
