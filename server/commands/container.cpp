#include "server/commands/container.hpp"

#include <fmt/format.h>

namespace holdfast::commands {

void reply_help(CommandContext& ctx, std::string_view container,
                std::span<const std::string_view> lines) {
  ctx.reply().array(lines.size() + 3);
  ctx.reply().simple(
      fmt::format("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container));
  for (const std::string_view line : lines) ctx.reply().simple(line);
  ctx.reply().simple("HELP");
  ctx.reply().simple("    Prints this help.");
}

void subcommand_error(CommandContext& ctx, std::string_view container) {
  ctx.error(
      fmt::format("ERR unknown subcommand or wrong number of arguments for '{:.128}'. Try {} HELP.",
                  until_nul(ctx.argument(1)), container));
}

std::string_view until_nul(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

bool two_words(CommandContext& ctx, std::size_t index, std::string_view yes, std::string_view no,
               bool& value) {
  if (ctx.argument_is(index, yes)) {
    value = true;
  } else if (ctx.argument_is(index, no)) {
    value = false;
  } else {
    ctx.error(kSyntaxError);
    return false;
  }
  return true;
}

}  // namespace holdfast::commands
