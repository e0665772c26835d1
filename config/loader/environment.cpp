#include "config/loader/environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "base/text.hpp"

namespace holdfast::config {

namespace {

constexpr std::string_view kPrefix = "HOLDFAST_";

// Cuts the first of `endings` off that is there.
bool cut_ending(std::string_view& name, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (!name.ends_with(ending)) continue;
    name.remove_suffix(ending.size());
    return true;
  }
  return false;
}

// ..._PORT_<digits>_<protocol>, and what is known of that one port.
bool is_exposed_port(std::string_view name) {
  cut_ending(name, {"_ADDR", "_PORT", "_PROTO"});
  if (!cut_ending(name, {"_TCP", "_UDP", "_SCTP"})) return false;
  const std::size_t digits = name.find_last_not_of("0123456789") + 1;
  return digits < name.size() && name.substr(0, digits).ends_with("_PORT_");
}

// For a service or a linked container whose name begins with holdfast. Exactly what they set:
// options that are misspelt must not look like it.
bool set_by_containers(std::string_view name, std::string_view value) {
  constexpr std::string_view kServicePort = "_SERVICE_PORT";
  if (name.ends_with("_NAME") && value.starts_with('/')) return true;  // docker --link
  if (name.find("_ENV_") != std::string_view::npos) return true;       // docker --link
  if (name.ends_with("_PORT") && value.find("://") != std::string_view::npos) return true;
  if (name.ends_with("_SERVICE_HOST") || name.ends_with(kServicePort)) return true;
  const std::size_t port_name = name.find("_SERVICE_PORT_");
  if (port_name != std::string_view::npos && port_name + kServicePort.size() + 1 < name.size())
    return true;
  return is_exposed_port(name);
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
