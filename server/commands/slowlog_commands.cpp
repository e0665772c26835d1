// SLOWLOG: what took long.
#include <algorithm>

#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/server_handlers.hpp"

namespace holdfast::commands {

namespace {

void slowlog_get(CommandContext& ctx) {
  if (ctx.argument_count() > 3) {
    subcommand_error(ctx, "SLOWLOG");
    return;
  }
  const auto& entries = ctx.server().slow_log.entries();
  std::size_t count = 10;
  if (ctx.argument_count() == 3) {
    constexpr std::string_view kCountError = "ERR count should be greater than or equal to -1";
    const auto asked = ctx.integer_argument(2, kCountError);
    if (!asked) return;
    if (*asked < -1) {
      ctx.error(kCountError);
      return;
    }
    count = *asked == -1 ? entries.size() : static_cast<std::size_t>(*asked);
  }
  count = std::min(count, entries.size());
  resp::ReplyWriter& reply = ctx.reply();
  reply.array(count);
  for (std::size_t i = 0; i < count; ++i) {
    const SlowLogEntry& entry = entries[i];
    reply.array(6);
    reply.integer(entry.id);
    reply.integer(entry.unix_s);
    reply.integer(entry.duration_us);
    reply.array(entry.arguments.size());
    for (const std::string& argument : entry.arguments) reply.bulk(argument);
    reply.bulk(entry.peer_address);
    reply.bulk(entry.client_name);
  }
}

void slowlog_len(CommandContext& ctx) {
  ctx.reply().integer(static_cast<std::int64_t>(ctx.server().slow_log.entries().size()));
}

void slowlog_reset(CommandContext& ctx) {
  ctx.server().slow_log.reset();
  ctx.reply().ok();
}

void slowlog_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "GET [<count>]",
      "    Show the newest <count> entries (default: 10, -1 for all): number, Unix time,",
      "    microseconds, arguments, client address, client name.",
      "LEN",
      "    Show how many entries there are.",
      "RESET",
      "    Remove all entries.",
  };
  reply_help(ctx, "SLOWLOG", kLines);
}

constexpr std::uint32_t kSlowlogFlags = kAdmin | kLoading | kStale;

const CommandSpec kSlowlog[] = {
    {"slowlog|get", -2, kSlowlogFlags, {}, "", slowlog_get},
    {"slowlog|help", 2, kLoading | kStale, {}, "", slowlog_help},
    {"slowlog|len", 2, kSlowlogFlags, {}, "", slowlog_len},
    {"slowlog|reset", 2, kSlowlogFlags, {}, "", slowlog_reset},
};

}  // namespace

std::span<const CommandSpec> slowlog_subcommands() {
  return kSlowlog;
}

}  // namespace holdfast::commands
