// The command line of the load generator: `loadgen MODE --name value ...`.
// Unknown names end the process.
#pragma once

#include <cstdint>
#include <string>

namespace loadgen {

struct Options {
  std::string mode;                  // stream, probe or lateness
  int port = 0;                      //
  int server_pid = 0;                // whose CPU time to read; 0: nobody's
  std::string op = "get";            // set, set-wait, setex, set-pxat, get, del or hset
  std::uint64_t first = 0;           // index of the first key (or field)
  std::uint64_t count = 1;           // how many keys (or fields) there are
  std::string order = "sequential";  // or random
  std::uint64_t requests = 0;        // how many to send; 0: for duration_ms
  std::uint64_t duration_ms = 0;     // 0 in a probe: until SIGTERM
  std::uint64_t warmup_ms = 0;       // before the measured time
  std::uint64_t clients = 1;
  std::uint64_t pipeline = 1;
  std::uint64_t rate = 0;  // requests per second of a single client; 0: as fast as it goes
  std::uint64_t value_bytes = 300;
  std::uint64_t ttl_s = 3600;           // each key gets between one and two of them
  std::uint64_t fields = 1;             // per HSET
  std::string hash = "bench:hash";      // the key that HSET grows
  std::uint64_t expire_from_ms = 0;     // Unix time at which the first key expires
  std::uint64_t expire_over_ms = 1000;  // and how long it takes until the last one does
  std::uint64_t watch_ms = 60'000;      // lateness: how long to wait after the last key was due
  std::uint64_t seed = 1;
};

Options parse_options(int argc, char** argv);

}  // namespace loadgen
