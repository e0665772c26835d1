#include "config/loader/rewrite.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "config/loader/example.hpp"
#include "config/loader/loader.hpp"
#include "config/loader/setting.hpp"
#include "config/loader/yaml_file.hpp"
#include "config/options/option_values.hpp"

namespace holdfast::config {

namespace {

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool blank_or_comment(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t\r");
  return first == std::string_view::npos || line[first] == '#';
}

// Where a value that begins at `begin` ends in its own line. Only finds what is written in the
// usual ways; what it gets wrong is found when the result is read again.
std::size_t value_end(std::string_view line, std::size_t begin) {
  char quote = '\0';
  int depth = 0;
  for (std::size_t i = begin; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != '\0') {
      if (quote == '"' && c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = '\0';
        if (depth == 0) return i + 1;
      }
    } else if ((c == '"' || c == '\'') && (i == begin || depth > 0)) {
      quote = c;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']') {
      if (--depth == 0) return i + 1;
    } else if (c == '#' && i > begin && (line[i - 1] == ' ' || line[i - 1] == '\t')) {
      return line.find_last_not_of(" \t", i - 1) + 1;
    }
  }
  return line.find_last_not_of(" \t\r") + 1;
}

class Editor {
 public:
  Editor(std::string_view text, YamlFile file) : lines_(split_lines(text)), file_(std::move(file)) {
    for (const YamlSection& section : file_.sections) starts_.push_back(section.line);
    for (const YamlOption& option : file_.options) starts_.push_back(option.line);
    starts_.push_back(static_cast<int>(lines_.size()));
    std::sort(starts_.begin(), starts_.end());
  }

  void set(const OptionRow& row, const std::string& value) {
    for (const YamlOption& option : file_.options) {
      if (option.row == &row) return replace(option, value);
    }
    added_[std::string(row.section())].push_back(fmt::format("{}: {}", row.name(), value));
  }

  // The edits are kept apart until here, so that line numbers stay those of the old text.
  std::string finish() {
    std::string text;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      if (!dropped(i)) text += lines_[i] + "\n";
      for (const std::string& line : insertions_after(static_cast<int>(i))) text += line + "\n";
    }
    for (const auto& [section, options] : added_) {
      text += section + ":\n";
      for (const std::string& option : options) text += "  " + option + "\n";
    }
    return text;
  }

 private:
  // One past the last line of what starts at `line`; comments and blank lines before the next start
  // are not part of it.
  int end_of(int line) const {
    int end = *std::upper_bound(starts_.begin(), starts_.end() - 1, line);
    while (end > line + 1 && blank_or_comment(lines_[static_cast<std::size_t>(end - 1)])) --end;
    return end;
  }

  void replace(const YamlOption& option, const std::string& value) {
    std::string& line = lines_[static_cast<std::size_t>(option.line)];
    const int end = end_of(option.line);
    if (option.value_line == option.line && end == option.line + 1) {
      // An earlier edit of the same line (a mapping in braces) may have moved this one; the reading
      // again finds that.
      const auto begin = std::min(static_cast<std::size_t>(option.value_column), line.size());
      line.replace(begin, value_end(line, begin) - begin, value);
      return;
    }
    const auto after_name = static_cast<std::size_t>(option.column) + option.row->name().size();
    line = line.substr(0, std::min(after_name, line.size())) + ": " + value;
    dropped_.emplace_back(option.line + 1, end);
  }

  bool dropped(std::size_t line) const {
    return std::any_of(dropped_.begin(), dropped_.end(), [&](const auto& range) {
      return static_cast<int>(line) >= range.first && static_cast<int>(line) < range.second;
    });
  }

  // What is to follow this line: new options after the last line of their section.
  std::vector<std::string> insertions_after(int line) {
    for (const YamlSection& section : file_.sections) {
      const auto added = added_.find(section.name);
      if (added == added_.end()) continue;
      int last = section.line;
      int indent = 2;
      for (const YamlOption& option : file_.options) {
        if (option.row->section() != section.name || option.line < last) continue;
        last = option.line;
        indent = option.column;
      }
      if (end_of(last) - 1 != line) continue;
      std::vector<std::string> lines;
      for (const std::string& option : added->second) {
        lines.push_back(std::string(static_cast<std::size_t>(indent), ' ') + option);
      }
      added_.erase(added);
      return lines;
    }
    return {};
  }

  std::vector<std::string> lines_;
  YamlFile file_;
  std::vector<int> starts_;
  std::vector<std::pair<int, int>> dropped_;
  std::map<std::string, std::vector<std::string>> added_;
};

// What the file alone would give, each row as text.
Result<std::vector<std::string>> values_of(const YamlFile& file, std::string_view file_name) {
  Options options;
  Places places;
  for (const YamlOption& option : file.options) {
    const Setting setting{option.row, option.text,
                          fmt::format("{}:{}: {}", file_name, option.line + 1, option.row->path)};
    if (auto done = apply(setting, options, places); !done) return tl::unexpected(done.error());
  }
  std::vector<std::string> values;
  for (const OptionRow& row : option_table()) values.push_back(format_value(row, options));
  return values;
}

std::string system_error(std::string_view doing, const std::string& path) {
  return fmt::format("Rewriting config file: {} {}: {}", doing, path, std::strerror(errno));
}

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(system_error("cannot write", path));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return fail(system_error("cannot sync", path));
  return {};
}

Result<void> replace_file(const std::string& path, std::string_view text) {
  struct stat old = {};
  if (::stat(path.c_str(), &old) != 0) return fail(system_error("cannot read", path));
  std::string beside = path + ".XXXXXX";
  const int fd = ::mkostemp(beside.data(), O_CLOEXEC);
  if (fd < 0) return fail(system_error("cannot create", beside));
  auto written = write_all(fd, text, beside);
  if (written && ::fchmod(fd, old.st_mode & 07777) != 0)
    written = fail(system_error("cannot set the mode of", beside));
  // Keeping the owner is tried only: it needs a right that the server may not have.
  if (::fchown(fd, old.st_uid, old.st_gid) != 0) errno = 0;
  ::close(fd);
  if (written && ::rename(beside.c_str(), path.c_str()) != 0)
    written = fail(system_error("cannot replace", path));
  if (!written) {
    ::unlink(beside.c_str());
    return written;
  }
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  const int folder_fd =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd >= 0) {
    ::fsync(folder_fd);
    ::close(folder_fd);
  }
  return {};
}

}  // namespace

Result<std::string> rewrite_text(std::string_view old_text, std::string_view file_name,
                                 const Options& options) {
  auto file = parse_yaml(old_text, file_name);
  if (!file) return tl::unexpected(file.error());
  const auto old_values = values_of(*file, file_name);
  if (!old_values) return tl::unexpected(old_values.error());

  Editor editor(old_text, std::move(*file));
  std::vector<std::string> wanted;
  for (const OptionRow& row : option_table()) {
    wanted.push_back(format_value(row, options));
    if (wanted.back() != (*old_values)[wanted.size() - 1])
      editor.set(row, format_yaml(row, options));
  }
  const std::string text = editor.finish();

  const auto reread = parse_yaml(text, file_name);
  const auto new_values = reread ? values_of(*reread, file_name) : tl::unexpected(reread.error());
  if (!new_values || *new_values != wanted) {
    return fail(
        fmt::format("Rewriting config file: {} is written in a way that cannot be edited safely; "
                    "it was left as it is",
                    file_name));
  }
  return text;
}

Result<void> rewrite(const std::string& path, const Options& options) {
  if (path.empty()) return fail("The server is running without a config file");
  // A symbolic link stays one: what it points to is replaced.
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), &std::free);
  if (real == nullptr) return fail(system_error("cannot read", path));
  const auto old_text = read_text_file(real.get());
  if (!old_text) return fail("Rewriting config file: " + old_text.error().message);

  // A password that is kept in a file of its own must not appear in this one.
  Options written = options;
  if (!written.security.requirepass_file.empty()) {
    const auto password = read_text_file(written.security.requirepass_file);
    if (password && strip_newline(*password) == written.security.requirepass) {
      written.security.requirepass.clear();
    } else {
      written.security.requirepass_file
          .clear();  // it was changed since: both together would be refused
    }
  }
  const auto text = rewrite_text(*old_text, path, written);
  if (!text) return tl::unexpected(text.error());
  return replace_file(real.get(), *text);
}

}  // namespace holdfast::config
