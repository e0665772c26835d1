// loadgen puts load on a Redis-protocol server on the loopback interface and
// measures it. Single-threaded, Linux only. It is run by scripts/bench, which
// holds the meaning of the figures.
#include "modes.hpp"
#include "system.hpp"

int main(int argc, char** argv) {
  const loadgen::Options options = loadgen::parse_options(argc, argv);
  if (options.mode == "stream") {
    loadgen::run_stream(options);
  } else if (options.mode == "probe") {
    loadgen::run_probe(options);
  } else if (options.mode == "lateness") {
    loadgen::run_lateness(options);
  } else {
    loadgen::fail("unknown mode " + options.mode);
  }
  return 0;
}
