#include "server/commands/scan_options.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>

#include "base/text.hpp"

namespace holdfast::commands {

std::optional<std::uint64_t> cursor_argument(CommandContext& ctx, std::size_t index) {
  const std::string_view given = ctx.argument(index);
  const std::string text(given.substr(0, given.find('\0')));
  const char first = text.empty() ? '0' : text.front();
  char* end = nullptr;
  errno = 0;
  const std::uint64_t cursor = std::strtoull(text.c_str(), &end, 10);
  if (first == ' ' || (first >= '\t' && first <= '\r') || *end != '\0' || errno == ERANGE) {
    ctx.error("ERR invalid cursor");
    return std::nullopt;
  }
  return cursor;
}

bool ScanOptions::matches(std::string_view name) const {
  return !pattern.has_value() || glob_match(*pattern, name);
}

std::optional<ScanOptions> scan_options(CommandContext& ctx, std::size_t first, bool with_type) {
  ScanOptions options;
  for (std::size_t i = first; i < ctx.argument_count(); i += 2) {
    const bool has_value = i + 1 < ctx.argument_count();
    if (has_value && ctx.argument_is(i, "COUNT")) {
      const auto count = ctx.integer_argument(i + 1);
      if (!count.has_value()) return std::nullopt;
      if (*count < 1) {
        ctx.error(kSyntaxError);
        return std::nullopt;
      }
      options.count = static_cast<std::size_t>(*count);
    } else if (has_value && ctx.argument_is(i, "MATCH")) {
      options.pattern = ctx.argument(i + 1);
      if (options.pattern == "*") options.pattern.reset();
    } else if (has_value && with_type && ctx.argument_is(i, "TYPE")) {
      options.type = ctx.argument(i + 1);
    } else {
      ctx.error(kSyntaxError);
      return std::nullopt;
    }
  }
  return options;
}

}  // namespace holdfast::commands
