// Harness is a whole node without sockets: clients whose bytes the test feeds and whose replies it
// reads, and a clock that the test sets.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/time.hpp"
#include "config/options/options.hpp"
#include "server/client/client.hpp"
#include "server/node/node.hpp"
#include "tests/support/fake_host.hpp"

namespace holdfast::node {

// Whatever else is set: no data folder.
inline config::Options in_memory(config::Options options = {}) {
  options.persistence.enabled = false;
  return options;
}

class Harness {
 public:
  explicit Harness(config::Options options = {}) : Harness(Persisting{}, in_memory(options)) {}
  // The test plays the part of storage.
  struct Persisting {};
  Harness(Persisting, config::Options options)
      : now{1'700'000'000'000, 1'000'000, 1'700'000'000'000'000},
        node(std::move(options), 1, std::string(40, 'a'), now, host),
        client(&connect()) {}

  client::Client& connect() {
    return node.connect({"127.0.0.1:50000", "127.0.0.1:6379", 8, false}, now);
  }

  // As if it had arrived in one piece; run_one has said that it needs more.
  void feed(client::Client& who, std::string_view bytes) {
    while (!bytes.empty()) {
      const auto [room, room_bytes] = who.parser.read_room();
      const std::size_t count = std::min(room_bytes, bytes.size());
      std::memcpy(room, bytes.data(), count);
      who.parser.commit(count);
      bytes.remove_prefix(count);
      if (!bytes.empty()) last_step = run(who);
    }
  }
  // All that can be carried out now.
  Step run(client::Client& who) {
    Step step = Step::kRan;
    while (step == Step::kRan) {
      step = node.run_one(who, now);
      node.note_duration(who, 1, now);
    }
    return step;
  }
  std::string output(client::Client& who) {
    std::string text;
    std::string_view part;
    while (who.output.gather(&part, 1, who.output.sendable_bytes(node.gate())) > 0) {
      text += part;
      who.output.consume(part.size());
    }
    return text;
  }
  // Feeds, runs, and gives what is answered.
  std::string send(client::Client& who, std::string_view bytes) {
    feed(who, bytes);
    last_step = run(who);
    return output(who);
  }
  std::string send(std::string_view bytes) { return send(*client, bytes); }
  std::string call(const std::vector<std::string>& words) { return send(request(words)); }
  std::string call_as(client::Client& who, const std::vector<std::string>& words) {
    return send(who, request(words));
  }

  void advance_ms(std::int64_t ms) {
    now.mono_us += ms * 1000;
    step_wall_ms(ms);
  }
  // Somebody sets the wall clock.
  void step_wall_ms(std::int64_t ms) {
    now.unix_ms += ms;
    now.unix_us += ms * 1000;
  }
  std::size_t keys() { return node.state().keyspace.table(0).size(); }

  FakeHost host;
  TimePoint now;
  Node node;
  client::Client* client;
  Step last_step = Step::kNeedMore;
};

inline const std::string kOk = "+OK\r\n";
inline const std::string kNull = "$-1\r\n";
inline const std::string kQueued = "+QUEUED\r\n";

}  // namespace holdfast::node
