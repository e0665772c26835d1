#include "config/loader/loader.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

#include "config/loader/command_line.hpp"
#include "config/loader/environment.hpp"
#include "config/loader/example.hpp"
#include "config/loader/setting.hpp"
#include "config/loader/yaml_file.hpp"
#include "config/options/validate.hpp"

namespace holdfast::config {

namespace {

Result<std::vector<Setting>> read_config_file(const std::string& path) {
  const auto text = read_text_file(path);
  if (!text) return tl::unexpected(text.error());
  auto file = parse_yaml(*text, path);
  if (!file) return tl::unexpected(file.error());
  std::vector<Setting> settings;
  for (YamlOption& option : file->options) {
    settings.push_back({option.row, std::move(option.text),
                        fmt::format("{}:{}: {}", path, option.line + 1, option.row->path)});
  }
  return settings;
}

Result<void> apply_password_file(Options& options, const Places& places) {
  auto& security = options.security;
  if (security.requirepass_file.empty()) return {};
  const std::string& place = places.at("security.requirepass_file");
  if (!security.requirepass.empty()) {
    return fail(fmt::format("{}: security.requirepass is set too ({}); give one of them", place,
                            places.at("security.requirepass")));
  }
  auto password = read_text_file(security.requirepass_file);
  if (!password) return fail(fmt::format("{}: {}", place, password.error().message));
  security.requirepass = strip_newline(std::move(*password));
  if (security.requirepass.empty()) {
    return fail(fmt::format("{}: {}: the file is empty, so there is no password", place,
                            security.requirepass_file));
  }
  return {};
}

Result<void> apply_encryption_key(Options& options, const Places& places,
                                  const std::string& from_environment) {
  auto& persistence = options.persistence;
  if (persistence.encryption_key_file.empty()) {
    persistence.encryption_key = from_environment;
    return {};
  }
  const std::string& place = places.at("persistence.encryption_key_file");
  if (!from_environment.empty()) {
    return fail(fmt::format("{}: the environment variable {} is set too; give one of them", place,
                            kEncryptionKeyVariable));
  }
  auto keys = read_text_file(persistence.encryption_key_file);
  if (!keys) return fail(fmt::format("{}: {}", place, keys.error().message));
  persistence.encryption_key = std::move(*keys);
  if (persistence.encryption_key.find_first_not_of(" \t\r\n") == std::string::npos) {
    return fail(fmt::format("{}: {}: the file is empty, so there is no key", place,
                            persistence.encryption_key_file));
  }
  return {};
}

Result<void> apply_cluster_secret(Options& options, const Places& places,
                                  const std::string& from_environment) {
  auto& cluster = options.cluster;
  if (cluster.secret_file.empty()) {
    cluster.secret = from_environment;
    return {};
  }
  const std::string& place = places.at("cluster.secret_file");
  if (!from_environment.empty()) {
    return fail(fmt::format("{}: the environment variable {} is set too; give one of them", place,
                            kClusterSecretVariable));
  }
  auto secret = read_text_file(cluster.secret_file);
  if (!secret) return fail(fmt::format("{}: {}", place, secret.error().message));
  cluster.secret = strip_newline(std::move(*secret));
  if (cluster.secret.empty()) {
    return fail(fmt::format("{}: {}: the file is empty, so there is no secret", place,
                            cluster.secret_file));
  }
  return {};
}

}  // namespace

std::string strip_newline(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

Result<LoadOutcome> load(int argc, const char* const* argv, const char* const* environment) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) arguments.emplace_back(argv[i]);
  std::vector<std::string_view> variables;
  for (; environment != nullptr && *environment != nullptr; ++environment)
    variables.emplace_back(*environment);

  auto line = parse_command_line(arguments);
  if (!line) return tl::unexpected(line.error());
  LoadOutcome outcome;
  switch (line->wish) {
    case CommandLine::Wish::kHelp:
      outcome.exit_text = help_text();
      return outcome;
    case CommandLine::Wish::kVersion:
      outcome.exit_text = "holdfast " HOLDFAST_VERSION "\n";
      return outcome;
    case CommandLine::Wish::kExampleFile:
      outcome.exit_text = example_file();
      return outcome;
    case CommandLine::Wish::kCheck:
      outcome.check = CheckWish{line->repair};
      break;
    case CommandLine::Wish::kPing:
      outcome.is_ping = true;
      break;
    case CommandLine::Wish::kRun:
      break;
  }
  auto from_environment = read_environment(variables);
  if (!from_environment) return tl::unexpected(from_environment.error());

  std::vector<Setting> settings;
  const std::string& file =
      line->config_file.empty() ? from_environment->config_file : line->config_file;
  if (!file.empty()) {
    auto from_file = read_config_file(file);
    if (!from_file) return tl::unexpected(from_file.error());
    settings = std::move(*from_file);
    std::error_code
        ignored;  // only a vanished working folder fails, and then the path is as good as it gets
    const auto absolute = std::filesystem::absolute(file, ignored);
    outcome.config_path = ignored ? file : absolute.string();
  }
  for (auto* more : {&from_environment->settings, &line->settings}) {
    settings.insert(settings.end(), more->begin(), more->end());
  }

  Places places;
  for (const Setting& setting : settings) {
    if (auto done = apply(setting, outcome.options, places); !done)
      return tl::unexpected(done.error());
  }
  if (auto done = apply_encryption_key(outcome.options, places, from_environment->encryption_key);
      !done)
    return tl::unexpected(done.error());
  if (outcome.check.has_value()) {  // it needs nothing else of what a server needs
    if (!line->folder.empty()) {
      outcome.options.server.dir = line->folder;
    } else if (!places.contains("server.dir")) {
      return fail("check: which data folder? Give it, or the configuration that names it");
    }
    return outcome;
  }
  if (auto done = apply_password_file(outcome.options, places); !done)
    return tl::unexpected(done.error());
  if (auto done = apply_cluster_secret(outcome.options, places, from_environment->cluster_secret);
      !done)
    return tl::unexpected(done.error());
  if (const auto valid = validate(outcome.options); !valid) {
    const auto place = places.find(valid.error().path);
    return fail(fmt::format("{}: {}",
                            place == places.end() ? std::string(valid.error().path) : place->second,
                            valid.error().message));
  }
  return outcome;
}

}  // namespace holdfast::config
