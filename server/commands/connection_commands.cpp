// PING, ECHO, QUIT, RESET, AUTH, HELLO, SELECT: a connection's own state. There is one user,
// "default".
#include <fmt/format.h>

#include <limits>

#include "base/text.hpp"
#include "server/commands/client_handlers.hpp"
#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/table.hpp"
#include "server/commands/version.hpp"

namespace holdfast::commands {

namespace {

constexpr std::string_view kDefaultUser = "default";
constexpr std::string_view kWrongPasswordError =
    "WRONGPASS invalid username-password pair or user is disabled.";

// Takes a time that depends on the length of what was given, and on nothing of what is secret.
bool equals_in_constant_time(std::string_view given, std::string_view secret) {
  std::size_t difference = given.size() ^ secret.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char other = i < secret.size() ? secret[i] : '\0';
    difference |= static_cast<unsigned char>(given[i] ^ other);
  }
  return difference == 0;
}

void set_authenticated(client::Client& client, bool authenticated) {
  client.authenticated = authenticated;
  client.parser.limits().authenticated = authenticated;
}

bool authenticate(CommandContext& ctx, std::string_view user, std::string_view password) {
  const std::string& secret = ctx.server().options.security.requirepass;
  if (user != kDefaultUser || (!secret.empty() && !equals_in_constant_time(password, secret))) {
    ctx.error(kWrongPasswordError);
    return false;
  }
  set_authenticated(ctx.client(), true);
  return true;
}

void auth(CommandContext& ctx) {
  if (ctx.argument_count() > 3) {
    ctx.error(kSyntaxError);
    return;
  }
  const bool with_user = ctx.argument_count() == 3;
  if (!with_user && ctx.server().options.security.requirepass.empty()) {
    ctx.error(
        "ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?");
    return;
  }
  const std::string_view user = with_user ? ctx.argument(1) : kDefaultUser;
  if (authenticate(ctx, user, ctx.argument(with_user ? 2 : 1))) ctx.reply().ok();
}

void echo(CommandContext& ctx) {
  const keyspace::ValueView text = ctx.value(1);
  if (text.chunks != nullptr) {
    ctx.reply().bulk(*text.chunks);
  } else {
    ctx.reply().bulk(text.bytes);
  }
}

void ping(CommandContext& ctx) {
  if (ctx.argument_count() > 2) {
    ctx.error("ERR wrong number of arguments for 'ping' command");
  } else if (ctx.argument_count() == 2) {
    echo(ctx);
  } else {
    ctx.reply().simple("PONG");
  }
}

void reply_greeting(CommandContext& ctx) {
  resp::ReplyWriter& reply = ctx.reply();
  reply.map(7);
  reply.bulk("server");
  reply.bulk("redis");
  reply.bulk("version");
  reply.bulk(kRedisVersion);
  reply.bulk("proto");
  reply.integer(static_cast<int>(reply.version()));
  reply.bulk("id");
  reply.integer(static_cast<std::int64_t>(ctx.client().id.value));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  const Cluster* cluster = ctx.server().cluster;
  const bool is_master = cluster == nullptr || cluster->is_master(ctx.now().mono_us);
  reply.bulk(is_master ? "master" : "replica");
  reply.bulk("modules");
  reply.array(0);
}

// As in Redis 7.0, AUTH and SETNAME have taken effect when a later option turns out to be wrong.
void hello(CommandContext& ctx) {
  std::int64_t version = static_cast<int>(ctx.client().version);
  const std::size_t count = ctx.argument_count();
  if (count >= 2) {
    const auto asked =
        ctx.integer_argument(1, "ERR Protocol version is not an integer or out of range");
    if (!asked) return;
    if (*asked < 2 || *asked > 3) {
      ctx.error("NOPROTO unsupported protocol version");
      return;
    }
    version = *asked;
  }
  for (std::size_t i = 2; i < count; ++i) {
    const std::size_t left = count - 1 - i;
    if (ctx.argument_is(i, "auth") && left >= 2) {
      if (!authenticate(ctx, ctx.argument(i + 1), ctx.argument(i + 2))) return;
      i += 2;
    } else if (ctx.argument_is(i, "setname") && left >= 1) {
      if (!set_client_name(ctx, ctx.argument(i + 1))) return;
      i += 1;
    } else {
      ctx.error(fmt::format("ERR Syntax error in HELLO option '{}'", until_nul(ctx.argument(i))));
      return;
    }
  }
  if (!ctx.client().authenticated) {
    ctx.error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH <user> <pass> option can be used to authenticate the client and select the RESP "
        "protocol version at the same time");
    return;
  }
  ctx.client().version = version == 3 ? resp::Version::kResp3 : resp::Version::kResp2;
  ctx.reply().set_version(ctx.client().version);
  reply_greeting(ctx);
}

void quit(CommandContext& ctx) {
  ctx.reply().ok();
  ctx.client().fate = client::Fate::kCloseAfterReply;
}

void reset(CommandContext& ctx) {
  client::Client& client = ctx.client();
  client.transaction = {};
  ctx.server().watches.forget(client);
  client.database = 0;
  client.name.clear();
  client.reply_mode = client::ReplyMode::kOn;
  client.skips_next = false;
  client.no_touch = false;
  client.no_evict = false;
  client.reads_replica = false;
  client.version = resp::Version::kResp2;
  set_authenticated(client, ctx.server().options.security.requirepass.empty());
  ctx.reply().set_version(client.version);
  ctx.reply().simple("RESET");
}

void select(CommandContext& ctx) {
  const auto index = ctx.integer_argument(1);
  if (!index) return;
  if (*index < std::numeric_limits<std::int32_t>::min() ||
      *index > std::numeric_limits<std::int32_t>::max()) {
    ctx.error("ERR value is out of range, value must between -2147483648 and 2147483647");
    return;
  }
  if (*index < 0 || *index >= static_cast<std::int64_t>(ctx.server().keyspace.database_count())) {
    ctx.error("ERR DB index is out of range");
    return;
  }
  ctx.client().database = static_cast<keyspace::DatabaseIndex>(*index);
  ctx.reply().ok();
}

constexpr std::uint32_t kAlways = kNoScript | kLoading | kStale | kFast | kNoAuth | kAllowBusy;

const CommandSpec kCommands[] = {
    {"auth", -2, kAlways, {}, "@connection", auth},
    {"echo", 2, kLoading | kStale | kFast, {}, "@connection", echo},
    {"hello", -1, kAlways, {}, "@connection", hello},
    {"ping", -1, kFast, {}, "@connection", ping},
    {"quit", -1, kAlways | kNoQueue, {}, "@connection", quit},
    {"reset", 1, kAlways | kNoQueue, {}, "@connection", reset},
    {"select", 2, kLoading | kStale | kFast, {}, "@connection", select},
};

}  // namespace

std::span<const CommandSpec> connection_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
