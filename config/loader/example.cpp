#include "config/loader/example.hpp"

#include <fmt/format.h>

#include "config/loader/environment.hpp"
#include "config/options/cluster_nodes.hpp"
#include "config/options/option_values.hpp"

namespace holdfast::config {

namespace {

// YAML's double quotes: everything that is not plain ASCII text is escaped or, above 127, passed
// through as UTF-8.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string size_with_unit(std::uint64_t bytes) {
  constexpr std::pair<unsigned, std::string_view> kUnits[] = {{30, "gb"}, {20, "mb"}, {10, "kb"}};
  for (const auto& [shift, unit] : kUnits) {
    if (bytes != 0 && bytes % (1ULL << shift) == 0)
      return fmt::format("{}{}", bytes >> shift, unit);
  }
  return fmt::format("{}", bytes);
}

std::string output_limit(std::string_view name, const OutputBufferLimit& limit) {
  return quoted(fmt::format("{} {} {} {}", name, size_with_unit(limit.hard),
                            size_with_unit(limit.soft), limit.soft_s));
}

// `text` in comment lines of at most 100 columns.
std::string comment(std::string_view text, std::string_view indent) {
  std::string out;
  while (!text.empty()) {
    const std::size_t width = 100 - indent.size() - 2;
    std::size_t end = text.size();
    if (end > width) {
      end = text.rfind(' ', width);
      if (end == std::string_view::npos) end = text.size();
    }
    out += fmt::format("{}# {}\n", indent, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

std::string format_yaml(const OptionRow& row, const Options& options) {
  const Field field = row.field(const_cast<Options&>(options));
  if (const auto* size = std::get_if<std::uint64_t*>(&field)) return size_with_unit(**size);
  if (const auto* text = std::get_if<std::string*>(&field)) return quoted(**text);
  if (std::holds_alternative<KeyspaceEvents*>(field) ||
      std::holds_alternative<SnapshotSchedule*>(field))
    return quoted(format_value(row, options));
  if (const auto* list = std::get_if<std::vector<std::string>*>(&field)) {
    std::vector<std::string> items;
    for (const std::string& item : **list) items.push_back(quoted(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  if (const auto* nodes = std::get_if<ClusterNodes*>(&field)) {
    std::vector<std::string> items;
    for (const ClusterNode& node : (*nodes)->list)
      items.push_back(quoted(format_cluster_node(node)));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  if (const auto* percentiles = std::get_if<Percentiles*>(&field))
    return fmt::format("[{}]", fmt::join((*percentiles)->values, ", "));
  if (const auto* limits = std::get_if<OutputBufferLimits*>(&field)) {
    return fmt::format("[{}, {}, {}]", output_limit("normal", (*limits)->normal),
                       output_limit("replica", (*limits)->replica),
                       output_limit("pubsub", (*limits)->pubsub));
  }
  return format_value(row, options);
}

std::string example_file() {
  const Options defaults;
  std::string text =
      "# Every option of Holdfast with its default. Start with: holdfast --config holdfast.yaml\n"
      "#\n"
      "# Later ones win: defaults, this file, the environment (HOLDFAST_<SECTION>_<OPTION>), the "
      "command line\n"
      "# (--<name in CONFIG>, or --set section.option=value). CONFIG SET changes an option while "
      "running.\n"
      "# This text is made by: holdfast --print-config-example\n";
  std::string_view section;
  for (const OptionRow& row : option_table()) {
    if (row.section() != section) {
      section = row.section();
      text += fmt::format("\n{}:\n", section);
    } else {
      text += '\n';
    }
    text += comment(row.help, "  ");
    const std::string_view verbs = row.change == Change::kAnytime ? "GET and SET" : "GET";
    text += comment(
        fmt::format("Allowed: {}. CONFIG {} {}.", describe_allowed(row), verbs, row.redis_name),
        "  ");
    text += fmt::format("  {}: {}\n", row.name(), format_yaml(row, defaults));
  }
  return text;
}

std::string help_text() {
  const Options defaults;
  std::string text =
      "Usage: holdfast [FILE] [OPTIONS]\n"
      "       holdfast check FOLDER [--repair] [OPTIONS]\n"
      "       holdfast ping [FILE] [OPTIONS]\n"
      "\n"
      "  FILE, --config FILE       configuration file (YAML); also HOLDFAST_CONFIG\n"
      "  --set SECTION.OPTION=VAL  sets one option, e.g. --set memory.maxmemory=1gb\n"
      "  --print-config-example    prints a documented configuration file with all defaults\n"
      "  --version, --help\n"
      "\n"
      "check reads the whole data folder of a server that is stopped and says what is in it and "
      "what is wrong.\n"
      "With --repair it also gives up what cannot be read, so that a server starts again: damaged "
      "files and parts of\n"
      "files are set aside in the folder as *.damaged. Exit status: 0 sound (also: a torn tail, "
      "which the next start\n"
      "drops) or repaired, 1 damaged, 2 nothing can be said: wrong usage, no such folder, in use, "
      "a missing key.\n"
      "An encrypted folder needs --encryption-key-file or HOLDFAST_ENCRYPTION_KEY. A configuration "
      "file named \"check\"\n"
      "or \"ping\" goes after --config.\n"
      "\n"
      "ping asks the server that these options would start for PING, where it listens. Exit "
      "status: "
      "0 it answers\n"
      "something, be it an error; 1 it does not, within two seconds; 2 wrong configuration.\n"
      "\n"
      "Every option can stand in the file (server: port: 6379), in the environment "
      "(HOLDFAST_SERVER_PORT), after\n"
      "--set, or on the command line by the name below. Later ones win: file, environment, command "
      "line.\n";
  std::string_view section;
  for (const OptionRow& row : option_table()) {
    if (row.section() != section) {
      section = row.section();
      text += fmt::format("\n{}\n", section);
    }
    text += fmt::format("  --{}  ({})\n", row.redis_name, row.path);
    text += fmt::format("      {}\n      allowed: {}; default: {}\n", row.help,
                        describe_allowed(row), format_yaml(row, defaults));
  }
  return text;
}

}  // namespace holdfast::config
