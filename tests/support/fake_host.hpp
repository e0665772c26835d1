// FakeHost is the world outside of a node that has none: counters that the test sets, a stopwatch
// that shows what it is told.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "config/options/options.hpp"
#include "server/commands/host.hpp"

namespace holdfast::node {

class FakeHost : public commands::Host {
 public:
  commands::HostFigures figures() override {
    commands::HostFigures shown;
    shown.network = counters;
    return shown;
  }
  commands::NetworkCounters network() override { return counters; }
  MonoUs stopwatch_us() override { return watch_us += step_us; }
  Result<void> rewrite_config(const config::Options&) override { return {}; }
  std::int64_t make_room_for_clients(std::int64_t wanted) override {
    return std::min(wanted, clients_max);
  }

  commands::NetworkCounters counters;
  std::int64_t clients_max = 1'000'000;
  MonoUs watch_us = 0;
  MonoUs step_us = 0;  // what each look at the stopwatch adds
};

// A request as it goes over the wire.
inline std::string request(const std::vector<std::string>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return text;
}

}  // namespace holdfast::node
