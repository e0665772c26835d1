// The three things that the load generator does. Each prints one JSON object on
// stdout and ends the process with an error if the server answered with one.
#pragma once

#include "options.hpp"

namespace loadgen {

// Sends requests over many connections, each with `pipeline` of them under way,
// and measures rate, latency and the CPU time that the server spent.
void run_stream(const Options& options);

// GETs over one connection, one at a time, at a raised priority, and tells the
// longest round trips. Prints "ready" once it runs; ends after the duration or
// at SIGTERM.
void run_probe(const Options& options);

// Watches keys that another process wrote with `--op set-pxat` and the same
// schedule disappear.
void run_lateness(const Options& options);

}  // namespace loadgen
