// What the commands with subcommands share: the HELP reply and the answer to arguments that fit
// none of its forms.
#pragma once

#include <span>
#include <string_view>

#include "server/commands/context.hpp"

namespace holdfast::commands {

// Lines as Redis's addReplyHelp frames them. `container` in capitals.
void reply_help(CommandContext& ctx, std::string_view container,
                std::span<const std::string_view> lines);

// For the subcommand at argument 1: "unknown subcommand or wrong number of arguments for ...".
void subcommand_error(CommandContext& ctx, std::string_view container);

// As C's printf shows an argument in an error text: up to its first zero byte.
std::string_view until_nul(std::string_view text);

// "yes"/"no"-like words. Replies a syntax error and returns false if the argument is neither.
bool two_words(CommandContext& ctx, std::size_t index, std::string_view yes, std::string_view no,
               bool& value);

}  // namespace holdfast::commands
