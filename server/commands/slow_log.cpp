#include "server/commands/slow_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/text.hpp"

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

// The options of CONFIG SET whose values are secret, those included that this server only knows by
// name.
constexpr std::string_view kSecretOptions[] = {"requirepass", "masterauth", "masteruser",
                                               "tls-key-file-pass", "tls-client-key-file-pass"};

bool is_secret_option(std::string_view name) {
  return std::any_of(std::begin(kSecretOptions), std::end(kSecretOptions),
                     [&](std::string_view secret) { return equals_ignoring_case(name, secret); });
}

// True for a password, or a user beside it. REQUIRES: 0 < at < arguments.size().
bool is_secret(const CommandSpec& spec, resp::Arguments arguments, std::size_t at) {
  if (spec.name == "auth") return true;
  if (spec.name == "config|set") {
    return at >= 3 && at % 2 == 1 && is_secret_option(arguments[at - 1].bytes);
  }
  if (spec.name != "hello") return false;
  for (std::size_t i = 2; i < at; ++i) {
    if (equals_ignoring_case(arguments[i].bytes, "auth")) {
      if (at <= i + 2) return true;
      i += 2;
    } else if (equals_ignoring_case(arguments[i].bytes, "setname")) {
      i += 1;
    }
  }
  return false;
}

}  // namespace

void SlowLog::add(const CommandSpec& spec, resp::Arguments arguments, std::int64_t unix_s,
                  std::int64_t duration_us, std::string peer_address, std::string client_name,
                  std::size_t length_max) {
  SlowLogEntry entry{
      next_id_++, unix_s, duration_us, {}, std::move(peer_address), std::move(client_name)};
  const std::size_t shown = std::min(arguments.size(), kArgumentsMax);
  for (std::size_t i = 0; i < shown; ++i) {
    if (shown < arguments.size() && i == shown - 1) {
      entry.arguments.push_back(
          fmt::format("... ({} more arguments)", arguments.size() - shown + 1));
    } else if (i > 0 && is_secret(spec, arguments, i)) {
      entry.arguments.emplace_back("(redacted)");
    } else {
      entry.arguments.push_back(shortened(arguments[i]));
    }
  }
  entries_.push_front(std::move(entry));
  while (entries_.size() > length_max) entries_.pop_back();
}

}  // namespace holdfast::commands
