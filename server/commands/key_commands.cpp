// Keys whatever their type: DEL, EXISTS, RENAME, COPY, OBJECT, and databases as a whole.
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "config/options/options.hpp"
#include "server/commands/context.hpp"
#include "server/commands/key_handlers.hpp"
#include "server/commands/table.hpp"
#include "server/keyspace/entry.hpp"
#include "server/keyspace/hash_value.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::commands {

using keyspace::DatabaseIndex;
using keyspace::Entry;
using keyspace::Lookup;
using keyspace::StringForm;
using keyspace::ValueType;

Lookup look(CommandContext& ctx, std::string_view key) {
  const Lookup lookup = ctx.peek(key);
  ++(lookup ? ctx.server().statistics.keyspace_hits : ctx.server().statistics.keyspace_misses);
  return lookup;
}

std::string_view type_name(const Entry& entry) {
  return keyspace::type_of(entry) == ValueType::kString ? "string" : "hash";
}

namespace {

constexpr std::string_view kSameObjectError = "ERR source and destination objects are the same";
// Longer strings are a second allocation in Redis.
constexpr std::size_t kEmbeddedBytesMax = 44;
// Of Redis's shared small integers, which are counted as held by everybody.
constexpr std::int64_t kSharedIntegers = 10000;
constexpr std::int64_t kSharedReferences = std::numeric_limits<std::int32_t>::max();

// --- keys

void del(CommandContext& ctx) {
  std::int64_t deleted = 0;
  for (std::size_t i = 1; i < ctx.argument_count(); ++i) {
    const std::string_view key = ctx.argument(i);
    Lookup at = ctx.peek(key);
    if (!at) continue;
    ctx.emit(keyspace::Delete{ctx.database(), key}, &at);
    ++deleted;
  }
  ctx.reply().integer(deleted);
}

void exists(CommandContext& ctx) {
  std::int64_t count = 0;
  for (std::size_t i = 1; i < ctx.argument_count(); ++i) {
    if (look(ctx, ctx.argument(i))) ++count;
  }
  ctx.reply().integer(count);
}

void touch(CommandContext& ctx) {
  std::int64_t count = 0;
  for (std::size_t i = 1; i < ctx.argument_count(); ++i) {
    if (ctx.read(ctx.argument(i))) ++count;
  }
  ctx.reply().integer(count);
}

void type(CommandContext& ctx) {
  const Lookup lookup = look(ctx, ctx.argument(1));
  ctx.reply().simple(lookup ? type_name(*lookup.entry()) : "none");
}

void rename_key(CommandContext& ctx, bool replace) {
  const std::string_view from = ctx.argument(1);
  const std::string_view to = ctx.argument(2);
  if (!ctx.read(from)) {
    ctx.error(kNoSuchKeyError);
    return;
  }
  const bool allowed = from == to ? replace : replace || !ctx.read(to);
  if (allowed && from != to) ctx.emit(keyspace::Rename{ctx.database(), from, to});
  if (replace) {
    ctx.reply().ok();
  } else {
    ctx.reply().integer(allowed ? 1 : 0);
  }
}

void rename(CommandContext& ctx) {
  rename_key(ctx, true);
}
void renamenx(CommandContext& ctx) {
  rename_key(ctx, false);
}

// An integer as it stands for a database, of whatever range; replies an error and returns nothing
// if it is none.
std::optional<std::int32_t> number_argument(CommandContext& ctx, std::size_t index,
                                            std::string_view not_int_error,
                                            std::string_view range_error) {
  const auto number = ctx.integer_argument(index, not_int_error);
  if (!number.has_value()) return std::nullopt;
  if (*number < std::numeric_limits<std::int32_t>::min() ||
      *number > std::numeric_limits<std::int32_t>::max()) {
    ctx.error(range_error);
    return std::nullopt;
  }
  return static_cast<std::int32_t>(*number);
}

bool check_database(CommandContext& ctx, std::int32_t number) {
  if (number >= 0 && static_cast<std::size_t>(number) < ctx.server().keyspace.database_count()) {
    return true;
  }
  ctx.error("ERR DB index is out of range");
  return false;
}

std::optional<DatabaseIndex> database_argument(CommandContext& ctx, std::size_t index) {
  const auto number =
      number_argument(ctx, index, kNotIntegerError,
                      "ERR value is out of range, value must between -2147483648 and 2147483647");
  if (!number.has_value() || !check_database(ctx, *number)) return std::nullopt;
  return static_cast<DatabaseIndex>(*number);
}

void copy(CommandContext& ctx) {
  const std::string_view from = ctx.argument(1);
  const std::string_view to = ctx.argument(2);
  DatabaseIndex target = ctx.database();
  bool replace = false;
  for (std::size_t i = 3; i < ctx.argument_count(); ++i) {
    if (ctx.argument_is(i, "REPLACE")) {
      replace = true;
    } else if (ctx.argument_is(i, "DB") && i + 1 < ctx.argument_count()) {
      const auto database = database_argument(ctx, ++i);
      if (!database.has_value()) return;
      target = *database;
    } else {
      ctx.error(kSyntaxError);
      return;
    }
  }
  if (target == ctx.database() && from == to) {
    ctx.error(kSameObjectError);
    return;
  }
  const bool found = bool(ctx.read(from));
  ++(found ? ctx.server().statistics.keyspace_hits : ctx.server().statistics.keyspace_misses);
  const bool allowed = found && (!ctx.read(target, to) || replace);
  if (allowed) ctx.emit(keyspace::Copy{ctx.database(), from, target, to});
  ctx.reply().integer(allowed ? 1 : 0);
}

void move(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  const auto target = database_argument(ctx, 2);
  if (!target.has_value()) return;
  if (*target == ctx.database()) {
    ctx.error(kSameObjectError);
    return;
  }
  const bool allowed = ctx.read(key) && !ctx.read(*target, key);
  if (allowed) ctx.emit(keyspace::Move{ctx.database(), key, *target});
  ctx.reply().integer(allowed ? 1 : 0);
}

// --- OBJECT

std::string_view string_encoding(const Entry& entry) {
  const auto form = static_cast<StringForm>(entry.form());
  const keyspace::ValueView value = keyspace::string_value(entry);
  if (form == StringForm::kRaw || value.size() > kEmbeddedBytesMax) return "raw";
  return form == StringForm::kByContent && parse_int(value.bytes).has_value() ? "int" : "embstr";
}

void object_encoding(CommandContext& ctx) {
  const Lookup lookup = look(ctx, ctx.argument(2));
  if (!lookup) {
    ctx.reply().null();
  } else {
    ctx.reply().bulk(encoding_name(*lookup.entry()));
  }
}

void object_freq(CommandContext& ctx) {
  if (!look(ctx, ctx.argument(2))) {
    ctx.reply().null();
    return;
  }
  ctx.error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
      "when switching "
      "between policies at runtime LRU and LFU data will take some time to adjust.");
}

void object_idletime(CommandContext& ctx) {
  const Lookup lookup = look(ctx, ctx.argument(2));
  if (!lookup) {
    ctx.reply().null();
    return;
  }
  ctx.reply().integer((ctx.access_clock() - lookup.entry()->access_clock()) & 0xffffff);
}

// Nothing is shared between keys here; but the integers that Redis shares, it shows as held by
// everybody.
bool is_shared_integer(CommandContext& ctx, const Entry& entry) {
  const config::MemoryOptions& memory = ctx.server().options.memory;
  const bool keeps_lru = memory.maxmemory_policy == config::EvictionPolicy::kAllkeysLru ||
                         memory.maxmemory_policy == config::EvictionPolicy::kVolatileLru;
  if (keyspace::type_of(entry) != ValueType::kString || (memory.maxmemory != 0 && keeps_lru)) {
    return false;
  }
  if (string_encoding(entry) != "int") return false;
  const auto value = parse_int(entry.value());
  return *value >= 0 && *value < kSharedIntegers;
}

void object_refcount(CommandContext& ctx) {
  const Lookup lookup = look(ctx, ctx.argument(2));
  if (!lookup) {
    ctx.reply().null();
    return;
  }
  ctx.reply().integer(is_shared_integer(ctx, *lookup.entry()) ? kSharedReferences : 1);
}

void object_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "ENCODING <key>",
      "    Return the kind of internal representation used in order to store the value",
      "    associated with a <key>.",
      "FREQ <key>",
      "    Return the access frequency index of the <key>. The returned integer is",
      "    proportional to the logarithm of the recent access frequency of the key.",
      "IDLETIME <key>",
      "    Return the idle time of the <key>, that is the approximated number of",
      "    seconds elapsed since the last access to the key.",
      "REFCOUNT <key>",
      "    Return the number of references of the value associated with the specified",
      "    <key>.",
      "HELP",
      "    Prints this help.",
  };
  ctx.reply().array(std::size(kLines));
  for (const std::string_view line : kLines) ctx.reply().simple(line);
}

// --- databases

void dbsize(CommandContext& ctx) {
  ctx.reply().integer(static_cast<std::int64_t>(ctx.table().size()));
}

void flush(CommandContext& ctx, std::optional<DatabaseIndex> database) {
  const bool plain = ctx.argument_count() == 1;
  const bool named =
      ctx.argument_count() == 2 && (ctx.argument_is(1, "ASYNC") || ctx.argument_is(1, "SYNC"));
  if (!plain && !named) {
    ctx.error(kSyntaxError);
    return;
  }
  ctx.emit(keyspace::Flush{database});
  ctx.reply().ok();
}

void flushdb(CommandContext& ctx) {
  flush(ctx, ctx.database());
}
void flushall(CommandContext& ctx) {
  flush(ctx, std::nullopt);
}

void swapdb(CommandContext& ctx) {
  constexpr std::string_view kFirstError = "ERR invalid first DB index";
  constexpr std::string_view kSecondError = "ERR invalid second DB index";
  const auto first = number_argument(ctx, 1, kFirstError, kFirstError);
  if (!first.has_value()) return;
  const auto second = number_argument(ctx, 2, kSecondError, kSecondError);
  if (!second.has_value()) return;
  if (!check_database(ctx, *first) || !check_database(ctx, *second)) return;
  if (*first != *second) {
    ctx.emit(keyspace::SwapDatabases{static_cast<DatabaseIndex>(*first),
                                     static_cast<DatabaseIndex>(*second)});
  }
  ctx.reply().ok();
}

constexpr KeyRange kOneKey{1, 1, 1};
constexpr KeyRange kTwoKeys{1, 2, 1};
constexpr KeyRange kAllKeys{1, -1, 1};
constexpr KeyRange kSubKey{2, 2, 1};

const CommandSpec kObjectCommands[] = {
    {"object|encoding", 3, kReadonly, kSubKey, "@keyspace", object_encoding},
    {"object|freq", 3, kReadonly, kSubKey, "@keyspace", object_freq},
    {"object|help", 2, kLoading | kStale, {}, "@keyspace", object_help},
    {"object|idletime", 3, kReadonly, kSubKey, "@keyspace", object_idletime},
    {"object|refcount", 3, kReadonly, kSubKey, "@keyspace", object_refcount},
};

const CommandSpec kCommands[] = {
    {"copy", -3, kWrite | kDenyOom, kTwoKeys, "@keyspace", copy},
    {"dbsize", 1, kReadonly | kFast, {}, "@keyspace", dbsize},
    {"del", -2, kWrite, kAllKeys, "@keyspace", del},
    {"exists", -2, kReadonly | kFast, kAllKeys, "@keyspace", exists},
    {"expire", -3, kWrite | kFast, kOneKey, "@keyspace", expire},
    {"expireat", -3, kWrite | kFast, kOneKey, "@keyspace", expireat},
    {"expiretime", 2, kReadonly | kFast, kOneKey, "@keyspace", expiretime},
    {"flushall", -1, kWrite, {}, "@keyspace @dangerous", flushall},
    {"flushdb", -1, kWrite, {}, "@keyspace @dangerous", flushdb},
    {"keys", 2, kReadonly, {}, "@keyspace @dangerous", keys},
    {"move", 3, kWrite | kFast, kOneKey, "@keyspace", move},
    {"object", -2, 0, {}, "", nullptr, kObjectCommands},
    {"persist", 2, kWrite | kFast, kOneKey, "@keyspace", persist},
    {"pexpire", -3, kWrite | kFast, kOneKey, "@keyspace", pexpire},
    {"pexpireat", -3, kWrite | kFast, kOneKey, "@keyspace", pexpireat},
    {"pexpiretime", 2, kReadonly | kFast, kOneKey, "@keyspace", pexpiretime},
    {"pttl", 2, kReadonly | kFast, kOneKey, "@keyspace", pttl},
    {"randomkey", 1, kReadonly, {}, "@keyspace", randomkey},
    {"rename", 3, kWrite, kTwoKeys, "@keyspace", rename},
    {"renamenx", 3, kWrite | kFast, kTwoKeys, "@keyspace", renamenx},
    {"scan", -2, kReadonly, {}, "@keyspace", scan},
    {"swapdb", 3, kWrite | kFast, {}, "@keyspace @dangerous", swapdb},
    {"touch", -2, kReadonly | kFast, kAllKeys, "@keyspace", touch},
    {"ttl", 2, kReadonly | kFast, kOneKey, "@keyspace", ttl},
    {"type", 2, kReadonly | kFast, kOneKey, "@keyspace", type},
    {"unlink", -2, kWrite | kFast, kAllKeys, "@keyspace", del},
};

}  // namespace

std::string_view encoding_name(const Entry& entry) {
  if (keyspace::type_of(entry) == ValueType::kString) return string_encoding(entry);
  return entry.form() != 0 ? "hashtable" : "listpack";
}

std::span<const CommandSpec> key_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
