// MEMORY, and DEBUG with the two subcommands that tests and tools need. DEBUG is refused unless an
// option allows it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/key_handlers.hpp"
#include "server/commands/server_handlers.hpp"

namespace holdfast::commands {

namespace {

// SAMPLES is checked and not needed: the size of every value is known, not estimated.
void memory_usage(CommandContext& ctx) {
  for (std::size_t i = 3; i < ctx.argument_count(); i += 2) {
    if (!ctx.argument_is(i, "samples") || i + 1 == ctx.argument_count()) {
      ctx.error(kSyntaxError);
      return;
    }
    const auto samples = ctx.integer_argument(i + 1);
    if (!samples) return;
    if (*samples < 0) {
      ctx.error(kSyntaxError);
      return;
    }
  }
  const keyspace::Lookup lookup = ctx.peek(ctx.argument(2));
  if (!lookup) {
    ctx.reply().null();
    return;
  }
  ctx.reply().integer(static_cast<std::int64_t>(keyspace::Keyspace::entry_bytes(*lookup.entry())));
}

void memory_doctor(CommandContext& ctx) {
  ctx.reply().verbatim(
      "No memory problems are looked for by this server. MEMORY STATS and INFO memory show "
      "figures.\n");
}

void memory_malloc_stats(CommandContext& ctx) {
  ctx.reply().verbatim("Stats not supported for the current allocator");
}

void memory_purge(CommandContext& ctx) {
  ctx.reply().ok();
}

void memory_stats(CommandContext& ctx) {
  ServerState& server = ctx.server();
  const HostFigures host = server.host.figures();
  const std::size_t used = server.keyspace.used_bytes();
  const std::size_t peak = server.statistics.note_used(used);
  std::size_t databases = 0;
  std::size_t keys = 0;
  std::size_t tables = 0;
  for (keyspace::DatabaseIndex i = 0; i < server.keyspace.database_count(); ++i) {
    keys += server.keyspace.table(i).size();
    databases += server.keyspace.table(i).empty() ? 0 : 1;
    tables += server.keyspace.table(i).memory_bytes();
  }
  const std::size_t data = used - std::min(used, tables);
  std::size_t client_bytes = 0;
  server.clients.for_each([&](const client::Client& one) {
    client_bytes += sizeof(one) + one.parser.memory_bytes() + one.output.memory_bytes();
  });
  const auto percent = [](std::size_t part, std::size_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  resp::ReplyWriter& reply = ctx.reply();
  const auto integer = [&](std::string_view name, std::size_t value) {
    reply.bulk(name);
    reply.integer(static_cast<std::int64_t>(value));
  };
  const auto number = [&](std::string_view name, double value) {
    reply.bulk(name);
    reply.number(value);
  };
  reply.map(27 + databases);
  integer("peak.allocated", peak);
  integer("total.allocated", used);
  integer("startup.allocated", 0);
  integer("replication.backlog", 0);
  integer("clients.slaves", 0);
  integer("clients.normal", client_bytes);
  integer("cluster.links", 0);
  integer("aof.buffer", 0);
  integer("lua.caches", 0);
  integer("functions.caches", 0);
  for (keyspace::DatabaseIndex i = 0; i < server.keyspace.database_count(); ++i) {
    const keyspace::Table& table = server.keyspace.table(i);
    if (table.empty()) continue;
    reply.bulk(fmt::format("db.{}", i));
    reply.map(3);
    integer("overhead.hashtable.main", table.memory_bytes());
    integer("overhead.hashtable.expires", 0);  // expiry times stand in the same table
    integer("overhead.hashtable.slot-to-keys", 0);
  }
  integer("overhead.total", tables);
  integer("keys.count", keys);
  integer("keys.bytes-per-key", keys == 0 ? 0 : used / keys);
  integer("dataset.bytes", data);
  number("dataset.percentage", percent(data, used));
  number("peak.percentage", percent(used, peak));
  const auto both = [&](std::string_view ratio_name, std::string_view bytes_name, std::size_t more,
                        std::size_t less) {
    number(ratio_name, less == 0 ? 1.0 : static_cast<double>(more) / static_cast<double>(less));
    reply.bulk(bytes_name);
    reply.integer(static_cast<std::int64_t>(more) - static_cast<std::int64_t>(less));
  };
  const std::size_t active = used + server.keyspace.slack_bytes();
  integer("allocator.allocated", used);
  integer("allocator.active", active);
  integer("allocator.resident", active);
  both("allocator-fragmentation.ratio", "allocator-fragmentation.bytes", active, used);
  both("allocator-rss.ratio", "allocator-rss.bytes", active, active);
  both("rss-overhead.ratio", "rss-overhead.bytes", host.resident_bytes, active);
  both("fragmentation", "fragmentation.bytes", host.resident_bytes, used);
}

void memory_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "DOCTOR",
      "    Show advice (there is none).",
      "MALLOC-STATS",
      "    Show the allocator's own report (there is none).",
      "PURGE",
      "    Accepted; free memory is given back without being asked.",
      "STATS",
      "    Show what memory is used for.",
      "USAGE <key> [SAMPLES <count>]",
      "    Show the bytes that a key and its value take. SAMPLES is accepted and not needed.",
  };
  reply_help(ctx, "MEMORY", kLines);
}

void debug_sleep(CommandContext& ctx) {
  constexpr double kSecondsMax = 1e9;
  const double seconds = std::strtod(std::string(ctx.argument(2)).c_str(), nullptr);
  if (seconds > 0) {
    ctx.server().effects.sleep_us =
        static_cast<std::int64_t>(std::llround(std::min(seconds, kSecondsMax) * 1e6));
  }
  ctx.reply().ok();
}

void debug_object(CommandContext& ctx) {
  const keyspace::Lookup lookup = ctx.peek(ctx.argument(2));
  if (!lookup) {
    ctx.error(kNoSuchKeyError);
    return;
  }
  const keyspace::Entry& entry = *lookup.entry();
  ctx.reply().simple(fmt::format(
      "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
      encoding_name(entry), keyspace::Keyspace::entry_bytes(entry), entry.access_clock(),
      (ctx.access_clock() - entry.access_clock()) & 0xffffff));
}

const CommandSpec kMemory[] = {
    {"memory|doctor", 2, 0, {}, "", memory_doctor},
    {"memory|help", 2, kLoading | kStale, {}, "", memory_help},
    {"memory|malloc-stats", 2, 0, {}, "", memory_malloc_stats},
    {"memory|purge", 2, 0, {}, "", memory_purge},
    {"memory|stats", 2, 0, {}, "", memory_stats},
    {"memory|usage", -3, kReadonly, {2, 2, 1}, "", memory_usage},
};

}  // namespace

std::span<const CommandSpec> memory_subcommands() {
  return kMemory;
}

void debug(CommandContext& ctx) {
  if (!ctx.server().options.debug.enable_debug_command) {
    ctx.error(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you can run it from a "
        "local connection, otherwise you need to set this option in the configuration file, and "
        "then restart the "
        "server.");
    return;
  }
  if (ctx.argument_is(1, "help") && ctx.argument_count() == 2) {
    static constexpr std::string_view kLines[] = {
        "OBJECT <key>",
        "    Show how a key's value is kept.",
        "SLEEP <seconds>",
        "    Stop the server for that long. Decimals allowed.",
    };
    reply_help(ctx, "DEBUG", kLines);
  } else if (ctx.argument_is(1, "object") && ctx.argument_count() == 3) {
    debug_object(ctx);
  } else if (ctx.argument_is(1, "sleep") && ctx.argument_count() == 3) {
    debug_sleep(ctx);
  } else {
    subcommand_error(ctx, "DEBUG");
  }
}

}  // namespace holdfast::commands
