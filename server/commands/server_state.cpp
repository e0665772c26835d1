#include "server/commands/server_state.hpp"

namespace holdfast::commands {

void ServerState::note_duration(const client::Client& client, const CommandSpec& spec,
                                resp::Arguments arguments, std::int64_t duration_us, UnixMs now) {
  statistics.by_command[spec.number].note_duration(duration_us, options.latency.tracking);
  const std::int64_t threshold = options.slowlog.slower_than_us;
  if (threshold >= 0 && duration_us >= threshold && !spec.has(Flag::kSkipSlowlog)) [[unlikely]] {
    slow_log.add(spec, arguments, now / 1000, duration_us, client.info.peer_address, client.name,
                 static_cast<std::size_t>(options.slowlog.max_len));
  }
}

}  // namespace holdfast::commands
