#include "config/options/config_access.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "config/options/option_values.hpp"
#include "config/options/validate.hpp"

namespace holdfast::config {

namespace {

// clang-format off
// Sorted. Values are Redis 7.0's defaults, except where Holdfast's behaviour is another one.
constexpr FixedAnswer kFixedAnswers[] = {
    {"activedefrag", "no"},
    {"activerehashing", "yes"},
    {"aclfile", ""},
    {"busy-reply-threshold", "5000"},
    {"cluster-enabled", "no"},
    {"daemonize", "no"},
    {"dbfilename", ""},
    {"hz", "10"},
    {"io-threads", "1"},
    {"latency-monitor-threshold", "0"},
    {"lazyfree-lazy-eviction", "yes"},
    {"lazyfree-lazy-expire", "yes"},
    {"lazyfree-lazy-server-del", "yes"},
    {"lazyfree-lazy-user-del", "yes"},
    {"lazyfree-lazy-user-flush", "yes"},
    {"lfu-decay-time", "1"},
    {"lfu-log-factor", "10"},
    {"lua-time-limit", "5000"},
    {"masterauth", ""},
    {"masteruser", ""},
    {"maxmemory-clients", "0"},
    {"min-replicas-max-lag", "10"},
    {"min-replicas-to-write", "0"},
    {"min-slaves-max-lag", "10"},
    {"min-slaves-to-write", "0"},
    {"replica-announce-ip", ""},
    {"replica-announce-port", "0"},
    {"replica-announced", "yes"},
    {"replica-priority", "100"},
    {"replica-read-only", "yes"},
    {"replica-serve-stale-data", "no"},
    {"replicaof", ""},
    {"slave-announce-ip", ""},
    {"slave-announce-port", "0"},
    {"slave-priority", "100"},
    {"slave-read-only", "yes"},
    {"slave-serve-stale-data", "no"},
    {"slaveof", ""},
    {"stop-writes-on-bgsave-error", "yes"},
    {"supervised", "no"},
    {"syslog-enabled", "no"},
    {"tls-port", "0"},
};
// clang-format on

// A name that CONFIG knows, from either table.
struct Parameter {
  std::string_view name;
  const OptionRow* row = nullptr;
  const FixedAnswer* fixed = nullptr;

  std::string value(const Options& options) const {
    return row != nullptr ? format_value(*row, options) : std::string(fixed->value);
  }
};

template <typename Visit>
void for_each_parameter(Visit visit) {
  for (const OptionRow& row : option_table()) {
    visit(Parameter{.name = row.redis_name, .row = &row});
    if (!row.redis_alias.empty()) visit(Parameter{.name = row.redis_alias, .row = &row});
  }
  for (const FixedAnswer& fixed : kFixedAnswers)
    visit(Parameter{.name = fixed.redis_name, .fixed = &fixed});
}

Parameter find_parameter(std::string_view name) {
  Parameter found;
  for_each_parameter([&](const Parameter& parameter) {
    if (equals_ignoring_case(parameter.name, name)) found = parameter;
  });
  return found;
}

tl::unexpected<Error> set_failed(std::string_view name, std::string_view why) {
  return fail(set_error(name, why));
}

}  // namespace

std::string set_error(std::string_view name, std::string_view why) {
  return fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') - {}", name, why);
}

std::span<const FixedAnswer> fixed_answers() {
  return kFixedAnswers;
}

const FixedAnswer* find_fixed_answer(std::string_view name) {
  return find_parameter(name).fixed;
}

std::vector<NameAndValue> config_get(const Options& options,
                                     std::span<const std::string_view> patterns) {
  std::vector<NameAndValue> answers;
  const auto add = [&](std::string_view name, const Parameter& parameter) {
    const bool known = std::any_of(answers.begin(), answers.end(), [&](const NameAndValue& answer) {
      return equals_ignoring_case(answer.name, name);
    });
    if (!known) answers.push_back({std::string(name), parameter.value(options)});
  };
  for (const std::string_view pattern : patterns) {
    // Redis looks for these three only: a backslash alone does not make a pattern.
    if (pattern.find_first_of("*?[") == std::string_view::npos) {
      const Parameter parameter = find_parameter(pattern);
      if (!parameter.name.empty()) add(pattern, parameter);
      continue;
    }
    for_each_parameter([&](const Parameter& parameter) {
      if (glob_match(pattern, parameter.name, true)) add(parameter.name, parameter);
    });
  }
  return answers;
}

Result<std::vector<const OptionRow*>> config_set(
    Options& options, std::span<const std::pair<std::string_view, std::string_view>> assignments) {
  // As in Redis all names are looked at before any value.
  std::vector<Parameter> parameters;
  for (const auto& [name, value] : assignments) {
    const Parameter parameter = find_parameter(name);
    if (parameter.name.empty()) {
      return fail(
          fmt::format("ERR Unknown option or number of arguments for CONFIG SET - '{}'", name));
    }
    if (parameter.row != nullptr && parameter.row->change == Change::kAtStart) {
      return set_failed(parameter.name, "can't set immutable config");
    }
    for (const Parameter& other : parameters) {
      if (other.name == parameter.name) return set_failed(name, "duplicate parameter");
    }
    parameters.push_back(parameter);
  }
  Options changed = options;
  std::string_view culprit;
  std::vector<const OptionRow*> rows;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i];
    const std::string_view value = assignments[i].second;
    if (parameter.fixed != nullptr) {
      if (equals_ignoring_case(parameter.fixed->value, value)) continue;
      return set_failed(
          parameter.name,
          fmt::format("Holdfast has no such setting, it is always '{}'", parameter.fixed->value));
    }
    if (const auto set = parse_and_set(*parameter.row, changed, value); !set) {
      return set_failed(parameter.name, set.error().message);
    }
    rows.push_back(parameter.row);
    // The violation may name an option that was not touched; the reply names what broke its peace.
    if (validate(changed)) {
      culprit = {};
    } else if (culprit.empty()) {
      culprit = parameter.name;
    }
  }
  if (const auto valid = validate(changed); !valid)
    return set_failed(culprit, valid.error().message);
  options = std::move(changed);
  return rows;
}

}  // namespace holdfast::config
