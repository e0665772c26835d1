#include "options.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <string_view>

#include "system.hpp"

namespace loadgen {
namespace {

template <typename Number>
std::function<void(std::string_view)> number(Number& target) {
  return [&target](std::string_view text) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), target);
    if (error != std::errc{} || end != text.data() + text.size()) {
      fail("not a number: " + std::string(text));
    }
  };
}

std::function<void(std::string_view)> word(std::string& target) {
  return [&target](std::string_view text) { target = text; };
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  const std::map<std::string_view, std::function<void(std::string_view)>> setters = {
      {"--port", number(options.port)},
      {"--server-pid", number(options.server_pid)},
      {"--op", word(options.op)},
      {"--first", number(options.first)},
      {"--count", number(options.count)},
      {"--order", word(options.order)},
      {"--requests", number(options.requests)},
      {"--duration-ms", number(options.duration_ms)},
      {"--warmup-ms", number(options.warmup_ms)},
      {"--clients", number(options.clients)},
      {"--pipeline", number(options.pipeline)},
      {"--rate", number(options.rate)},
      {"--value-bytes", number(options.value_bytes)},
      {"--ttl-s", number(options.ttl_s)},
      {"--fields", number(options.fields)},
      {"--hash", word(options.hash)},
      {"--expire-from-ms", number(options.expire_from_ms)},
      {"--expire-over-ms", number(options.expire_over_ms)},
      {"--watch-ms", number(options.watch_ms)},
      {"--seed", number(options.seed)},
  };
  if (argc < 2) fail("usage: loadgen stream|probe|lateness --port N [--name value ...]");
  options.mode = argv[1];
  for (int i = 2; i < argc; i += 2) {
    const auto setter = setters.find(argv[i]);
    if (setter == setters.end()) fail("unknown option " + std::string(argv[i]));
    if (i + 1 == argc) fail("no value for " + std::string(argv[i]));
    setter->second(argv[i + 1]);
  }
  if (options.port == 0) fail("--port is missing");
  if (options.count == 0 || options.clients == 0 || options.pipeline == 0) fail("a count of zero");
  if (options.rate != 0 && options.clients != 1) fail("--rate wants a single client");
  if (options.value_bytes > 64 * 1024) fail("--value-bytes is at most 65536");
  return options;
}

}  // namespace loadgen
