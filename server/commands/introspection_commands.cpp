// COMMAND and its subcommands: the table, told to drivers, proxies and redis-cli.
#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "server/commands/acl_categories.hpp"
#include "server/commands/command_arguments.hpp"
#include "server/commands/command_docs.hpp"
#include "server/commands/command_facts.hpp"
#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/table.hpp"

namespace holdfast::commands {

namespace {

struct NamedFlag {
  Flag flag;
  std::string_view name;
};

// In Redis's order. kNoQueue and kMovableKeys of containers have no name here.
constexpr NamedFlag kFlagNames[] = {
    {kWrite, "write"},
    {kReadonly, "readonly"},
    {kDenyOom, "denyoom"},
    {kAdmin, "admin"},
    {kPubSub, "pubsub"},
    {kNoScript, "noscript"},
    {kBlocking, "blocking"},
    {kLoading, "loading"},
    {kStale, "stale"},
    {kSkipMonitor, "skip_monitor"},
    {kSkipSlowlog, "skip_slowlog"},
    {kFast, "fast"},
    {kNoAuth, "no_auth"},
    {kMayReplicate, "may_replicate"},
    {kNoAsyncLoading, "no_async_loading"},
    {kNoMulti, "no_multi"},
    {kMovableKeys, "movablekeys"},
    {kAllowBusy, "allow_busy"},
};

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, space));
    text.remove_prefix(std::min(text.size(), space + 1));
  }
  return words;
}

void reply_status_set(resp::ReplyWriter& reply, std::string_view words_text) {
  const auto words = words_of(words_text);
  reply.set(words.size());
  for (const std::string_view word : words) reply.simple(word);
}

void reply_flags(resp::ReplyWriter& reply, const CommandSpec& spec) {
  std::size_t count = 0;
  for (const NamedFlag& one : kFlagNames) count += spec.has(one.flag) ? 1 : 0;
  reply.set(count);
  for (const NamedFlag& one : kFlagNames) {
    if (spec.has(one.flag)) reply.simple(one.name);
  }
}

void reply_categories(resp::ReplyWriter& reply, const CommandSpec& spec) {
  std::vector<std::size_t> mine;
  for (std::size_t i = 0; i < acl_categories().size(); ++i) {
    if (is_in_category(spec, i)) mine.push_back(i);
  }
  reply.set(mine.size());
  for (const std::size_t i : mine) reply.simple(fmt::format("@{}", acl_categories()[i]));
}

void reply_key_specification(resp::ReplyWriter& reply, const KeySpecification& keys) {
  reply.map(keys.notes.empty() ? 3 : 4);
  if (!keys.notes.empty()) {
    reply.bulk("notes");
    reply.bulk(keys.notes);
  }
  reply.bulk("flags");
  reply_status_set(reply, keys.flags);
  reply.bulk("begin_search");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("index");
  reply.bulk("spec");
  reply.map(1);
  reply.bulk("index");
  reply.integer(keys.begin);
  reply.bulk("find_keys");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("range");
  reply.bulk("spec");
  reply.map(3);
  reply.bulk("lastkey");
  reply.integer(keys.last);
  reply.bulk("keystep");
  reply.integer(keys.step);
  reply.bulk("limit");
  reply.integer(0);
}

void reply_command(resp::ReplyWriter& reply, const CommandSpec& spec) {
  reply.array(10);
  reply.bulk(spec.name);
  reply.integer(spec.arity);
  reply_flags(reply, spec);
  reply.integer(spec.keys.first);
  reply.integer(spec.keys.last);
  reply.integer(spec.keys.step);
  reply_categories(reply, spec);
  const auto tips = words_of(command_tips(spec));
  reply.set(tips.size());
  for (const std::string_view tip : tips) reply.bulk(tip);
  const auto keys = key_specifications(spec);
  reply.set(keys.size());
  for (const KeySpecification& one : keys) reply_key_specification(reply, one);
  if (spec.subcommands.empty()) return reply.set(0);  // as in Redis: a set if empty
  reply.array(spec.subcommands.size());
  for (const CommandSpec& subcommand : spec.subcommands) reply_command(reply, subcommand);
}

void command(CommandContext& ctx) {
  ctx.reply().array(all_commands().size());
  for (const CommandSpec* spec : all_commands()) reply_command(ctx.reply(), *spec);
}

void command_count(CommandContext& ctx) {
  ctx.reply().integer(static_cast<std::int64_t>(all_commands().size()));
}

void command_info(CommandContext& ctx) {
  if (ctx.argument_count() == 2) {
    command(ctx);
    return;
  }
  ctx.reply().array(ctx.argument_count() - 2);
  for (std::size_t i = 2; i < ctx.argument_count(); ++i) {
    const CommandSpec* spec = find_by_full_name(ctx.argument(i));
    if (spec == nullptr) {
      ctx.reply().null();
    } else {
      reply_command(ctx.reply(), *spec);
    }
  }
}

void reply_arguments(resp::ReplyWriter& reply, const std::vector<CommandArgument>& arguments) {
  reply.array(arguments.size());
  for (const CommandArgument& one : arguments) {
    const std::pair<std::string_view, std::string_view> texts[] = {
        {"token", one.token}, {"since", one.since}, {"deprecated_since", one.deprecated_since}};
    std::size_t fields = 2;
    if (one.key_specification >= 0) ++fields;
    for (const auto& [name, text] : texts) fields += text.empty() ? 0 : 1;
    if (one.optional || one.multiple) ++fields;
    if (!one.arguments.empty()) ++fields;
    reply.map(fields);
    reply.bulk("name");
    reply.bulk(one.name);
    reply.bulk("type");
    reply.bulk(one.type);
    if (one.key_specification >= 0) {
      reply.bulk("key_spec_index");
      reply.integer(one.key_specification);
    }
    for (const auto& [name, text] : texts) {
      if (text.empty()) continue;
      reply.bulk(name);
      reply.bulk(text);
    }
    if (one.optional || one.multiple) {
      reply.bulk("flags");
      reply.set(one.optional && one.multiple ? 2 : 1);
      if (one.optional) reply.simple("optional");
      if (one.multiple) reply.simple("multiple");
    }
    if (!one.arguments.empty()) {
      reply.bulk("arguments");
      reply_arguments(reply, one.arguments);
    }
  }
}

void reply_documentation(resp::ReplyWriter& reply, const CommandSpec& spec) {
  const CommandDocs docs = docs_of(spec);
  const std::vector<CommandArgument> arguments = command_arguments(spec);
  reply.bulk(spec.name);
  reply.map(4 + (arguments.empty() ? 0 : 1) + (spec.subcommands.empty() ? 0 : 1));
  reply.bulk("summary");
  reply.bulk(docs.summary);
  reply.bulk("since");
  reply.bulk(docs.since);
  reply.bulk("group");
  reply.bulk(docs.group);
  reply.bulk("complexity");
  reply.bulk(docs.complexity);
  if (!arguments.empty()) {
    reply.bulk("arguments");
    reply_arguments(reply, arguments);
  }
  if (spec.subcommands.empty()) return;
  reply.bulk("subcommands");
  reply.map(spec.subcommands.size());
  for (const CommandSpec& subcommand : spec.subcommands) reply_documentation(reply, subcommand);
}

void command_docs(CommandContext& ctx) {
  std::vector<const CommandSpec*> wanted;
  if (ctx.argument_count() == 2) wanted.assign(all_commands().begin(), all_commands().end());
  for (std::size_t i = 2; i < ctx.argument_count(); ++i) {
    const CommandSpec* spec = find_by_full_name(ctx.argument(i));
    if (spec != nullptr) wanted.push_back(spec);
  }
  ctx.reply().map(wanted.size());
  for (const CommandSpec* spec : wanted) reply_documentation(ctx.reply(), *spec);
}

enum class ListFilter { kNone, kModule, kCategory, kPattern };

// COMMAND LIST [FILTERBY (MODULE|ACLCAT|PATTERN) value]. What names nothing that we have matches
// nothing.
void command_list(CommandContext& ctx) {
  ListFilter filter = ListFilter::kNone;
  std::optional<std::size_t> category;
  std::string_view wanted;
  if (ctx.argument_count() > 2) {
    if (ctx.argument_count() != 5 || !ctx.argument_is(2, "filterby")) {
      ctx.error(kSyntaxError);
      return;
    }
    wanted = ctx.argument(4);
    if (ctx.argument_is(3, "module")) {
      filter = ListFilter::kModule;
    } else if (ctx.argument_is(3, "aclcat")) {
      filter = ListFilter::kCategory;
      category = find_acl_category(wanted);
    } else if (ctx.argument_is(3, "pattern")) {
      filter = ListFilter::kPattern;
    } else {
      ctx.error(kSyntaxError);
      return;
    }
  }
  std::vector<std::string_view> names;
  const auto add = [&](const CommandSpec& spec) {
    switch (filter) {
      case ListFilter::kNone:
        break;
      case ListFilter::kModule:
        return;
      case ListFilter::kCategory:
        if (!category || !is_in_category(spec, *category)) return;
        break;
      case ListFilter::kPattern:
        if (!glob_match(wanted, spec.name, true)) return;
        break;
    }
    names.push_back(spec.name);
  };
  for (const CommandSpec* spec : all_commands()) {
    add(*spec);
    for (const CommandSpec& subcommand : spec->subcommands) add(subcommand);
  }
  ctx.reply().array(names.size());
  for (const std::string_view name : names) ctx.reply().bulk(name);
}

struct FoundKey {
  std::string_view key;
  std::string_view flags;
};

// SET with GET reads, too.
std::string_view flags_in(resp::Arguments arguments, const KeySpecification& keys) {
  if (keys.flags.find("variable_flags") == std::string_view::npos) return keys.flags;
  for (std::size_t i = 3; i < arguments.size(); ++i) {
    if (equals_ignoring_case(arguments[i].bytes, "get")) return "RW access update";
  }
  return "OW update";
}

// The keys of the command that stands from argument 2 on; replies the error if it has none.
std::optional<std::vector<FoundKey>> keys_of_command(CommandContext& ctx) {
  const CommandSpec* spec = find_command(ctx.argument(2));
  if (spec != nullptr && !spec->subcommands.empty() && ctx.argument_count() > 3) {
    spec = find_subcommand(*spec, ctx.argument(3));
  }
  if (spec == nullptr) {
    ctx.error("ERR Invalid command specified");
    return std::nullopt;
  }
  const auto specifications = key_specifications(*spec);
  if (specifications.empty()) {
    ctx.error("ERR The command has no key arguments");
    return std::nullopt;
  }
  const resp::Arguments arguments = ctx.arguments().subspan(2);
  const auto count = static_cast<int>(arguments.size());
  if (!spec->accepts(arguments.size())) {
    ctx.error("ERR Invalid number of arguments specified for command");
    return std::nullopt;
  }
  std::vector<FoundKey> found;
  for (const KeySpecification& keys : specifications) {
    const int last = keys.last < 0 ? count + keys.last : keys.begin + keys.last;
    for (int i = keys.begin; i <= last && i < count; i += keys.step) {
      found.push_back({ctx.argument(static_cast<std::size_t>(i) + 2), flags_in(arguments, keys)});
    }
  }
  return found;
}

void command_getkeys(CommandContext& ctx) {
  const auto keys = keys_of_command(ctx);
  if (!keys) return;
  ctx.reply().array(keys->size());
  for (const FoundKey& one : *keys) ctx.reply().bulk(one.key);
}

void command_getkeysandflags(CommandContext& ctx) {
  const auto keys = keys_of_command(ctx);
  if (!keys) return;
  ctx.reply().array(keys->size());
  for (const FoundKey& one : *keys) {
    ctx.reply().array(2);
    ctx.reply().bulk(one.key);
    reply_status_set(ctx.reply(), one.flags);
  }
}

void command_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "(no subcommand)",
      "    Describe all commands.",
      "COUNT",
      "    Show how many commands there are.",
      "DOCS [<command-name> ...]",
      "    Show summaries of these commands, or of all.",
      "GETKEYS <full-command>",
      "    Show the keys in a command line.",
      "GETKEYSANDFLAGS <full-command>",
      "    Show the keys in a command line and how they are accessed.",
      "INFO [<command-name> ...]",
      "    Describe these commands, or all.",
      "LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <value>]",
      "    List the names of commands.",
  };
  reply_help(ctx, "COMMAND", kLines);
}

constexpr std::uint32_t kAlways = kLoading | kStale;

const CommandSpec kSubcommands[] = {
    {"command|count", 2, kAlways, {}, "@connection", command_count},
    {"command|docs", -2, kAlways, {}, "@connection", command_docs},
    {"command|getkeys", -4, kAlways, {}, "@connection", command_getkeys},
    {"command|getkeysandflags", -4, kAlways, {}, "@connection", command_getkeysandflags},
    {"command|help", 2, kAlways, {}, "@connection", command_help},
    {"command|info", -2, kAlways, {}, "@connection", command_info},
    {"command|list", -2, kAlways, {}, "@connection", command_list},
};

const CommandSpec kCommands[] = {
    {"command", -1, kAlways, {}, "@connection", command, kSubcommands},
};

}  // namespace

std::span<const CommandSpec> introspection_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
