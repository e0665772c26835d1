// What the two files of hash commands share: the second holds those that walk a hash (HSCAN,
// HRANDFIELD).
#pragma once

#include "protocol/resp/reply_writer.hpp"
#include "server/commands/context.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::commands {

void hscan(CommandContext& ctx);
void hrandfield(CommandContext& ctx);

inline void reply_value(resp::ReplyWriter& reply, const keyspace::ValueView& value) {
  if (value.chunks != nullptr) {
    reply.bulk(*value.chunks);
  } else {
    reply.bulk(value.bytes);
  }
}

// OBJECT ENCODING says "hashtable" of it.
inline bool is_shown_as_table(const keyspace::Entry& hash) {
  return hash.form() != 0;
}

}  // namespace holdfast::commands
