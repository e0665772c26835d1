// Expiry times: EXPIRE, TTL and their kin.
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "server/commands/context.hpp"
#include "server/commands/key_handlers.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::commands {

using keyspace::kNoExpiry;
using keyspace::Lookup;

namespace {

constexpr std::int64_t kMaxMs = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinMs = std::numeric_limits<std::int64_t>::min();

struct Condition {
  bool none = false;     // NX: only if there is no expiry time
  bool some = false;     // XX: only if there is one
  bool later = false;    // GT: only to a later one; none is the latest of all
  bool earlier = false;  // LT

  bool allows(UnixMs current, UnixMs next) const {
    if (none && current != kNoExpiry) return false;
    if (some && current == kNoExpiry) return false;
    if (later && (current == kNoExpiry || next <= current)) return false;
    if (earlier && current != kNoExpiry && next >= current) return false;
    return true;
  }
};

// The options from argument 3 on; replies an error and returns nothing if they are wrong.
std::optional<Condition> parse_condition(CommandContext& ctx) {
  Condition condition;
  for (std::size_t i = 3; i < ctx.argument_count(); ++i) {
    if (ctx.argument_is(i, "NX")) {
      condition.none = true;
    } else if (ctx.argument_is(i, "XX")) {
      condition.some = true;
    } else if (ctx.argument_is(i, "GT")) {
      condition.later = true;
    } else if (ctx.argument_is(i, "LT")) {
      condition.earlier = true;
    } else {
      ctx.error("ERR Unsupported option " + std::string(ctx.argument(i)));
      return std::nullopt;
    }
  }
  if (condition.none && (condition.some || condition.later || condition.earlier)) {
    ctx.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return std::nullopt;
  }
  if (condition.later && condition.earlier) {
    ctx.error("ERR GT and LT options at the same time are not compatible");
    return std::nullopt;
  }
  return condition;
}

// `base` is the time that the argument counts from.
void expire_key(CommandContext& ctx, UnixMs base, bool seconds) {
  Condition condition;
  if (ctx.argument_count() > 3) {
    const auto parsed = parse_condition(ctx);
    if (!parsed.has_value()) return;
    condition = *parsed;
  }
  const auto given = ctx.integer_argument(2);
  if (!given.has_value()) return;
  std::int64_t when = *given;
  const bool fits = !seconds || (when <= kMaxMs / 1000 && when >= kMinMs / 1000);
  if (fits && seconds) when *= 1000;
  if (!fits || when > kMaxMs - base) {
    ctx.error("ERR invalid expire time in '" + std::string(ctx.spec().name) + "' command");
    return;
  }
  when += base;

  const std::string_view key = ctx.argument(1);
  Lookup at = ctx.read(key);
  if (!at || !condition.allows(at.expire_at, when)) {
    ctx.reply().integer(0);
    return;
  }
  if (when <= ctx.now().unix_ms) {  // not is_expired: -1 is a time here
    ctx.emit(keyspace::Delete{ctx.database(), key}, &at);
  } else {
    ctx.emit(keyspace::Expire{ctx.database(), key, when}, &at);
  }
  ctx.reply().integer(1);
}

void reply_expiry(CommandContext& ctx, UnixMs base, bool seconds) {
  const Lookup lookup = look(ctx, ctx.argument(1));
  if (!lookup) {
    ctx.reply().integer(-2);
  } else if (lookup.expire_at == kNoExpiry) {
    ctx.reply().integer(-1);
  } else {
    // Unsigned: the latest time there is may be rounded up as well.
    const auto time_ms = static_cast<std::uint64_t>(lookup.expire_at - base);
    ctx.reply().integer(static_cast<std::int64_t>(seconds ? (time_ms + 500) / 1000 : time_ms));
  }
}

}  // namespace

void expire(CommandContext& ctx) {
  expire_key(ctx, ctx.now().unix_ms, true);
}
void pexpire(CommandContext& ctx) {
  expire_key(ctx, ctx.now().unix_ms, false);
}
void expireat(CommandContext& ctx) {
  expire_key(ctx, 0, true);
}
void pexpireat(CommandContext& ctx) {
  expire_key(ctx, 0, false);
}

void ttl(CommandContext& ctx) {
  reply_expiry(ctx, ctx.now().unix_ms, true);
}
void pttl(CommandContext& ctx) {
  reply_expiry(ctx, ctx.now().unix_ms, false);
}
void expiretime(CommandContext& ctx) {
  reply_expiry(ctx, 0, true);
}
void pexpiretime(CommandContext& ctx) {
  reply_expiry(ctx, 0, false);
}

void persist(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  Lookup at = ctx.read(key);
  const bool expires = at && at.expire_at != kNoExpiry;
  if (expires) ctx.emit(keyspace::Expire{ctx.database(), key, kNoExpiry}, &at);
  ctx.reply().integer(expires ? 1 : 0);
}

}  // namespace holdfast::commands
