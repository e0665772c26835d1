// LATENCY: how long commands took. There is no latency monitor: its subcommands have empty answers.
#include <fmt/format.h>

#include <vector>

#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/server_handlers.hpp"
#include "server/commands/table.hpp"

namespace holdfast::commands {

namespace {

void latency_empty_array(CommandContext& ctx) {
  ctx.reply().array(0);
}

void reply_histogram(resp::ReplyWriter& reply, std::string_view name,
                     const LatencyHistogram& histogram) {
  std::size_t bounds = 0;
  histogram.for_each_bound([&](std::int64_t, std::uint64_t) { ++bounds; });
  reply.bulk(name);
  reply.map(2);
  reply.bulk("calls");
  reply.integer(static_cast<std::int64_t>(histogram.total()));
  reply.bulk("histogram_usec");
  reply.map(bounds);
  histogram.for_each_bound([&](std::int64_t bound_us, std::uint64_t count) {
    reply.integer(bound_us);
    reply.integer(static_cast<std::int64_t>(count));
  });
}

// A container brings its subcommands; what was never called, or is no command, is left out.
void latency_histogram(CommandContext& ctx) {
  const auto& by_command = ctx.server().statistics.by_command;
  std::vector<const CommandSpec*> wanted;
  const auto add = [&](const CommandSpec& spec) {
    if (by_command[spec.number].latency != nullptr) wanted.push_back(&spec);
    for (const CommandSpec& subcommand : spec.subcommands) {
      if (by_command[subcommand.number].latency != nullptr) wanted.push_back(&subcommand);
    }
  };
  if (ctx.argument_count() == 2) {
    for (const CommandSpec* spec : all_commands()) add(*spec);
  }
  for (std::size_t i = 2; i < ctx.argument_count(); ++i) {
    const CommandSpec* spec = find_by_full_name(ctx.argument(i));
    if (spec != nullptr) add(*spec);
  }
  ctx.reply().map(wanted.size());
  for (const CommandSpec* spec : wanted)
    reply_histogram(ctx.reply(), spec->name, *by_command[spec->number].latency);
}

void latency_reset(CommandContext& ctx) {
  ctx.reply().integer(0);
}

void latency_graph(CommandContext& ctx) {
  ctx.error(fmt::format("ERR No samples available for event '{}'", until_nul(ctx.argument(2))));
}

void latency_doctor(CommandContext& ctx) {
  ctx.reply().verbatim(
      "Latency events are not recorded by this server. SLOWLOG GET shows slow commands.\n");
}

void latency_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "DOCTOR",
      "    Show advice (there is none: latency events are not recorded).",
      "GRAPH <event>",
      "    Draw the samples of an event.",
      "HISTOGRAM [COMMAND ...]",
      "    Show how many calls of these commands, or of all, took up to 1, 2, 4, 8, ... us.",
      "HISTORY <event>",
      "    Show the samples of an event (empty).",
      "LATEST",
      "    Show the latest sample of each event (empty).",
      "RESET [<event> ...]",
      "    Remove samples.",
  };
  reply_help(ctx, "LATENCY", kLines);
}

const CommandSpec kLatency[] = {
    {"latency|doctor", 2, kAdminFlags, {}, "", latency_doctor},
    {"latency|graph", 3, kAdminFlags, {}, "", latency_graph},
    {"latency|help", 2, kLoading | kStale, {}, "", latency_help},
    {"latency|histogram", -2, kAdminFlags, {}, "", latency_histogram},
    {"latency|history", 3, kAdminFlags, {}, "", latency_empty_array},
    {"latency|latest", 2, kAdminFlags, {}, "", latency_empty_array},
    {"latency|reset", -2, kAdminFlags, {}, "", latency_reset},
};

}  // namespace

std::span<const CommandSpec> latency_subcommands() {
  return kLatency;
}

}  // namespace holdfast::commands
