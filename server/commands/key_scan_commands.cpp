// Commands about all keys of a database: KEYS, SCAN, RANDOMKEY. They pass over overdue keys without
// deleting them.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "server/commands/context.hpp"
#include "server/commands/key_handlers.hpp"
#include "server/commands/scan_options.hpp"
#include "server/keyspace/entry.hpp"
#include "server/keyspace/table.hpp"

namespace holdfast::commands {

using keyspace::Entry;
using keyspace::is_expired;
using keyspace::Table;

namespace {

constexpr std::size_t kKeysStep = 1024;
constexpr int kRandomTries = 100;

void reply_keys(CommandContext& ctx, const std::vector<std::string_view>& found) {
  ctx.reply().array(found.size());
  for (const std::string_view key : found) ctx.reply().bulk(key);
}

}  // namespace

void keys(CommandContext& ctx) {
  const std::string_view pattern = ctx.argument(1);
  const bool all = pattern == "*";
  const UnixMs now = ctx.now().unix_ms;
  std::vector<std::string_view> found;
  std::uint64_t cursor = 0;
  do {
    cursor = ctx.table().scan(cursor, kKeysStep, [&](const Entry* entry, UnixMs expire_at) {
      if (is_expired(expire_at, now)) return;
      if (all || glob_match(pattern, entry->key())) found.push_back(entry->key());
    });
  } while (cursor != 0);
  reply_keys(ctx, found);
}

void scan(CommandContext& ctx) {
  const auto cursor = cursor_argument(ctx, 1);
  if (!cursor.has_value()) return;
  const auto options = scan_options(ctx, 2, true);
  if (!options.has_value()) return;
  const UnixMs now = ctx.now().unix_ms;
  std::vector<std::string_view> found;
  const std::uint64_t next =
      ctx.table().scan(*cursor, options->count, [&](const Entry* entry, UnixMs expire_at) {
        if (is_expired(expire_at, now) || !options->matches(entry->key())) return;
        if (options->type.has_value() && !equals_ignoring_case(*options->type, type_name(*entry))) {
          return;
        }
        found.push_back(entry->key());
      });
  ctx.reply().array(2);
  ctx.reply().bulk_integer(static_cast<std::int64_t>(next));
  reply_keys(ctx, found);
}

void randomkey(CommandContext& ctx) {
  const Table& table = ctx.table();
  const UnixMs now = ctx.now().unix_ms;
  for (int tries = 0; tries < kRandomTries && !table.empty(); ++tries) {
    const Entry* entry = table.random_entry(ctx.random());
    if (is_expired(table.expiry(table.find(entry->key())), now)) continue;
    ctx.reply().bulk(entry->key());
    return;
  }
  // Nearly all keys are overdue, or all: take the first that is not.
  const Entry* found = nullptr;
  std::uint64_t cursor = 0;
  do {
    cursor = table.scan(cursor, kKeysStep, [&](const Entry* entry, UnixMs expire_at) {
      if (found == nullptr && !is_expired(expire_at, now)) found = entry;
    });
  } while (cursor != 0 && found == nullptr);
  if (found == nullptr) {
    ctx.reply().null();
  } else {
    ctx.reply().bulk(found->key());
  }
}

}  // namespace holdfast::commands
