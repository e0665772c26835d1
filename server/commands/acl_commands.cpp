// ACL and MODULE as far as tools ask: one user, "default", who may do everything, and no modules.
#include <fmt/format.h>

#include <string>

#include "base/sha256.hpp"
#include "server/commands/acl_categories.hpp"
#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/server_handlers.hpp"
#include "server/commands/table.hpp"

namespace holdfast::commands {

namespace {

// Of the password, as Redis shows it; empty if there is none.
std::string password_hash(CommandContext& ctx) {
  const std::string& password = ctx.server().options.security.requirepass;
  return password.empty() ? std::string() : sha256_hex(password);
}

void acl_cat(CommandContext& ctx) {
  if (ctx.argument_count() > 3) {
    subcommand_error(ctx, "ACL");
    return;
  }
  if (ctx.argument_count() == 2) {
    ctx.reply().array(acl_categories().size());
    for (const std::string_view category : acl_categories()) ctx.reply().bulk(category);
    return;
  }
  const auto category = find_acl_category(ctx.argument(2));
  if (!category) {
    ctx.error(fmt::format("ERR Unknown category '{}'", until_nul(ctx.argument(2))));
    return;
  }
  std::vector<std::string_view> names;
  const auto add = [&](const CommandSpec& spec) {
    if (is_in_category(spec, *category)) names.push_back(spec.name);
  };
  for (const CommandSpec* spec : all_commands()) {
    if (spec->subcommands.empty()) add(*spec);
    for (const CommandSpec& subcommand : spec->subcommands) add(subcommand);
  }
  ctx.reply().array(names.size());
  for (const std::string_view name : names) ctx.reply().bulk(name);
}

void acl_getuser(CommandContext& ctx) {
  if (ctx.argument(2) != "default") {
    ctx.reply().null();
    return;
  }
  const std::string hash = password_hash(ctx);
  resp::ReplyWriter& reply = ctx.reply();
  reply.map(6);
  reply.bulk("flags");
  reply.set(hash.empty() ? 2 : 1);
  reply.bulk("on");
  if (hash.empty()) reply.bulk("nopass");
  reply.bulk("passwords");
  reply.array(hash.empty() ? 0 : 1);
  if (!hash.empty()) reply.bulk(hash);
  reply.bulk("commands");
  reply.bulk("+@all");
  reply.bulk("keys");
  reply.bulk("~*");
  reply.bulk("channels");
  reply.bulk("&*");
  reply.bulk("selectors");
  reply.array(0);
}

void acl_list(CommandContext& ctx) {
  const std::string hash = password_hash(ctx);
  ctx.reply().array(1);
  ctx.reply().bulk(
      fmt::format("user default on {} ~* &* +@all", hash.empty() ? "nopass" : "#" + hash));
}

void acl_users(CommandContext& ctx) {
  ctx.reply().array(1);
  ctx.reply().bulk("default");
}

void acl_whoami(CommandContext& ctx) {
  ctx.reply().bulk("default");
}

void acl_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "CAT [<category>]",
      "    List the categories, or the commands of one.",
      "GETUSER <username>",
      "    Show what a user may do.",
      "LIST",
      "    Show all users in the form of a configuration file.",
      "USERS",
      "    List the names of all users.",
      "WHOAMI",
      "    Show the user of this connection.",
  };
  reply_help(ctx, "ACL", kLines);
}

void module_list(CommandContext& ctx) {
  ctx.reply().array(0);
}

void module_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "LIST",
      "    List the loaded modules (there are never any).",
  };
  reply_help(ctx, "MODULE", kLines);
}

const CommandSpec kAcl[] = {
    {"acl|cat", -2, kNoScript | kLoading | kStale, {}, "", acl_cat},
    {"acl|getuser", 3, kAdminFlags, {}, "", acl_getuser},
    {"acl|help", 2, kLoading | kStale, {}, "", acl_help},
    {"acl|list", 2, kAdminFlags, {}, "", acl_list},
    {"acl|users", 2, kAdminFlags, {}, "", acl_users},
    {"acl|whoami", 2, kNoScript | kLoading | kStale, {}, "", acl_whoami},
};

const CommandSpec kModule[] = {
    {"module|help", 2, kLoading | kStale, {}, "", module_help},
    {"module|list", 2, kAdmin | kNoScript, {}, "", module_list},
};

}  // namespace

std::span<const CommandSpec> acl_subcommands() {
  return kAcl;
}
std::span<const CommandSpec> module_subcommands() {
  return kModule;
}

}  // namespace holdfast::commands
