#include <fmt/format.h>

#include <algorithm>

#include "server/commands/client_handlers.hpp"
#include "server/commands/spec.hpp"

namespace holdfast::commands {

namespace {

std::string flags_of(const client::Client& client) {
  std::string flags;
  if (client.transaction.active) flags += 'x';
  if (client.is_blocked()) flags += 'b';
  if (client.transaction.dirty) flags += 'd';
  if (client.fate == client::Fate::kCloseAfterReply) flags += 'c';
  if (client.info.unix_socket) flags += 'U';
  if (client.reads_replica) flags += 'r';
  if (client.no_evict) flags += 'e';
  if (client.no_touch) flags += 'T';
  return flags.empty() ? "N" : flags;
}

}  // namespace

bool is_plain_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

bool set_client_name(CommandContext& ctx, std::string_view name) {
  if (!is_plain_word(name)) {
    ctx.error("ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  ctx.client().name = name;
  return true;
}

std::string describe_client(const client::Client& client, std::string_view shown_command,
                            MonoUs now) {
  constexpr std::int64_t kSecondUs = 1'000'000;
  const std::size_t input_bytes = client.parser.memory_bytes();
  const std::size_t unparsed_bytes = client.parser.unparsed_bytes();
  const std::size_t output_bytes = client.output.memory_bytes();
  const std::size_t pending_bytes = client.output.pending_bytes();
  const std::string multi =
      client.transaction.active ? fmt::format("{}", client.transaction.queue.size()) : "-1";
  std::string line = fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 "
      "multi={}",
      client.id.value, client.info.peer_address, client.info.local_address,
      client.info.file_descriptor, client.name,
      std::max<std::int64_t>(0, (now - client.created_us) / kSecondUs),
      std::max<std::int64_t>(0, (now - client.last_interaction_us) / kSecondUs), flags_of(client),
      client.database, multi);
  line += fmt::format(
      " qbuf={} qbuf-free={} argv-mem=0 multi-mem={} rbs={} rbp={} obl={} oll=0 omem={} tot-mem={}",
      unparsed_bytes, input_bytes - std::min(input_bytes, unparsed_bytes),
      client.transaction.queue_bytes, output_bytes, output_bytes, pending_bytes,
      pending_bytes == 0 ? 0 : output_bytes,
      sizeof(client) + input_bytes + output_bytes + client.transaction.queue_bytes);
  line += fmt::format(" events=r cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
                      shown_command, static_cast<int>(client.version), client.library_name,
                      client.library_version);
  return line;
}

}  // namespace holdfast::commands
