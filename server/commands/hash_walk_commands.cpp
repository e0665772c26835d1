// HSCAN and HRANDFIELD.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/random.hpp"
#include "protocol/resp/reply_writer.hpp"
#include "server/client/client.hpp"
#include "server/commands/context.hpp"
#include "server/commands/hash_handlers.hpp"
#include "server/commands/scan_options.hpp"
#include "server/keyspace/hash_value.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::commands {
namespace {

using keyspace::Entry;
using keyspace::FieldValue;
using keyspace::Lookup;
using keyspace::ValueType;
using keyspace::ValueView;

// --- HSCAN

// Redis answers all of a listpack at once; so do we up to its default limit.
constexpr std::size_t kScannedWholeMax = 512;

// --- HRANDFIELD

void reply_field(CommandContext& ctx, std::string_view field, const ValueView& value,
                 bool with_value) {
  if (with_value && ctx.reply().version() == resp::Version::kResp3) ctx.reply().array(2);
  ctx.reply().bulk(field);
  if (with_value) reply_value(ctx.reply(), value);
}

void announce(CommandContext& ctx, std::size_t fields, bool with_values) {
  const bool flat = with_values && ctx.reply().version() == resp::Version::kResp2;
  ctx.reply().array(flat ? 2 * fields : fields);
}

// `count` fields, each drawn from all. A reply that would pass the limit of the client's output
// closes the connection.
void reply_drawn(CommandContext& ctx, const Entry& hash, std::uint64_t count, bool with_values) {
  const std::uint64_t limit = ctx.server().options.limits.client_output_buffer_limit.normal.hard;
  std::uint64_t bytes = 0;
  announce(ctx, count, with_values);
  std::vector<FieldValue> packed;  // a packed hash has no random access: read it once
  if (hash.kind() == keyspace::Kind::kPackedHash && count > 1) {
    keyspace::hash_for_each(hash, [&](std::string_view field, const ValueView& value) {
      packed.push_back({field, value});
    });
  }
  for (; count > 0; --count) {
    const FieldValue one = packed.empty() ? keyspace::hash_random(hash, ctx.random())
                                          : packed[ctx.random().below(packed.size())];
    reply_field(ctx, one.field, one.value, with_values);
    bytes += one.field.size() + one.value.size() + 8;
    if (limit != 0 && bytes > limit) {
      ctx.client().fate = client::Fate::kCloseNow;
      return;
    }
  }
}

// `count` different fields, fewer than there are.
void reply_distinct(CommandContext& ctx, const Entry& hash, std::size_t count, bool with_values) {
  std::size_t left = keyspace::hash_length(hash);
  announce(ctx, count, with_values);
  // Few out of many: draw until they are enough. Else one pass that takes each field with the
  // chance that it deserves.
  if (hash.kind() == keyspace::Kind::kTableHash && count <= left / 3) {
    std::unordered_set<std::string_view> drawn;
    while (drawn.size() < count) {
      const FieldValue one = keyspace::hash_random(hash, ctx.random());
      if (drawn.insert(one.field).second) reply_field(ctx, one.field, one.value, with_values);
    }
    return;
  }
  keyspace::hash_for_each(hash, [&](std::string_view field, const ValueView& value) {
    if (ctx.random().below(left--) >= count) return;
    --count;
    reply_field(ctx, field, value, with_values);
  });
}

}  // namespace

void hscan(CommandContext& ctx) {
  const auto cursor = cursor_argument(ctx, 2);
  if (!cursor.has_value()) return;
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  if (!hash) {
    ctx.reply().array(2);
    ctx.reply().bulk("0");
    ctx.reply().array(0);
    return;
  }
  const auto options = scan_options(ctx, 3, false);
  if (!options.has_value()) return;

  std::vector<FieldValue> found;
  const auto collect = [&](std::string_view field, const ValueView& value) {
    if (options->matches(field)) found.push_back({field, value});
  };
  const Entry& entry = *hash.entry();
  std::uint64_t next = 0;
  if (!is_shown_as_table(entry) && keyspace::hash_length(entry) <= kScannedWholeMax) {
    keyspace::hash_for_each(entry, collect);
  } else {
    next = keyspace::hash_scan(entry, *cursor, options->count, collect);
  }
  ctx.reply().array(2);
  ctx.reply().bulk(std::to_string(next));
  ctx.reply().array(2 * found.size());
  for (const FieldValue& one : found) {
    ctx.reply().bulk(one.field);
    reply_value(ctx.reply(), one.value);
  }
}

void hrandfield(CommandContext& ctx) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const bool counted = ctx.argument_count() > 2;
  std::int64_t count = 0;
  bool with_values = false;
  if (counted) {
    const auto asked = ctx.integer_argument(2);
    if (!asked.has_value()) return;
    count = *asked;
    if (count < -kMax) {
      return ctx.error("ERR value is out of range, value must between " + std::to_string(-kMax) +
                       " and " + std::to_string(kMax));
    }
    with_values = ctx.argument_count() == 4 && ctx.argument_is(3, "withvalues");
    if (ctx.argument_count() > 3 && !with_values) return ctx.error(kSyntaxError);
    if (with_values && (count < -kMax / 2 || count > kMax / 2)) {
      return ctx.error("ERR value is out of range");
    }
  }
  const Lookup hash = ctx.read(ctx.argument(1));
  if (!ctx.check_type(hash, ValueType::kHash)) return;
  if (!counted) {
    if (hash) {
      ctx.reply().bulk(keyspace::hash_random(*hash.entry(), ctx.random()).field);
    } else {
      ctx.reply().null();
    }
    return;
  }
  if (!hash || count == 0) {
    ctx.reply().array(0);
    return;
  }
  const Entry& entry = *hash.entry();
  if (count < 0) {
    reply_drawn(ctx, entry, static_cast<std::uint64_t>(-count), with_values);
  } else if (static_cast<std::uint64_t>(count) < keyspace::hash_length(entry)) {
    reply_distinct(ctx, entry, static_cast<std::size_t>(count), with_values);
  } else {
    announce(ctx, keyspace::hash_length(entry), with_values);
    keyspace::hash_for_each(entry, [&](std::string_view field, const ValueView& value) {
      reply_field(ctx, field, value, with_values);
    });
  }
}

}  // namespace holdfast::commands
