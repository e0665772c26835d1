// CONFIG GET, SET, RESETSTAT, REWRITE. Names, values and their errors are config/options' business.
#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "config/options/config_access.hpp"
#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/server_handlers.hpp"

namespace holdfast::commands {

namespace {

void config_get(CommandContext& ctx) {
  std::vector<std::string_view> patterns;
  for (std::size_t i = 2; i < ctx.argument_count(); ++i) patterns.push_back(ctx.argument(i));
  const auto answers = config::config_get(ctx.server().options, patterns);
  ctx.reply().map(answers.size());
  for (const config::NameAndValue& answer : answers) {
    ctx.reply().bulk(answer.name);
    ctx.reply().bulk(answer.value);
  }
}

void config_set(CommandContext& ctx) {
  if (ctx.argument_count() % 2 != 0) {
    ctx.error(kSyntaxError);
    return;
  }
  std::vector<std::pair<std::string_view, std::string_view>> assignments;
  for (std::size_t i = 2; i < ctx.argument_count(); i += 2) {
    assignments.emplace_back(ctx.argument(i), ctx.argument(i + 1));
  }
  config::Options changed = ctx.server().options;
  if (const auto set = config::config_set(changed, assignments); !set) {
    ctx.error(set.error().message);
    return;
  }
  const std::int64_t clients = changed.server.maxclients;
  if (clients > ctx.server().options.server.maxclients) {
    const std::int64_t possible = ctx.server().host.make_room_for_clients(clients);
    if (possible < clients) {
      ctx.error(config::set_error(
          "maxclients", fmt::format("The operating system is not able to handle the specified "
                                    "number of clients, try with {}",
                                    possible)));
      return;
    }
  }
  ctx.server().options = std::move(changed);
  ctx.server().effects.options_changed = true;
  ctx.reply().ok();
}

void config_resetstat(CommandContext& ctx) {
  ServerState& server = ctx.server();
  Statistics fresh;
  fresh.by_command.resize(server.statistics.by_command.size());
  fresh.used_bytes_peak = server.keyspace.used_bytes();
  fresh.network_before = server.host.network();
  server.statistics = std::move(fresh);
  ctx.reply().ok();
}

void config_rewrite(CommandContext& ctx) {
  ServerState& server = ctx.server();
  if (server.host.figures().config_file.empty()) {
    ctx.error("ERR The server is running without a config file");
    return;
  }
  if (const auto written = server.host.rewrite_config(server.options); !written) {
    ctx.error(fmt::format("ERR Rewriting config file: {}", written.error().message));
    return;
  }
  ctx.reply().ok();
}

void config_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "GET <pattern>",
      "    Return parameters matching the glob-like <pattern> and their values.",
      "SET <directive> <value>",
      "    Set the configuration <directive> to <value>.",
      "RESETSTAT",
      "    Reset statistics reported by the INFO command.",
      "REWRITE",
      "    Rewrite the configuration file.",
  };
  reply_help(ctx, "CONFIG", kLines);
}

const CommandSpec kSubcommands[] = {
    {"config|get", -3, kAdminFlags, {}, "", config_get},
    {"config|help", 2, kLoading | kStale, {}, "", config_help},
    {"config|resetstat", 2, kAdminFlags, {}, "", config_resetstat},
    {"config|rewrite", 2, kAdminFlags, {}, "", config_rewrite},
    {"config|set", -4, kAdminFlags, {}, "", config_set},
};

}  // namespace

std::span<const CommandSpec> config_subcommands() {
  return kSubcommands;
}

}  // namespace holdfast::commands
