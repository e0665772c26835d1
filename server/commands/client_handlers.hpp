// What the connection and client families share: names, authentication, and the text that CLIENT
// LIST shows.
#pragma once

#include <string>
#include <string_view>

#include "base/time.hpp"
#include "server/commands/context.hpp"

namespace holdfast::commands {

// For SETNAME and SETINFO: printable ASCII without spaces.
bool is_plain_word(std::string_view text);

// Sets the client's name, or replies why not and returns false.
bool set_client_name(CommandContext& ctx, std::string_view name);

// One line of CLIENT LIST, without its line end. `shown_command`: what the client last ran, or runs
// now.
std::string describe_client(const client::Client& client, std::string_view shown_command,
                            MonoUs now);

}  // namespace holdfast::commands
