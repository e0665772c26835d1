// MULTI, EXEC, DISCARD, WATCH, UNWATCH. Queueing itself is the node's; a whole EXEC is one log
// entry.
#include <fmt/format.h>

#include <utility>

#include "server/commands/context.hpp"
#include "server/commands/table.hpp"

namespace holdfast::commands {

namespace {

void end_transaction(CommandContext& ctx) {
  ctx.client().transaction = {};
  ctx.server().watches.forget(ctx.client());
}

void multi(CommandContext& ctx) {
  if (ctx.client().transaction.active) {
    ctx.error("ERR MULTI calls can not be nested");
    return;
  }
  ctx.client().transaction.active = true;
  ctx.reply().ok();
}

void discard(CommandContext& ctx) {
  if (!ctx.client().transaction.active) {
    ctx.error("ERR DISCARD without MULTI");
    return;
  }
  end_transaction(ctx);
  ctx.reply().ok();
}

void exec(CommandContext& ctx) {
  client::Transaction& transaction = ctx.client().transaction;
  if (!transaction.active) {
    ctx.error("ERR EXEC without MULTI");
    return;
  }
  if (transaction.failed) {
    end_transaction(ctx);
    ctx.error("EXECABORT Transaction discarded because of previous errors.");
    return;
  }
  // A watched key whose time has come is deleted by this look, and the deletion marks the
  // transaction.
  const auto watched = ctx.client().watched;
  for (const client::WatchedKey& one : watched) ctx.peek(one.database, one.key);
  if (transaction.dirty) {
    end_transaction(ctx);
    ctx.reply().null_array();
    return;
  }
  // Until all of it is done, CLIENT LIST shows the transaction; nothing that can be queued ends it.
  ctx.server().watches.forget(ctx.client());
  if (ctx.is_heard()) ctx.reply().array(transaction.queue.size());
  for (const client::QueuedCommand& queued : transaction.queue) {
    ctx.run_inside(*queued.spec, queued.request.arguments());
  }
  end_transaction(ctx);
}

void watch(CommandContext& ctx) {
  if (ctx.client().transaction.active) {
    ctx.error("ERR WATCH inside MULTI is not allowed");
    return;
  }
  if (!ctx.client().transaction.dirty) {
    for (std::size_t i = 1; i < ctx.argument_count(); ++i) {
      ctx.peek(ctx.argument(i));  // an overdue key counts as absent from the start
      ctx.server().watches.watch(ctx.client(), ctx.database(), ctx.argument(i));
    }
  }
  ctx.reply().ok();
}

void unwatch(CommandContext& ctx) {
  ctx.server().watches.forget(ctx.client());
  ctx.reply().ok();
}

constexpr std::uint32_t kTransactionFlags = kNoScript | kLoading | kStale | kFast | kAllowBusy;

const CommandSpec kCommands[] = {
    {"discard", 1, kTransactionFlags | kNoQueue, {}, "@transaction", discard},
    {"exec", 1, kNoScript | kLoading | kStale | kSkipSlowlog | kNoQueue, {}, "@transaction", exec},
    {"multi", 1, kTransactionFlags | kNoQueue, {}, "@transaction", multi},
    {"unwatch", 1, kTransactionFlags, {}, "@transaction", unwatch},
    {"watch", -2, kTransactionFlags | kNoQueue, {1, -1, 1}, "@transaction", watch},
};

}  // namespace

std::span<const CommandSpec> transaction_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
