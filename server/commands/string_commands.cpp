// Strings as a whole: GET, SET and their kin.
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/commands/context.hpp"
#include "server/commands/string_handlers.hpp"
#include "server/commands/table.hpp"
#include "server/keyspace/entry.hpp"
#include "server/keyspace/hash_value.hpp"

namespace holdfast::commands {

using keyspace::Delete;
using keyspace::Entry;
using keyspace::Expire;
using keyspace::Lookup;
using keyspace::Put;
using keyspace::TtlChange;
using keyspace::ValueType;

void reply_string(CommandContext& ctx, const Entry& entry) {
  if (entry.kind() == keyspace::Kind::kString) [[likely]] {
    ctx.reply().bulk(entry.value());
  } else {
    ctx.reply().bulk(*keyspace::string_value(entry).chunks);
  }
}

namespace {

constexpr std::int64_t kMaxMs = std::numeric_limits<std::int64_t>::max();

// The options of SET and GETEX.
enum SetOption : std::uint32_t {
  kNx = 1U << 0,
  kXx = 1U << 1,
  kGet = 1U << 2,
  kKeepTtl = 1U << 3,
  kPersist = 1U << 4,
  kEx = 1U << 5,
  kPx = 1U << 6,
  kExAt = 1U << 7,
  kPxAt = 1U << 8,
};
constexpr std::uint32_t kTimes = kEx | kPx | kExAt | kPxAt;

struct SetOptions {
  std::uint32_t bits = 0;
  std::size_t time_index = 0;  // argument of the time; 0 = none given

  bool has(std::uint32_t wanted) const { return (bits & wanted) != 0; }
};

struct OptionRule {
  std::string_view word;
  SetOption option;
  std::uint32_t excludes;
  bool takes_time;
};

constexpr OptionRule kSetRules[] = {
    {"EX", kEx, kKeepTtl | kPersist | kExAt | kPx | kPxAt, true},
    {"PX", kPx, kKeepTtl | kPersist | kEx | kExAt | kPxAt, true},
    {"NX", kNx, kXx, false},
    {"XX", kXx, kNx, false},
    {"GET", kGet, 0, false},
    {"KEEPTTL", kKeepTtl, kPersist | kTimes, false},
    {"EXAT", kExAt, kKeepTtl | kPersist | kEx | kPx | kPxAt, true},
    {"PXAT", kPxAt, kKeepTtl | kPersist | kEx | kPx | kExAt, true},
};

constexpr OptionRule kGetexRules[] = {
    {"PERSIST", kPersist, kTimes, false},
    {"EX", kEx, kPersist | kExAt | kPx | kPxAt, true},
    {"PX", kPx, kPersist | kEx | kExAt | kPxAt, true},
    {"EXAT", kExAt, kPersist | kEx | kPx | kPxAt, true},
    {"PXAT", kPxAt, kPersist | kEx | kPx | kExAt, true},
};

// Replies a syntax error and returns nothing if the arguments from `index` on break the rules.
std::optional<SetOptions> parse_options(CommandContext& ctx, std::size_t index,
                                        std::span<const OptionRule> rules) {
  SetOptions options;
  for (; index < ctx.argument_count(); ++index) {
    const OptionRule* found = nullptr;
    for (const OptionRule& rule : rules) {
      if (ctx.argument_is(index, rule.word)) found = &rule;
    }
    if (found == nullptr || options.has(found->excludes) ||
        (found->takes_time && index + 1 == ctx.argument_count())) {
      ctx.error(kSyntaxError);
      return std::nullopt;
    }
    options.bits |= found->option;
    if (found->takes_time) options.time_index = ++index;
  }
  return options;
}

// The argument as a time of expiry in wall-clock milliseconds; replies what is wrong with it and
// returns nothing otherwise.
std::optional<UnixMs> expiry_argument(CommandContext& ctx, std::size_t index, SetOption meaning) {
  const auto given = ctx.integer_argument(index);
  if (!given.has_value()) return std::nullopt;
  const bool seconds = meaning == kEx || meaning == kExAt;
  const bool relative = meaning == kEx || meaning == kPx;
  std::int64_t time_ms = *given;
  bool valid = time_ms > 0 && (!seconds || time_ms <= kMaxMs / 1000);
  if (valid && seconds) time_ms *= 1000;
  if (valid && relative) {
    valid = time_ms <= kMaxMs - ctx.now().unix_ms;
    if (valid) time_ms += ctx.now().unix_ms;
  }
  if (!valid) {
    ctx.error("ERR invalid expire time in '" + std::string(ctx.spec().name) + "' command");
    return std::nullopt;
  }
  return time_ms;
}

std::optional<UnixMs> expiry_argument(CommandContext& ctx, const SetOptions& options) {
  return expiry_argument(ctx, options.time_index, static_cast<SetOption>(options.bits & kTimes));
}

// Answers as GET does, and counts as a read whatever the command. False: the key holds no string.
bool reply_current(CommandContext& ctx, const Lookup& lookup) {
  if (!ctx.spec().has(kReadonly)) {
    ++(lookup ? ctx.server().statistics.keyspace_hits : ctx.server().statistics.keyspace_misses);
  }
  if (!lookup) {
    ctx.reply().null();
    return true;
  }
  if (!ctx.check_type(lookup, ValueType::kString)) return false;
  reply_string(ctx, *lookup.entry());
  return true;
}

void get(CommandContext& ctx) {
  reply_current(ctx, ctx.read(ctx.argument(1)));
}

void set_with_options(CommandContext& ctx, Put& put) {
  const auto options = parse_options(ctx, 3, kSetRules);
  if (!options.has_value()) return;
  if (options->time_index != 0) {
    const auto expire_at = expiry_argument(ctx, *options);
    if (!expire_at.has_value()) return;
    put.ttl = TtlChange::kSet;
    put.expire_at = *expire_at;
  } else if (options->has(kKeepTtl)) {
    put.ttl = TtlChange::kKeep;
  }
  // What replaces the key whatever it was need not look; an overdue predecessor needs no deletion
  // of its own.
  if (!options->has(kNx | kXx | kGet | kKeepTtl)) {
    ctx.emit(put);
    ctx.reply().ok();
    return;
  }
  Lookup at = ctx.read(put.key);
  if (options->has(kGet) && !reply_current(ctx, at)) return;
  if (options->has(kNx) ? bool(at) : options->has(kXx) && !at) {
    if (!options->has(kGet)) ctx.reply().null();
    return;
  }
  ctx.emit(put, &at);
  if (!options->has(kGet)) ctx.reply().ok();
}

void set(CommandContext& ctx) {
  Put put{ctx.database(), ctx.argument(1), ctx.value(2)};
  if (ctx.argument_count() > 3) {
    set_with_options(ctx, put);
    return;
  }
  ctx.emit(put);
  ctx.reply().ok();
}

void set_expiring(CommandContext& ctx, SetOption unit) {
  const auto expire_at = expiry_argument(ctx, 2, unit);
  if (!expire_at.has_value()) return;
  ctx.emit(Put{ctx.database(), ctx.argument(1), ctx.value(3), TtlChange::kSet, *expire_at});
  ctx.reply().ok();
}

void setex(CommandContext& ctx) {
  set_expiring(ctx, kEx);
}
void psetex(CommandContext& ctx) {
  set_expiring(ctx, kPx);
}

void setnx(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  Lookup at = ctx.read(key);
  const bool absent = !at;
  if (absent) ctx.emit(Put{ctx.database(), key, ctx.value(2)}, &at);
  ctx.reply().integer(absent ? 1 : 0);
}

void getset(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  Lookup at = ctx.read(key);
  if (reply_current(ctx, at)) ctx.emit(Put{ctx.database(), key, ctx.value(2)}, &at);
}

void getdel(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  Lookup at = ctx.read(key);
  if (reply_current(ctx, at) && at) ctx.emit(Delete{ctx.database(), key}, &at);
}

void getex(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  const auto options = parse_options(ctx, 2, kGetexRules);
  if (!options.has_value()) return;
  Lookup at = ctx.read(key);
  std::optional<UnixMs> expire_at;
  if (at && keyspace::type_of(*at.entry()) == ValueType::kString && options->time_index != 0) {
    expire_at = expiry_argument(ctx, *options);
    if (!expire_at.has_value()) return;
  }
  if (!reply_current(ctx, at) || !at) return;
  if (expire_at.has_value() && keyspace::is_expired(*expire_at, ctx.now().unix_ms)) {
    ctx.emit(Delete{ctx.database(), key}, &at);
  } else if (expire_at.has_value()) {
    ctx.emit(Expire{ctx.database(), key, *expire_at}, &at);
  } else if (options->has(kPersist) && at.expire_at != keyspace::kNoExpiry) {
    ctx.emit(Expire{ctx.database(), key, keyspace::kNoExpiry}, &at);
  }
}

void mget(CommandContext& ctx) {
  ctx.reply().array(ctx.argument_count() - 1);
  for (std::size_t i = 1; i < ctx.argument_count(); ++i) {
    const Lookup lookup = ctx.read(ctx.argument(i));
    if (lookup && keyspace::type_of(*lookup.entry()) == ValueType::kString) {
      reply_string(ctx, *lookup.entry());
    } else {
      ctx.reply().null();
    }
  }
}

bool check_pairs(CommandContext& ctx) {
  if (ctx.argument_count() % 2 == 1) return true;
  ctx.error("ERR wrong number of arguments for '" + std::string(ctx.spec().name) + "' command");
  return false;
}

void put_pairs(CommandContext& ctx) {
  for (std::size_t i = 1; i < ctx.argument_count(); i += 2) {
    ctx.emit(Put{ctx.database(), ctx.argument(i), ctx.value(i + 1)});
  }
}

void mset(CommandContext& ctx) {
  if (!check_pairs(ctx)) return;
  put_pairs(ctx);
  ctx.reply().ok();
}

void msetnx(CommandContext& ctx) {
  if (!check_pairs(ctx)) return;
  for (std::size_t i = 1; i < ctx.argument_count(); i += 2) {
    if (ctx.read(ctx.argument(i))) {
      ctx.reply().integer(0);
      return;
    }
  }
  put_pairs(ctx);
  ctx.reply().integer(1);
}

constexpr std::uint32_t kAdds = kWrite | kDenyOom;
constexpr KeyRange kOneKey{1, 1, 1};

const CommandSpec kCommands[] = {
    {"append", 3, kAdds | kFast, kOneKey, "@string", append},
    {"decr", 2, kAdds | kFast, kOneKey, "@string", decr},
    {"decrby", 3, kAdds | kFast, kOneKey, "@string", decrby},
    {"get", 2, kReadonly | kFast, kOneKey, "@string", get},
    {"getdel", 2, kWrite | kFast, kOneKey, "@string", getdel},
    {"getex", -2, kWrite | kFast, kOneKey, "@string", getex},
    {"getrange", 4, kReadonly, kOneKey, "@string", getrange},
    {"getset", 3, kAdds | kFast, kOneKey, "@string", getset},
    {"incr", 2, kAdds | kFast, kOneKey, "@string", incr},
    {"incrby", 3, kAdds | kFast, kOneKey, "@string", incrby},
    {"incrbyfloat", 3, kAdds | kFast, kOneKey, "@string", incrbyfloat},
    {"mget", -2, kReadonly | kFast, {1, -1, 1}, "@string", mget},
    {"mset", -3, kAdds, {1, -1, 2}, "@string", mset},
    {"msetnx", -3, kAdds, {1, -1, 2}, "@string", msetnx},
    {"psetex", 4, kAdds, kOneKey, "@string", psetex},
    {"set", -3, kAdds, kOneKey, "@string", set},
    {"setex", 4, kAdds, kOneKey, "@string", setex},
    {"setnx", 3, kAdds | kFast, kOneKey, "@string", setnx},
    {"setrange", 4, kAdds, kOneKey, "@string", setrange},
    {"strlen", 2, kReadonly | kFast, kOneKey, "@string", strlen_of},
    {"substr", 4, kReadonly, kOneKey, "@string", getrange},
};

}  // namespace

std::span<const CommandSpec> string_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
