#include "server/commands/slow_log.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace holdfast::commands {

namespace {
constexpr std::size_t kArgumentsMax = 32;
constexpr std::size_t kArgumentBytesMax = 128;

std::string shortened(const resp::Argument& argument) {
  std::string text(argument.bytes.substr(0, kArgumentBytesMax));
  if (argument.chunks != nullptr) text = argument.chunks->chunk(0).substr(0, kArgumentBytesMax);
  if (argument.size() > kArgumentBytesMax) {
    text += fmt::format("... ({} more bytes)", argument.size() - kArgumentBytesMax);
  }
  return text;
}
}  // namespace

void SlowLog::add(resp::Arguments arguments, std::int64_t unix_s, std::int64_t duration_us,
                  std::string peer_address, std::string client_name, std::size_t length_max) {
  SlowLogEntry entry{
      next_id_++, unix_s, duration_us, {}, std::move(peer_address), std::move(client_name)};
  const std::size_t shown = std::min(arguments.size(), kArgumentsMax);
  for (std::size_t i = 0; i < shown; ++i) {
    if (shown < arguments.size() && i == shown - 1) {
      entry.arguments.push_back(
          fmt::format("... ({} more arguments)", arguments.size() - shown + 1));
    } else {
      entry.arguments.push_back(shortened(arguments[i]));
    }
  }
  entries_.push_front(std::move(entry));
  while (entries_.size() > length_max) entries_.pop_back();
}

}  // namespace holdfast::commands
