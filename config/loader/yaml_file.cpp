#include "config/loader/yaml_file.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "base/text.hpp"
#include "config/loader/setting.hpp"
#include "config/options/cluster_nodes.hpp"

namespace holdfast::config {

namespace {

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const OptionRow& row : option_table()) {
    if (names.empty() || names.back() != row.section()) names.emplace_back(row.section());
  }
  return names;
}

std::vector<std::string> option_names(std::string_view section) {
  std::vector<std::string> names;
  for (const OptionRow& row : option_table()) {
    if (row.section() == section) names.emplace_back(row.name());
  }
  return names;
}

class Reader {
 public:
  explicit Reader(std::string_view file_name) : file_name_(file_name) {}

  Result<YamlFile> read(const YAML::Node& root) {
    if (root.IsNull()) return std::move(file_);
    if (!root.IsMap())
      return complain(0, "a configuration file is a mapping of sections, such as 'server:'");
    for (const auto& pair : root) {
      if (auto done = read_section(pair.first, pair.second); !done)
        return tl::unexpected(done.error());
    }
    return std::move(file_);
  }

 private:
  tl::unexpected<Error> complain(int line, std::string_view what) const {
    return fail(fmt::format("{}:{}: {}", file_name_, line + 1, what));
  }

  Result<void> read_section(const YAML::Node& key, const YAML::Node& options) {
    const int line = key.Mark().line;
    if (!key.IsScalar()) return complain(line, "the name of a section must be plain text");
    const std::string& name = key.Scalar();
    const auto known = section_names();
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return complain(line, fmt::format("{}: {}", name, unknown_name("section", name, known)));
    }
    for (const YamlSection& other : file_.sections) {
      if (other.name == name) {
        return complain(line,
                        fmt::format("{}: given twice, first in line {}", name, other.line + 1));
      }
    }
    file_.sections.push_back({name, line});
    if (options.IsNull()) return {};
    if (options.IsScalar() && name == "persistence") return read_switch(line, options);
    if (!options.IsMap()) {
      return complain(
          line, fmt::format("{}: a section holds options, one a line, as 'name: value'", name));
    }
    for (const auto& pair : options) {
      if (auto done = read_option(name, pair.first, pair.second); !done) return done;
    }
    return {};
  }

  // "persistence: off" instead of a section with "enabled: no".
  Result<void> read_switch(int line, const YAML::Node& value) {
    bool on = false;
    if (!YAML::convert<bool>::decode(value, on))
      return complain(line, "persistence: must be on, off, or a section of options");
    YamlOption option;
    option.row = find_by_path("persistence.enabled");
    option.text = on ? "yes" : "no";
    option.line = option.value_line = line;
    option.column = 0;
    option.value_column = value.Mark().column;
    file_.options.push_back(std::move(option));
    return {};
  }

  Result<void> read_option(const std::string& section, const YAML::Node& key,
                           const YAML::Node& value) {
    YamlOption option;
    option.line = key.Mark().line;
    option.column = key.Mark().column;
    if (!key.IsScalar())
      return complain(option.line, section + ": the name of an option must be plain text");
    const std::string path = section + "." + key.Scalar();
    option.row = find_by_path(path);
    if (option.row == nullptr) {
      return complain(
          option.line,
          fmt::format("{}: {}", path, unknown_name("option", key.Scalar(), option_names(section))));
    }
    for (const YamlOption& other : file_.options) {
      if (other.row == option.row) {
        return complain(option.line,
                        fmt::format("{}: given twice, first in line {}", path, other.line + 1));
      }
    }
    option.value_line = value.Mark().line;
    option.value_column = value.Mark().column;
    if (auto done = read_value(path, value, option); !done) return done;
    file_.options.push_back(std::move(option));
    return {};
  }

  Result<void> read_value(const std::string& path, const YAML::Node& value,
                          YamlOption& option) const {
    if (value.IsNull())
      return complain(option.line, path + ": has no value; write \"\" for an empty one");
    if (value.IsScalar()) {
      option.text = value.Scalar();
      return {};
    }
    Options any;
    const Field field = option.row->field(any);
    const bool takes_list = std::holds_alternative<std::vector<std::string>*>(field) ||
                            std::holds_alternative<OutputBufferLimits*>(field) ||
                            std::holds_alternative<Percentiles*>(field);
    if (std::holds_alternative<ClusterNodes*>(field)) return read_nodes(path, value, option);
    if (!takes_list) {
      return complain(option.line, fmt::format("{}: must be one value, not a {}", path,
                                               value.IsSequence() ? "list" : "mapping"));
    }
    if (!value.IsSequence()) return complain(option.line, path + ": must be a list, not a mapping");
    for (const auto& item : value) {
      if (!item.IsScalar()) return complain(option.line, path + ": must be a list of plain values");
      if (!option.text.empty()) option.text += ' ';
      option.text += item.Scalar();
    }
    return {};
  }

  // A list of nodes, each as a mapping or in one word; an entry of the list is brought into one
  // word.
  Result<void> read_nodes(const std::string& path, const YAML::Node& list,
                          YamlOption& option) const {
    if (!list.IsSequence()) return complain(option.line, path + ": must be a list of nodes");
    for (const auto& item : list) {
      std::string word;
      if (item.IsScalar()) {
        word = item.Scalar();
      } else {
        auto node = read_node(path, item);
        if (!node) return tl::unexpected(node.error());
        word = format_cluster_node(*node);
      }
      option.text += (option.text.empty() ? "" : ",") + word;
    }
    return {};
  }

  Result<ClusterNode> read_node(const std::string& path, const YAML::Node& mapping) const {
    constexpr std::string_view kForm = "{name, host, port, peer_port, zone}";
    const int line = mapping.Mark().line;
    if (!mapping.IsMap()) return complain(line, fmt::format("{}: a node is {}", path, kForm));
    std::map<std::string, std::string> given;
    for (const auto& pair : mapping) {
      const int at = pair.first.Mark().line;
      if (!pair.first.IsScalar() || !pair.second.IsScalar())
        return complain(at, fmt::format("{}: a node is {} with plain values", path, kForm));
      const std::string& key = pair.first.Scalar();
      const std::vector<std::string> known{"name", "host", "port", "peer_port", "zone"};
      if (std::find(known.begin(), known.end(), key) == known.end())
        return complain(at, fmt::format("{}: {}: {}", path, key, unknown_name("key", key, known)));
      if (!given.emplace(key, pair.second.Scalar()).second)
        return complain(at, fmt::format("{}: {}: given twice", path, key));
    }
    for (const char* key : {"name", "host", "port", "peer_port"}) {
      if (!given.contains(key))
        return complain(line, fmt::format("{}: a node without {}; it is {}", path, key, kForm));
    }
    ClusterNode node{given["name"], given["host"], 0, 0, given["zone"]};
    for (const auto& [key, port] :
         {std::pair{"port", &node.port}, std::pair{"peer_port", &node.peer_port}}) {
      const auto number = parse_int(given[key]);
      if (!number) {
        return complain(line, fmt::format("{}: node '{}': {}: '{}' is no number", path,
                                          escaped(node.name), key, escaped(given[key])));
      }
      *port = *number;
    }
    if (const auto good = check_cluster_node(node); !good)
      return complain(line, fmt::format("{}: {}", path, good.error().message));
    return node;
  }

  std::string_view file_name_;
  YamlFile file_;
};

}  // namespace

Result<YamlFile> parse_yaml(std::string_view text, std::string_view file_name) {
  try {
    return Reader(file_name).read(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& broken) {
    // A null mark has line -1; the file as a whole is meant then.
    return fail(fmt::format("{}:{}: not valid YAML: {}", file_name,
                            std::max(broken.mark.line, 0) + 1, broken.msg));
  } catch (const std::exception& broken) {
    return fail(fmt::format("{}: not valid YAML: {}", file_name, broken.what()));
  }
}

Result<std::string> read_text_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  const auto unreadable = [&] {
    return fail(fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  };
  if (file == nullptr) return unreadable();
  std::string text(kConfigFileBytesMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return unreadable();
  if (text.size() > kConfigFileBytesMax) {
    return fail(fmt::format("{}: is longer than {} bytes, this is no configuration", path,
                            kConfigFileBytesMax));
  }
  return text;
}

}  // namespace holdfast::config
