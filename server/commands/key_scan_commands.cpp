// Commands about all keys of a database: KEYS, SCAN, RANDOMKEY. An overdue key that they would have
// listed goes through the door, which deletes it: otherwise a next primary, whose clock is slower,
// could list it again.
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

// Keys as views into their entries, which stay where they are while a command runs: what is deleted
// goes to the retire ring.
using Keys = std::vector<std::string_view>;

// Not while a scan is under way.
void drop_overdue(CommandContext& ctx, Keys& overdue) {
  for (const std::string_view key : overdue) ctx.peek(key);
  overdue.clear();
}

void reply_keys(CommandContext& ctx, const Keys& found) {
  ctx.reply().array(found.size());
  for (const std::string_view key : found) ctx.reply().bulk(key);
}

}  // namespace

void keys(CommandContext& ctx) {
  const std::string_view pattern = ctx.argument(1);
  const bool all = pattern == "*";
  const UnixMs now = ctx.now().unix_ms;
  Keys found;
  Keys overdue;
  std::uint64_t cursor = 0;
  do {
    cursor = ctx.table().scan(cursor, kKeysStep, [&](const Entry* entry, UnixMs expire_at) {
      if (!all && !glob_match(pattern, entry->key())) return;
      (is_expired(expire_at, now) ? overdue : found).push_back(entry->key());
    });
    drop_overdue(ctx, overdue);
  } while (cursor != 0);
  reply_keys(ctx, found);
}

void scan(CommandContext& ctx) {
  const auto cursor = cursor_argument(ctx, 1);
  if (!cursor.has_value()) return;
  const auto options = scan_options(ctx, 2, true);
  if (!options.has_value()) return;
  const UnixMs now = ctx.now().unix_ms;
  Keys found;
  Keys overdue;
  const std::uint64_t next =
      ctx.table().scan(*cursor, options->count, [&](const Entry* entry, UnixMs expire_at) {
        if (!options->matches(entry->key())) return;
        if (options->type.has_value() && !equals_ignoring_case(*options->type, type_name(*entry))) {
          return;
        }
        (is_expired(expire_at, now) ? overdue : found).push_back(entry->key());
      });
  drop_overdue(ctx, overdue);
  ctx.reply().array(2);
  ctx.reply().bulk_integer(static_cast<std::int64_t>(next));
  reply_keys(ctx, found);
}

void randomkey(CommandContext& ctx) {
  const Table& table = ctx.table();
  for (int tries = 0; tries < kRandomTries && !table.empty(); ++tries) {
    const std::string_view key = table.random_entry(ctx.random())->key();
    if (!ctx.peek(key)) continue;
    ctx.reply().bulk(key);
    return;
  }
  // Nearly all keys are overdue, or all: take the first that is not. That there is none may be said
  // only once all are deleted.
  const UnixMs now = ctx.now().unix_ms;
  const Entry* found = nullptr;
  Keys overdue;
  std::uint64_t cursor = 0;
  do {
    cursor = table.scan(cursor, kKeysStep, [&](const Entry* entry, UnixMs expire_at) {
      if (is_expired(expire_at, now)) {
        overdue.push_back(entry->key());
      } else if (found == nullptr) {
        found = entry;
      }
    });
    drop_overdue(ctx, overdue);
  } while (cursor != 0 && found == nullptr);
  if (found == nullptr) {
    ctx.reply().null();
  } else {
    ctx.reply().bulk(found->key());
  }
}

}  // namespace holdfast::commands
