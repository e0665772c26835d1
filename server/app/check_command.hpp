// `holdfast check`: looks a data folder through, offline, and repairs it if told so. The work is
// done by replication/log/check.hpp; here are the folder's lock, the printing and the exit status.
//
// Exit status: 0 the folder is sound, or was repaired; 1 it is damaged; 2 nothing can be said (no
// such folder, a server uses it, a missing or malformed key, a failing disk).
#pragma once

#include "config/options/options.hpp"

namespace holdfast::app {

// Of the folder server.dir, with the encryption keys of the options.
int run_check(const config::Options& options, bool repair);

}  // namespace holdfast::app
