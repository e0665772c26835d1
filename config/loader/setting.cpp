#include "config/loader/setting.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/text.hpp"
#include "config/options/option_values.hpp"

namespace holdfast::config {

namespace {

// YAML's other words for yes and no, which CONFIG SET does not take.
std::string_view plain_bool(std::string_view text) {
  for (const std::string_view yes : {"true", "on"}) {
    if (equals_ignoring_case(text, yes)) return "yes";
  }
  for (const std::string_view no : {"false", "off"}) {
    if (equals_ignoring_case(text, no)) return "no";
  }
  return text;
}

// Levenshtein's distance, ignoring case.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (ascii_lower(a[i]) == ascii_lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Result<void> apply(const Setting& setting, Options& options, Places& places) {
  std::string_view text = setting.text;
  if (std::holds_alternative<bool*>(setting.row->field(options))) text = plain_bool(text);
  if (const auto set = parse_and_set(*setting.row, options, text); !set) {
    // A list is long: what is wrong with which of its members is worth more than the whole of it.
    if (std::holds_alternative<ClusterNodes*>(setting.row->field(options))) {
      return fail(fmt::format("{}: {}; allowed: {}", setting.place, set.error().message,
                              describe_allowed(*setting.row)));
    }
    return fail(fmt::format("{}: '{}' is not allowed; allowed: {}", setting.place, setting.text,
                            describe_allowed(*setting.row)));
  }
  places[setting.row->path] = setting.place;
  return {};
}

std::string unknown_name(std::string_view kind, std::string_view name,
                         const std::vector<std::string>& known) {
  const std::string* nearest = nullptr;
  std::size_t nearest_distance = std::max<std::size_t>(2, name.size() / 4) + 1;
  for (const std::string& candidate : known) {
    // A name cut short (timeout for timeout_s) is nearer than it looks.
    const bool cut = name.size() >= 3 && candidate.starts_with(name);
    const std::size_t d = cut                 ? 1
                          : name.size() > 100 ? nearest_distance
                                              : distance(name, candidate);
    if (d < nearest_distance) {
      nearest_distance = d;
      nearest = &candidate;
    }
  }
  if (nearest == nullptr) return fmt::format("unknown {}", kind);
  return fmt::format("unknown {}; did you mean '{}'?", kind, *nearest);
}

}  // namespace holdfast::config
