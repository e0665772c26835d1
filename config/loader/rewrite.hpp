// CONFIG REWRITE: brings the configuration file up to the options that are in force.
//
// Only lines of options whose value differs from what the file says are changed; comments, order
// and the spelling of all else stay. Options that the file does not mention are added when they
// differ from the default. The file is replaced at once (written beside, synced, renamed), and only
// after reading the new text gave exactly these options.
//
// Blocks on the disk: not for the loop's thread when that matters.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "config/options/options.hpp"

namespace holdfast::config {

// `path` empty: "The server is running without a config file", as Redis says. Messages come without
// "ERR ".
Result<void> rewrite(const std::string& path, const Options& options);

// The text part of it, without a disk.
Result<std::string> rewrite_text(std::string_view old_text, std::string_view file_name,
                                 const Options& options);

}  // namespace holdfast::config
