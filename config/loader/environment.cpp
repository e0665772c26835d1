#include "config/loader/environment.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace holdfast::config {

namespace {

constexpr std::string_view kPrefix = "HOLDFAST_";

// For a service or a linked container whose name begins with holdfast.
bool set_by_containers(std::string_view name, std::string_view value) {
  if (name.ends_with("_NAME") && value.starts_with('/')) return true;  // docker --link
  if (name.find("_ENV_") != std::string_view::npos) return true;       // docker --link
  if (name.ends_with("_SERVICE_HOST")) return true;
  if (name.find("_SERVICE_PORT") != std::string_view::npos) return true;
  if (name.ends_with("_PORT") && value.find("://") != std::string_view::npos) return true;
  return name.find("_TCP") != std::string_view::npos || name.find("_UDP") != std::string_view::npos;
}

// What the name, which we do not know, may have meant.
std::string unknown_variable(std::string_view name, const std::vector<std::string>& known) {
  const std::string_view rest = name.substr(kPrefix.size());
  for (const OptionRow& row : option_table()) {
    for (const std::string_view meant : {row.redis_name, row.redis_alias, row.name()}) {
      std::string upper = to_upper(meant);
      std::replace(upper.begin(), upper.end(), '-', '_');
      if (!upper.empty() && upper == rest)
        return fmt::format("unknown option; did you mean '{}'?", environment_name(row));
    }
  }
  std::string text = unknown_name("option", name, known);
  if (text.find('?') == std::string::npos) {
    text += fmt::format(
        "; allowed: {0}<SECTION>_<OPTION> for every option of --help, {0}CONFIG, {1}, {2}", kPrefix,
        kEncryptionKeyVariable, kClusterSecretVariable);
  }
  return text;
}

}  // namespace

std::string environment_name(const OptionRow& row) {
  std::string name = std::string(kPrefix) + to_upper(row.path);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

Result<Environment> read_environment(const std::vector<std::string_view>& variables) {
  std::vector<std::string> known{"HOLDFAST_CONFIG", std::string(kEncryptionKeyVariable),
                                 std::string(kClusterSecretVariable)};
  constexpr std::size_t kNotOptions = 3;
  for (const OptionRow& row : option_table()) known.push_back(environment_name(row));

  Environment environment;
  for (const std::string_view variable : variables) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string_view::npos || !variable.starts_with(kPrefix)) continue;
    const std::string_view name = variable.substr(0, equals);
    const std::string_view value = variable.substr(equals + 1);
    if (name == "HOLDFAST_CONFIG") {
      environment.config_file = value;
      continue;
    }
    if (name == kEncryptionKeyVariable) {
      environment.encryption_key = value;
      continue;
    }
    if (name == kClusterSecretVariable) {
      environment.cluster_secret = value;
      continue;
    }
    const auto found = std::find(known.begin(), known.end(), name);
    const auto position = static_cast<std::size_t>(found - known.begin());
    const OptionRow* row = found == known.end() || position < kNotOptions
                               ? nullptr
                               : &option_table()[position - kNotOptions];
    if (set_by_containers(name.substr(kPrefix.size() - 1), value) &&
        (row == nullptr || value.find("://") != std::string_view::npos)) {
      continue;
    }
    if (row != nullptr) {
      environment.settings.push_back(
          {row, std::string(value), fmt::format("environment {}", name)});
      continue;
    }
    return fail(fmt::format("environment {}: {}", name, unknown_variable(name, known)));
  }
  return environment;
}

}  // namespace holdfast::config
