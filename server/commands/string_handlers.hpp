// What the files of the string family share, and the handlers of one that stand in another's table.
#pragma once

#include <cstdint>
#include <string_view>

#include "server/commands/context.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::commands {

// Replies the whole string of a found entry; large ones by sharing their chunks. REQUIRES: a
// string.
void reply_string(CommandContext& ctx, const keyspace::Entry& entry);

// string_number_commands.cpp
void append(CommandContext& ctx);
void decr(CommandContext& ctx);
void decrby(CommandContext& ctx);
void getrange(CommandContext& ctx);
void incr(CommandContext& ctx);
void incrby(CommandContext& ctx);
void incrbyfloat(CommandContext& ctx);
void setrange(CommandContext& ctx);
void strlen_of(CommandContext& ctx);

}  // namespace holdfast::commands
