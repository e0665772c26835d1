// CLIENT and its subcommands. MAINT_NOTIFICATIONS, CAPA, TRACKING and CACHING are not among them:
// drivers take the error for an unknown subcommand as "this server has none", and anything else for
// a promise.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/text.hpp"
#include "server/commands/client_handlers.hpp"
#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/table.hpp"

namespace holdfast::commands {

namespace {

enum class ClientType { kNormal, kReplica, kPubSub, kPrimary };

// Replies the error if there is no such type.
std::optional<ClientType> type_argument(CommandContext& ctx, std::size_t index) {
  if (ctx.argument_is(index, "normal")) return ClientType::kNormal;
  if (ctx.argument_is(index, "slave") || ctx.argument_is(index, "replica"))
    return ClientType::kReplica;
  if (ctx.argument_is(index, "pubsub")) return ClientType::kPubSub;
  if (ctx.argument_is(index, "master")) return ClientType::kPrimary;
  ctx.error(fmt::format("ERR Unknown client type '{}'", until_nul(ctx.argument(index))));
  return std::nullopt;
}

// All connections are of ordinary clients: nobody replicates from or to here, and nobody subscribes
// yet.
ClientType type_of_client(const client::Client&) {
  return ClientType::kNormal;
}

// Killed, by this turn's commands: the connection is closed when the turn ends, and counts as gone.
bool is_killed(const client::Client& one) {
  return one.fate == client::Fate::kCloseNow;
}

std::string line_of(CommandContext& ctx, const client::Client& one) {
  const std::string_view command = one.last_command != nullptr ? one.last_command->name : "NULL";
  return describe_client(one, command, ctx.now().mono_us) + "\n";
}

void client_id(CommandContext& ctx) {
  ctx.reply().integer(static_cast<std::int64_t>(ctx.client().id.value));
}

void client_info(CommandContext& ctx) {
  ctx.reply().verbatim(line_of(ctx, ctx.client()));
}

void client_list(CommandContext& ctx) {
  std::string lines;
  if (ctx.argument_count() > 3 && ctx.argument_is(2, "id")) {
    for (std::size_t i = 3; i < ctx.argument_count(); ++i) {
      const auto id = ctx.integer_argument(i, "ERR Invalid client ID");
      if (!id) return;
      const client::Client* one =
          *id > 0 ? ctx.server().clients.find(ClientId{static_cast<std::uint64_t>(*id)}) : nullptr;
      if (one != nullptr && !is_killed(*one)) lines += line_of(ctx, *one);
    }
    ctx.reply().verbatim(lines);
    return;
  }
  std::optional<ClientType> type;
  if (ctx.argument_count() == 4 && ctx.argument_is(2, "type")) {
    type = type_argument(ctx, 3);
    if (!type) return;
  } else if (ctx.argument_count() != 2) {
    ctx.error(kSyntaxError);
    return;
  }
  ctx.server().clients.for_each([&](const client::Client& one) {
    if (is_killed(one)) return;
    if (!type || type_of_client(one) == *type) lines += line_of(ctx, one);
  });
  ctx.reply().verbatim(lines);
}

struct KillFilter {
  std::optional<std::string_view> address;
  std::optional<std::string_view> local_address;
  std::optional<std::uint64_t> id;
  std::optional<ClientType> type;
  bool skip_me = true;

  bool matches(const client::Client& one) const {
    return (!address || one.info.peer_address == *address) &&
           (!local_address || one.info.local_address == *local_address) &&
           (!id || one.id.value == *id) && (!type || type_of_client(one) == *type);
  }
};

// Replies the error if the options are wrong.
std::optional<KillFilter> kill_filter(CommandContext& ctx) {
  KillFilter filter;
  for (std::size_t i = 2; i < ctx.argument_count(); i += 2) {
    if (i + 1 == ctx.argument_count()) {
      ctx.error(kSyntaxError);
      return std::nullopt;
    }
    if (ctx.argument_is(i, "id")) {
      constexpr std::string_view kIdError = "ERR client-id should be greater than 0";
      const auto id = ctx.integer_argument(i + 1, kIdError);
      if (!id) return std::nullopt;
      if (*id < 1) {
        ctx.error(kIdError);
        return std::nullopt;
      }
      filter.id = static_cast<std::uint64_t>(*id);
    } else if (ctx.argument_is(i, "type")) {
      filter.type = type_argument(ctx, i + 1);
      if (!filter.type) return std::nullopt;
    } else if (ctx.argument_is(i, "addr")) {
      filter.address = ctx.argument(i + 1);
    } else if (ctx.argument_is(i, "laddr")) {
      filter.local_address = ctx.argument(i + 1);
    } else if (ctx.argument_is(i, "user")) {
      if (ctx.argument(i + 1) != "default") {  // everybody is the default user
        ctx.error(fmt::format("ERR No such user '{}'", until_nul(ctx.argument(i + 1))));
        return std::nullopt;
      }
    } else if (ctx.argument_is(i, "skipme")) {
      if (!two_words(ctx, i + 1, "yes", "no", filter.skip_me)) return std::nullopt;
    } else {
      ctx.error(kSyntaxError);
      return std::nullopt;
    }
  }
  return filter;
}

void client_kill(CommandContext& ctx) {
  const bool old_form = ctx.argument_count() == 3;
  std::optional<KillFilter> filter;
  if (old_form) {
    filter = KillFilter{};
    filter->address = ctx.argument(2);
    filter->skip_me = false;
  } else {
    filter = kill_filter(ctx);
  }
  if (!filter) return;
  std::vector<HostEffects::Close>& close = ctx.server().effects.close;
  std::int64_t killed = 0;
  ctx.server().clients.for_each([&](client::Client& one) {
    if (is_killed(one) || !filter->matches(one)) return;
    if (&one == &ctx.client()) {
      if (filter->skip_me) return;
      one.fate = client::Fate::kCloseAfterReply;
    } else {
      one.fate = client::Fate::kCloseNow;
      close.push_back({one.id, "killed"});
    }
    ++killed;
  });
  if (!old_form) {
    ctx.reply().integer(killed);
  } else if (killed == 0) {
    ctx.error("ERR No such client");
  } else {
    ctx.reply().ok();
  }
}

void client_getname(CommandContext& ctx) {
  if (ctx.client().name.empty()) {
    ctx.reply().null();
  } else {
    ctx.reply().bulk(ctx.client().name);
  }
}

void client_setname(CommandContext& ctx) {
  if (set_client_name(ctx, ctx.argument(2))) ctx.reply().ok();
}

void client_setinfo(CommandContext& ctx) {
  std::string* attribute = nullptr;
  std::string_view shown;
  if (ctx.argument_is(2, "lib-name")) {
    attribute = &ctx.client().library_name;
    shown = "lib-name";
  } else if (ctx.argument_is(2, "lib-ver")) {
    attribute = &ctx.client().library_version;
    shown = "lib-ver";
  } else {
    ctx.error(fmt::format("ERR Unrecognized option '{}'", until_nul(ctx.argument(2))));
    return;
  }
  if (!is_plain_word(ctx.argument(3))) {
    ctx.error(fmt::format("ERR {} cannot contain spaces, newlines or special characters.", shown));
    return;
  }
  *attribute = ctx.argument(3);
  ctx.reply().ok();
}

void client_no_evict(CommandContext& ctx) {
  if (two_words(ctx, 2, "on", "off", ctx.client().no_evict)) ctx.reply().ok();
}

void client_no_touch(CommandContext& ctx) {
  if (two_words(ctx, 2, "on", "off", ctx.client().no_touch)) ctx.reply().ok();
}

void client_reply(CommandContext& ctx) {
  client::ReplyMode& mode = ctx.client().reply_mode;
  if (ctx.argument_is(2, "on")) {
    mode = client::ReplyMode::kOn;
    ctx.reply().ok();
  } else if (ctx.argument_is(2, "off")) {
    mode = client::ReplyMode::kOff;
  } else if (ctx.argument_is(2, "skip")) {
    if (mode != client::ReplyMode::kOff) ctx.client().skips_next = true;
  } else {
    ctx.error(kSyntaxError);
  }
}

void client_pause(CommandContext& ctx) {
  if (ctx.argument_count() > 4) {
    subcommand_error(ctx, "CLIENT");
    return;
  }
  PauseMode mode = PauseMode::kAll;
  if (ctx.argument_count() == 4) {
    if (ctx.argument_is(3, "write")) {
      mode = PauseMode::kWrites;
    } else if (!ctx.argument_is(3, "all")) {
      ctx.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
      return;
    }
  }
  const auto timeout_ms = ctx.integer_argument(2, "ERR timeout is not an integer or out of range");
  if (!timeout_ms) return;
  const UnixMs now = ctx.now().unix_ms;
  if (*timeout_ms < 0) {
    ctx.error("ERR timeout is negative");
    return;
  }
  if (*timeout_ms > std::numeric_limits<std::int64_t>::max() - now) {
    ctx.error("ERR timeout is out of range");
    return;
  }
  // A pause under way is only made longer and wider.
  Pause& pause = ctx.server().pause;
  const PauseMode before = pause.at(now);
  pause.until = std::max(before == PauseMode::kNone ? 0 : pause.until, now + *timeout_ms);
  pause.mode = std::max(before, mode);
  ctx.reply().ok();
}

void client_unpause(CommandContext& ctx) {
  ctx.server().pause = {};
  ctx.reply().ok();
}

void client_getredir(CommandContext& ctx) {
  ctx.reply().integer(-1);
}

void client_trackinginfo(CommandContext& ctx) {
  ctx.reply().map(3);
  ctx.reply().bulk("flags");
  ctx.reply().set(1);
  ctx.reply().bulk("off");
  ctx.reply().bulk("redirect");
  ctx.reply().integer(-1);
  ctx.reply().bulk("prefixes");
  ctx.reply().array(0);
}

// The node answers for the command that is ended.
void client_unblock(CommandContext& ctx) {
  if (ctx.argument_count() > 4) {
    subcommand_error(ctx, "CLIENT");
    return;
  }
  const bool as_error = ctx.argument_count() == 4 && ctx.argument_is(3, "error");
  if (ctx.argument_count() == 4 && !as_error && !ctx.argument_is(3, "timeout")) {
    ctx.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    return;
  }
  const auto id = ctx.integer_argument(2);
  if (!id) return;
  client::Client* one = ctx.server().clients.find(ClientId{static_cast<std::uint64_t>(*id)});
  if (one == nullptr || is_killed(*one) || !one->is_blocked()) return ctx.reply().integer(0);
  using End = client::Client::AwaitedReplicas::End;
  one->awaits_replicas->end = as_error ? End::kAsError : End::kAsTimedOut;
  ctx.reply().integer(1);
}

void client_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "GETNAME",
      "    Show this connection's name.",
      "GETREDIR",
      "    Show the client that tracking messages go to (-1: there is no tracking).",
      "ID",
      "    Show this connection's number.",
      "INFO",
      "    Describe this connection.",
      "KILL <ip:port>",
      "    Close the connection from that address.",
      "KILL <option> <value> [<option> <value> [...]]",
      "    Close all connections that fit every option:",
      "    * ADDR (<ip:port>|<unixsocket>:0)",
      "      The address that the connection comes from.",
      "    * ID <client-id>",
      "      The connection's number.",
      "    * LADDR (<ip:port>|<unixsocket>:0)",
      "      The address that it was made to.",
      "    * SKIPME (YES|NO)",
      "      Whether this connection is left alone (default: yes).",
      "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
      "      The kind of client.",
      "    * USER <username>",
      "      The user that it is authenticated as.",
      "LIST [TYPE <type> | ID <client-id> ...]",
      "    Describe connections, one a line.",
      "NO-EVICT (ON|OFF)",
      "    Accepted; connections are never evicted.",
      "NO-TOUCH (ON|OFF)",
      "    Whether this connection's reads leave access times alone.",
      "PAUSE <milliseconds> [WRITE|ALL]",
      "    Hold back all commands, or those that write.",
      "REPLY (ON|OFF|SKIP)",
      "    Whether commands of this connection are answered.",
      "SETINFO (LIB-NAME|LIB-VER) <value>",
      "    Tell the client library's name or version.",
      "SETNAME <name>",
      "    Name this connection; an empty name takes it away.",
      "TRACKINGINFO",
      "    Show the state of tracking (always off).",
      "UNBLOCK <client-id> [TIMEOUT|ERROR]",
      "    End the WAIT of a connection, as if its time were up (default) or with an error.",
      "UNPAUSE",
      "    End a pause.",
  };
  reply_help(ctx, "CLIENT", kLines);
}

constexpr std::uint32_t kOwn = kNoScript | kLoading | kStale;
constexpr std::uint32_t kOthers = kOwn | kAdmin;

const CommandSpec kSubcommands[] = {
    {"client|getname", 2, kOwn, {}, "@connection", client_getname},
    {"client|getredir", 2, kOwn, {}, "@connection", client_getredir},
    {"client|help", 2, kLoading | kStale, {}, "@connection", client_help},
    {"client|id", 2, kOwn, {}, "@connection", client_id},
    {"client|info", 2, kOwn, {}, "@connection", client_info},
    {"client|kill", -3, kOthers, {}, "@connection", client_kill},
    {"client|list", -2, kOthers, {}, "@connection", client_list},
    {"client|no-evict", 3, kOthers, {}, "@connection", client_no_evict},
    {"client|no-touch", 3, kOwn, {}, "@connection", client_no_touch},
    {"client|pause", -3, kOthers, {}, "@connection", client_pause},
    {"client|reply", 3, kOwn, {}, "@connection", client_reply},
    {"client|setinfo", 4, kOwn, {}, "@connection", client_setinfo},
    {"client|setname", 3, kOwn, {}, "@connection", client_setname},
    {"client|trackinginfo", 2, kOwn, {}, "@connection", client_trackinginfo},
    {"client|unblock", -3, kOthers, {}, "@connection", client_unblock},
    {"client|unpause", 2, kOthers, {}, "@connection", client_unpause},
};

const CommandSpec kCommands[] = {
    {"client", -2, 0, {}, "", nullptr, kSubcommands},
};

}  // namespace

std::span<const CommandSpec> client_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
