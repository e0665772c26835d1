// What the files of the key family share, and the handlers of one that stand in another's table.
#pragma once

#include <string_view>

#include "server/commands/context.hpp"
#include "server/keyspace/keyspace.hpp"

namespace holdfast::commands {

// For reads that leave the access time alone (TTL, TYPE, EXISTS, OBJECT), but count as hits or
// misses.
keyspace::Lookup look(CommandContext& ctx, std::string_view key);
// What TYPE answers.
std::string_view type_name(const keyspace::Entry& entry);
// What OBJECT ENCODING answers.
std::string_view encoding_name(const keyspace::Entry& entry);

// key_expiry_commands.cpp
void expire(CommandContext& ctx);
void expireat(CommandContext& ctx);
void expiretime(CommandContext& ctx);
void persist(CommandContext& ctx);
void pexpire(CommandContext& ctx);
void pexpireat(CommandContext& ctx);
void pexpiretime(CommandContext& ctx);
void pttl(CommandContext& ctx);
void ttl(CommandContext& ctx);

// key_scan_commands.cpp
void keys(CommandContext& ctx);
void randomkey(CommandContext& ctx);
void scan(CommandContext& ctx);

}  // namespace holdfast::commands
