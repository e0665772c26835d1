// HSET and its kin: the commands that name the fields they want, and those that list a whole hash.
// HSCAN and HRANDFIELD are in hash_walk_commands.cpp. Nothing here but the listing costs more than
// the fields named.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/text.hpp"
#include "server/commands/context.hpp"
#include "server/commands/hash_handlers.hpp"
#include "server/commands/spec.hpp"
#include "server/commands/table.hpp"
#include "server/keyspace/hash_value.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::commands {
namespace {

using keyspace::FieldValue;
using keyspace::HashErase;
using keyspace::HashPut;
using keyspace::Lookup;
using keyspace::ValueType;
using keyspace::ValueView;

// Room for `count` items that allocates only if they are many.
template <typename T>
class Scratch {
 public:
  explicit Scratch(std::size_t count) {
    if (count > kInline) {
      many_.resize(count);
      items_ = many_;
    } else {
      items_ = std::span<T>(few_.data(), count);
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::span<T> items() { return items_; }

 private:
  static constexpr std::size_t kInline = 32;
  std::array<T, kInline> few_;
  std::vector<T> many_;
  std::span<T> items_;
};

std::size_t length_of(const Lookup& hash) {
  return hash ? keyspace::hash_length(*hash.entry()) : 0;
}

std::optional<ValueView> value_of(const Lookup& hash, std::string_view field) {
  return hash ? keyspace::hash_get(*hash.entry(), field) : std::nullopt;
}

bool more_than(const Lookup& hash, std::span<const FieldValue> fields, std::size_t entries_max) {
  const std::size_t length = length_of(hash);
  if (length > entries_max) return true;
  if (fields.size() <= entries_max - length) return false;
  std::unordered_set<std::string_view> fresh;
  for (const FieldValue& one : fields) {
    if (!value_of(hash, one.field).has_value()) fresh.insert(one.field);
    if (length + fresh.size() > entries_max) return true;
  }
  return false;
}

// Redis turns a hash into a "hashtable" for good when a field or value is longer than
// hash-max-listpack-value, or when it has more than hash-max-listpack-entries fields after a
// change.
bool becomes_shown_as_table(CommandContext& ctx, const Lookup& hash,
                            std::span<const FieldValue> fields) {
  if (hash && is_shown_as_table(*hash.entry())) return false;
  const auto& limits = ctx.server().options.keyspace;
  const std::size_t bytes_max = limits.hash_max_listpack_value;
  for (const FieldValue& one : fields) {
    if (one.field.size() > bytes_max || one.value.size() > bytes_max) return true;
  }
  return more_than(hash, fields, static_cast<std::size_t>(limits.hash_max_listpack_entries));
}

// Afterwards `hash` locates the changed hash.
void put(CommandContext& ctx, Lookup& hash, std::span<const FieldValue> fields) {
  const bool shown_as_table = becomes_shown_as_table(ctx, hash, fields);
  ctx.emit(HashPut{ctx.database(), ctx.argument(1), fields, shown_as_table}, &hash);
}

// --- writing

// Of HSET and HMSET: the number of fields that are new, or nothing if it was refused.
std::optional<std::size_t> put_arguments(CommandContext& ctx) {
  if (ctx.argument_count() % 2 != 0) {
    ctx.error("ERR wrong number of arguments for '" + std::string(ctx.spec().name) + "' command");
    return std::nullopt;
  }
  Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return std::nullopt;
  Scratch<FieldValue> scratch((ctx.argument_count() - 2) / 2);
  const std::span<FieldValue> fields = scratch.items();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    fields[i] = {ctx.argument(2 + 2 * i), ctx.value(3 + 2 * i)};
  }
  const std::size_t length_before = length_of(hash);
  put(ctx, hash, fields);
  return length_of(hash) - length_before;
}

void hset(CommandContext& ctx) {
  if (const auto added = put_arguments(ctx)) ctx.reply().integer(static_cast<std::int64_t>(*added));
}

void hmset(CommandContext& ctx) {
  if (put_arguments(ctx).has_value()) ctx.reply().ok();
}

void hsetnx(CommandContext& ctx) {
  Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  const std::string_view field = ctx.argument(2);
  if (value_of(hash, field).has_value()) {
    ctx.reply().integer(0);
    return;
  }
  const FieldValue one{field, ctx.value(3)};
  put(ctx, hash, {&one, 1});
  ctx.reply().integer(1);
}

void hdel(CommandContext& ctx) {
  Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  Scratch<std::string_view> scratch(ctx.argument_count() - 2);
  const std::span<std::string_view> fields = scratch.items();
  std::size_t present = 0;
  for (std::size_t i = 2; i < ctx.argument_count() && hash; ++i) {
    if (value_of(hash, ctx.argument(i)).has_value()) fields[present++] = ctx.argument(i);
  }
  if (present == 0) {
    ctx.reply().integer(0);
    return;
  }
  const std::size_t length_before = length_of(hash);
  ctx.emit(HashErase{ctx.database(), ctx.argument(1), fields.first(present)}, &hash);
  ctx.reply().integer(static_cast<std::int64_t>(length_before - length_of(hash)));
}

// A number is short: a chunked value is none.
std::optional<std::int64_t> as_integer(const ValueView& value) {
  return value.chunks == nullptr ? parse_int(value.bytes) : std::nullopt;
}

std::optional<long double> as_float(const ValueView& value) {
  return value.chunks == nullptr ? parse_long_double(value.bytes) : std::nullopt;
}

void hincrby(CommandContext& ctx) {
  const auto increment = ctx.integer_argument(3);
  if (!increment.has_value()) return;
  Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  const std::string_view field = ctx.argument(2);
  std::int64_t value = 0;
  if (const auto old = value_of(hash, field)) {
    const auto number = as_integer(*old);
    if (!number.has_value()) return ctx.error("ERR hash value is not an integer");
    value = *number;
  }
  if (__builtin_add_overflow(value, *increment, &value)) {
    return ctx.error("ERR increment or decrement would overflow");
  }
  char digits[20];
  const FieldValue one{field, ValueView{{digits, write_int(value, digits)}}};
  put(ctx, hash, {&one, 1});
  ctx.reply().integer(value);
}

void hincrbyfloat(CommandContext& ctx) {
  const auto increment = as_float(ctx.value(3));
  if (!increment.has_value()) return ctx.error("ERR value is not a valid float");
  if (std::isinf(*increment)) return ctx.error("ERR value is NaN or Infinity");
  Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  const std::string_view field = ctx.argument(2);
  long double value = 0;
  if (const auto old = value_of(hash, field)) {
    const auto number = as_float(*old);
    if (!number.has_value()) return ctx.error("ERR hash value is not a float");
    value = *number;
  }
  value += *increment;
  if (std::isnan(value) || std::isinf(value)) {
    return ctx.error("ERR increment would produce NaN or Infinity");
  }
  const std::string text = format_long_double(value);
  const FieldValue one{field, ValueView{text}};
  put(ctx, hash, {&one, 1});
  ctx.reply().bulk(text);
}

// --- reading

void hget(CommandContext& ctx) {
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  const auto value = value_of(hash, ctx.argument(2));
  if (value.has_value()) {
    reply_value(ctx.reply(), *value);
  } else {
    ctx.reply().null();
  }
}

void hmget(CommandContext& ctx) {
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  ctx.reply().array(ctx.argument_count() - 2);
  for (std::size_t i = 2; i < ctx.argument_count(); ++i) {
    const auto value = value_of(hash, ctx.argument(i));
    if (value.has_value()) {
      reply_value(ctx.reply(), *value);
    } else {
      ctx.reply().null();
    }
  }
}

void hexists(CommandContext& ctx) {
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  ctx.reply().integer(value_of(hash, ctx.argument(2)).has_value() ? 1 : 0);
}

void hstrlen(CommandContext& ctx) {
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  const auto value = value_of(hash, ctx.argument(2));
  ctx.reply().integer(value.has_value() ? static_cast<std::int64_t>(value->size()) : 0);
}

void hlen(CommandContext& ctx) {
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  ctx.reply().integer(static_cast<std::int64_t>(length_of(hash)));
}

void hgetall(CommandContext& ctx) {
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  ctx.reply().map(length_of(hash));
  if (!hash) return;
  keyspace::hash_for_each(*hash.entry(), [&](std::string_view field, const ValueView& value) {
    ctx.reply().bulk(field);
    reply_value(ctx.reply(), value);
  });
}

void hkeys(CommandContext& ctx) {
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  ctx.reply().array(length_of(hash));
  if (!hash) return;
  keyspace::hash_for_each(
      *hash.entry(), [&](std::string_view field, const ValueView&) { ctx.reply().bulk(field); });
}

void hvals(CommandContext& ctx) {
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  ctx.reply().array(length_of(hash));
  if (!hash) return;
  keyspace::hash_for_each(*hash.entry(), [&](std::string_view, const ValueView& value) {
    reply_value(ctx.reply(), value);
  });
}

constexpr KeyRange kOneKey{1, 1, 1};
constexpr std::uint32_t kFastRead = kReadonly | kFast;
constexpr std::uint32_t kFastWrite = kWrite | kDenyOom | kFast;

constexpr CommandSpec kCommands[] = {
    {"hdel", -3, kWrite | kFast, kOneKey, "@hash", hdel},
    {"hexists", 3, kFastRead, kOneKey, "@hash", hexists},
    {"hget", 3, kFastRead, kOneKey, "@hash", hget},
    {"hgetall", 2, kReadonly, kOneKey, "@hash", hgetall},
    {"hincrby", 4, kFastWrite, kOneKey, "@hash", hincrby},
    {"hincrbyfloat", 4, kFastWrite, kOneKey, "@hash", hincrbyfloat},
    {"hkeys", 2, kReadonly, kOneKey, "@hash", hkeys},
    {"hlen", 2, kFastRead, kOneKey, "@hash", hlen},
    {"hmget", -3, kFastRead, kOneKey, "@hash", hmget},
    {"hmset", -4, kFastWrite, kOneKey, "@hash", hmset},
    {"hrandfield", -2, kReadonly, kOneKey, "@hash", hrandfield},
    {"hscan", -3, kReadonly, kOneKey, "@hash", hscan},
    {"hset", -4, kFastWrite, kOneKey, "@hash", hset},
    {"hsetnx", 4, kFastWrite, kOneKey, "@hash", hsetnx},
    {"hstrlen", 3, kFastRead, kOneKey, "@hash", hstrlen},
    {"hvals", 2, kReadonly, kOneKey, "@hash", hvals},
};

}  // namespace

std::span<const CommandSpec> hash_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
