#include "config/loader/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "config/options/config_access.hpp"

namespace holdfast::config {

namespace {

std::vector<std::string> known_flags() {
  std::vector<std::string> flags{
      "--config", "--set", "--help", "--version", "--print-config-example", "--repair"};
  for (const OptionRow& row : option_table()) {
    flags.push_back("--" + std::string(row.redis_name));
    if (!row.redis_alias.empty()) flags.push_back("--" + std::string(row.redis_alias));
  }
  return flags;
}

// `--requirepass=` is an empty value, which the parser wants as a word of its own.
std::vector<std::string> separate_empty_values(const std::vector<std::string>& arguments) {
  std::vector<std::string> separated;
  for (const std::string& argument : arguments) {
    const bool empty_value =
        argument.starts_with("--") && argument.find('=') == argument.size() - 1;
    separated.push_back(argument.substr(0, argument.size() - (empty_value ? 1 : 0)));
    if (empty_value) separated.emplace_back();
  }
  return separated;
}

// redis-server takes `--bind 127.0.0.1 -::1`: all words up to the next long option are one value.
std::vector<std::string> join_addresses(const std::vector<std::string>& given) {
  const std::vector<std::string> arguments = separate_empty_values(given);
  std::vector<std::string> joined;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    joined.push_back(arguments[i]);
    if (arguments[i] != "--bind" || i + 1 >= arguments.size()) continue;
    std::string addresses = arguments[++i];
    while (i + 1 < arguments.size() && !arguments[i + 1].starts_with("--"))
      addresses += " " + arguments[++i];
    if (addresses.empty()) {
      joined.emplace_back();
    } else {  // in one word with the flag, or the parser would take "-::1" for a flag
      joined.back() += "=" + addresses;
    }
  }
  return joined;
}

Result<Setting> read_set(const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos) {
    return fail(fmt::format("--set {}: write --set section.option=value", assignment));
  }
  const std::string path = assignment.substr(0, equals);
  const OptionRow* row = find_by_path(path);
  if (row == nullptr) {
    std::vector<std::string> known;
    for (const OptionRow& any : option_table()) known.emplace_back(any.path);
    return fail(fmt::format("--set {}: {}", path, unknown_name("option", path, known)));
  }
  return Setting{row, assignment.substr(equals + 1), "--set " + path};
}

Result<void> check_fixed(const FixedAnswer& fixed, const std::string& value) {
  if (equals_ignoring_case(fixed.value, value)) return {};
  return fail(
      fmt::format("--{}: '{}' is not allowed; Holdfast has no such setting, it is always '{}'",
                  fixed.redis_name, value, fixed.value));
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  std::vector<std::string> words = join_addresses(arguments);
  const bool checks = !words.empty() && words.front() == "check";
  const bool pings = !words.empty() && words.front() == "ping";
  if (checks || pings) words.erase(words.begin());
  if (!checks && !words.empty() && !words.front().empty() && !words.front().starts_with('-')) {
    line.config_file = words.front();
    words.erase(words.begin());
  }

  CLI::App app;
  app.set_help_flag();
  const CLI::Option* help = app.add_flag("-h,--help");
  const CLI::Option* version = app.add_flag("-v,--version");
  const CLI::Option* example = app.add_flag("--print-config-example");
  const auto add = [&](const std::string& names) {
    return app.add_option(names)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  const CLI::Option* repair = nullptr;
  const CLI::Option* folder = nullptr;
  if (checks) {
    repair = app.add_flag("--repair");
    folder = app.add_option("folder")->expected(1);
  }
  const CLI::Option* config = add("-c,--config");
  const CLI::Option* set = add("--set");
  std::map<const CLI::Option*, const OptionRow*> rows;
  std::map<const CLI::Option*, const FixedAnswer*> fixed;
  for (const OptionRow& row : option_table()) {
    rows[add("--" + std::string(row.redis_name))] = &row;
    if (!row.redis_alias.empty()) rows[add("--" + std::string(row.redis_alias))] = &row;
  }
  for (const FixedAnswer& answer : fixed_answers())
    fixed[add("--" + std::string(answer.redis_name))] = &answer;

  try {
    std::reverse(words.begin(), words.end());  // CLI11 takes words from the back
    app.parse(words);
  } catch (const CLI::ExtrasError&) {
    const std::string extra = app.remaining().empty() ? std::string() : app.remaining().front();
    const std::string flag = extra.substr(0, extra.find('='));
    if (checks && !flag.starts_with('-')) {
      return fail(fmt::format("command line: check looks at one folder; '{}' is one more", extra));
    }
    if (!flag.starts_with('-')) {
      return fail(
          fmt::format("command line: '{}' is not expected here; a configuration file goes first, "
                      "or after --config",
                      extra));
    }
    return fail(fmt::format("command line: {}: {}; see --help", flag,
                            unknown_name("option", flag, known_flags())));
  } catch (const CLI::ArgumentMismatch& wrong) {
    const std::string text = wrong.what();
    return fail(fmt::format("command line: {}: a value is missing; see --help",
                            text.substr(0, text.find(':'))));
  } catch (const CLI::ParseError& wrong) {
    return fail(fmt::format("command line: {}; see --help", wrong.what()));
  }

  using Wish = CommandLine::Wish;
  if (pings) line.wish = Wish::kPing;
  if (checks) {
    line.wish = Wish::kCheck;
    line.repair = repair->count() > 0;
    if (folder->count() > 0) line.folder = folder->results().front();
  }
  if (help->count() > 0) line.wish = Wish::kHelp;
  if (version->count() > 0) line.wish = Wish::kVersion;
  if (example->count() > 0) line.wish = Wish::kExampleFile;
  if (config->count() > 0) {
    if (!line.config_file.empty() || config->count() > 1) {
      return fail("command line: more than one configuration file is given");
    }
    line.config_file = config->results().front();
  }

  std::map<const CLI::Option*, std::size_t> used;
  for (const CLI::Option* option : app.parse_order()) {
    const auto row = rows.find(option);
    const auto answer = fixed.find(option);
    if (option != set && row == rows.end() && answer == fixed.end()) continue;
    const std::string value = option->results().at(used[option]++);
    if (option == set) {
      auto setting = read_set(value);
      if (!setting) return tl::unexpected(setting.error());
      line.settings.push_back(std::move(*setting));
    } else if (answer != fixed.end()) {
      if (auto same = check_fixed(*answer->second, value); !same)
        return tl::unexpected(same.error());
    } else {
      line.settings.push_back({row->second, value, option->get_name()});
    }
  }
  // Repeated --bind adds up.
  Setting* bind = nullptr;
  for (Setting& setting : line.settings) {
    if (setting.place != "--bind") continue;
    if (bind == nullptr) {
      bind = &setting;
    } else {
      bind->text += " " + setting.text;
      setting.row = nullptr;
    }
  }
  std::erase_if(line.settings, [](const Setting& setting) { return setting.row == nullptr; });
  return line;
}

}  // namespace holdfast::config
