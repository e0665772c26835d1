// Commands about the server as a whole: time, shutdown, persistence, and what Redis Cluster would
// answer (cluster support is disabled). The member's part in its cluster: cluster_commands.cpp.
#include <fmt/format.h>

#include <string>

#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/server_handlers.hpp"
#include "server/commands/table.hpp"
#include "server/commands/version.hpp"

namespace holdfast::commands {

namespace {

constexpr std::string_view kNoPersistenceError =
    "ERR persistence is off (persistence.enabled: no): the data lives in memory only and nothing "
    "was "
    "saved";
constexpr std::string_view kMembersDecideError =
    "ERR the members of a cluster decide by themselves who is primary: list them in cluster.nodes, "
    "and use FAILOVER on the primary for a planned switch";
constexpr std::string_view kSavingError = "ERR Background save already in progress";

void cluster_disabled(CommandContext& ctx) {
  ctx.error("ERR This instance has cluster support disabled");
}

// There is one picture, but arguments that Redis's pictures of version 5 and 6 would refuse are
// refused.
void lolwut(CommandContext& ctx) {
  if (ctx.argument_count() >= 3 && ctx.argument_is(1, "version")) {
    const auto version = ctx.integer_argument(2);
    if (!version) return;
    const std::size_t numbers = *version == 5 ? 3 : *version == 6 ? 2 : 0;
    for (std::size_t i = 3; i < std::min(ctx.argument_count(), 3 + numbers); ++i) {
      if (!ctx.integer_argument(i)) return;
    }
  }
  ctx.reply().verbatim(
      fmt::format("  |\\   /|\n  | \\ / |   Redis ver. {}\n  |  X  |   Holdfast ver. {}\n  | / \\ "
                  "|   it holds fast\n  |/   \\|\n",
                  kRedisVersion, HOLDFAST_VERSION));
}

void time(CommandContext& ctx) {
  ctx.reply().array(2);
  ctx.reply().bulk_integer(ctx.now().unix_us / 1'000'000);
  ctx.reply().bulk_integer(ctx.now().unix_us % 1'000'000);
}

void replicaof(CommandContext& ctx) {
  if (ctx.argument_is(1, "no") && ctx.argument_is(2, "one")) {
    if (const Cluster* cluster = ctx.server().cluster;
        cluster != nullptr && !cluster->is_master(ctx.now().mono_us))
      return ctx.error(kMembersDecideError);
    ctx.reply().ok();
    return;
  }
  constexpr std::string_view kPortError = "ERR Invalid master port";
  const auto port = ctx.integer_argument(2, kPortError);
  if (!port) return;
  if (*port < 0 || *port > 65535) {
    ctx.error(kPortError);
    return;
  }
  ctx.error(kMembersDecideError);
}

// A snapshot is taken up after the command. False: it cannot be, and that was answered.
bool want_snapshot(CommandContext& ctx) {
  PersistenceState& persistence = ctx.server().persistence;
  if (!persistence.enabled) {
    ctx.error(kNoPersistenceError);
  } else if (!persistence.disk_error.empty()) {
    ctx.error("MISCONF Errors writing to the AOF file: " + persistence.disk_error);
  } else if (persistence.snapshot_running || persistence.snapshot_wanted) {
    ctx.error(kSavingError);
  } else {
    persistence.snapshot_wanted = true;
    return true;
  }
  return false;
}

// Nobody else waits, as they do in Redis: only this client, until the snapshot is done.
void save(CommandContext& ctx) {
  if (want_snapshot(ctx)) ctx.client().awaits_snapshot = true;
}

void bgsave(CommandContext& ctx) {
  if (ctx.argument_count() > 2 || (ctx.argument_count() == 2 && !ctx.argument_is(1, "schedule"))) {
    ctx.error(kSyntaxError);
    return;
  }
  if (want_snapshot(ctx)) ctx.reply().simple("Background saving started");
}

void lastsave(CommandContext& ctx) {
  const ServerState& server = ctx.server();
  const UnixMs saved = server.persistence.enabled ? server.persistence.last_snapshot_at : 0;
  ctx.reply().integer((saved != 0 ? saved : server.started.unix_ms) / 1000);
}

void shutdown(CommandContext& ctx) {
  bool with_save = false;
  bool without_save = false;
  bool hurried = false;
  bool forced = false;
  bool abort = false;
  for (std::size_t i = 1; i < ctx.argument_count(); ++i) {
    if (ctx.argument_is(i, "save")) {
      with_save = true;
    } else if (ctx.argument_is(i, "nosave")) {
      without_save = true;
    } else if (ctx.argument_is(i, "now") || ctx.argument_is(i, "force")) {
      hurried = true;
      forced |= ctx.argument_is(i, "force");
    } else if (ctx.argument_is(i, "abort")) {
      abort = true;
    } else {
      ctx.error(kSyntaxError);
      return;
    }
  }
  if ((abort && (with_save || without_save || hurried)) || (with_save && without_save)) {
    ctx.error(kSyntaxError);
  } else if (abort) {
    ctx.error("ERR No shutdown in progress.");
  } else if (with_save && !ctx.server().persistence.enabled) {
    ctx.error("ERR Errors trying to SHUTDOWN. Persistence is off: use SHUTDOWN NOSAVE");
  } else if (!without_save && !forced && !ctx.server().persistence.disk_error.empty()) {
    ctx.error("ERR Errors trying to SHUTDOWN. The log cannot be written: " +
              ctx.server().persistence.disk_error + "; SHUTDOWN FORCE ends all the same");
  } else {
    // The log holds everything; its end is synced on the way out, with SAVE and without.
    ctx.server().effects.shutdown = 0;  // answered by the closed connection
  }
}

const CommandSpec kCommands[] = {
    {"acl", -2, 0, {}, "", nullptr, acl_subcommands()},
    {"asking", 1, kFast, {}, "@connection", cluster_disabled},
    {"bgsave", -1, kAdmin | kNoScript | kNoAsyncLoading, {}, "", bgsave},
    {"cluster", -2, 0, {}, "", cluster_disabled},
    {"config", -2, 0, {}, "", nullptr, config_subcommands()},
    {"debug", -2, kAdminFlags, {}, "", debug},
    {"info", -1, kLoading | kStale, {}, "@dangerous", info},
    {"lastsave", 1, kLoading | kStale | kFast, {}, "@admin @dangerous", lastsave},
    {"latency", -2, 0, {}, "", nullptr, latency_subcommands()},
    {"lolwut", -1, kReadonly | kFast, {}, "", lolwut},
    {"memory", -2, 0, {}, "", nullptr, memory_subcommands()},
    {"module", -2, 0, {}, "", nullptr, module_subcommands()},
    {"replicaof", 3, kAdmin | kNoScript | kStale | kNoAsyncLoading, {}, "", replicaof},
    {"save", 1, kAdmin | kNoScript | kNoAsyncLoading | kNoMulti, {}, "", save},
    {"shutdown", -1, kAdminFlags | kNoMulti | kAllowBusy, {}, "", shutdown},
    {"slaveof", 3, kAdmin | kNoScript | kStale | kNoAsyncLoading, {}, "", replicaof},
    {"slowlog", -2, 0, {}, "", nullptr, slowlog_subcommands()},
    {"time", 1, kLoading | kStale | kFast, {}, "", time},
};

}  // namespace

std::span<const CommandSpec> server_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
