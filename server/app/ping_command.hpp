// `holdfast ping`: asks the server that these options would start for PING, where it listens, for
// health checks. Any answer will do: who loads, is a replica, or wants a password first is alive.
//
// Exit status: 0 it answers; 1 it does not. (2, as ever, for a wrong configuration: see main.cpp.)
#pragma once

#include "config/options/options.hpp"

namespace holdfast::app {

int run_ping(const config::Options& options);

}  // namespace holdfast::app
