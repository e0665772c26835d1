// Server runs commands on a ServerState of its own, without a node: one row's handler per call, the
// clock set by the test. Refusals that are the node's (queueing inside MULTI, memory,
// authentication) do not happen here.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/chunked.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "config/options/options.hpp"
#include "protocol/resp/output_buffer.hpp"
#include "protocol/resp/request_parser.hpp"
#include "server/client/client.hpp"
#include "server/commands/context.hpp"
#include "server/commands/host.hpp"
#include "server/commands/server_state.hpp"
#include "server/commands/table.hpp"

namespace holdfast::commands {

class FakeHost : public Host {
 public:
  HostFigures figures() override { return shown; }
  NetworkCounters network() override { return shown.network; }
  MonoUs stopwatch_us() override { return 0; }
  Result<void> rewrite_config(const config::Options&) override {
    ++rewrites;
    return {};
  }
  std::int64_t make_room_for_clients(std::int64_t wanted) override {
    return std::min(wanted, clients_max);
  }

  HostFigures shown;
  std::int64_t clients_max = 1'000'000;
  int rewrites = 0;
};

class Server {
 public:
  explicit Server(config::Options options = {}, std::uint64_t seed = 1)
      : now{1'700'000'000'000, 1'000'000, 1'700'000'000'000'000},
        state(std::move(options), seed, std::string(40, 'a'), now, host),
        client(&connect()) {}

  // What the command writes, as it goes over the wire. Arguments of 64 KB and more are passed in
  // chunks, as the parser does.
  std::string run(const std::vector<std::string>& words) { return run_as(*client, words); }
  std::string run_as(client::Client& who, const std::vector<std::string>& words) {
    HF_CHECK(!words.empty());
    const CommandSpec* spec = find_command(words[0]);
    HF_CHECK(spec != nullptr);
    if (!spec->subcommands.empty() && words.size() > 1) spec = find_subcommand(*spec, words[1]);
    HF_CHECK(spec != nullptr && spec->handler != nullptr && spec->accepts(words.size()));

    std::deque<Chunked> chunked;
    std::vector<resp::Argument> arguments;
    for (const std::string& word : words) {
      if (word.size() >= kChunkedBytesMin) {
        arguments.push_back({{}, &chunked.emplace_back(word)});
      } else {
        arguments.push_back({word, nullptr});
      }
    }
    {
      who.last_command = spec;
      CommandContext context(state, who, *spec, arguments, now, who.output);
      spec->handler(context);
      last_emitted = context.mutations_emitted();
    }
    state.journal.close();
    state.keyspace.free_slice(state.journal.last_index(), 1'000'000);
    return take_output(who);
  }

  client::Client& connect() {
    client::Client& one = state.clients.add({"127.0.0.1:50000", "127.0.0.1:6379", 8}, now.mono_us);
    one.authenticated = true;
    return one;
  }

  void advance_ms(std::int64_t ms) {
    now.unix_ms += ms;
    now.unix_us += ms * 1000;
    now.mono_us += ms * 1000;
  }

  FakeHost host;
  TimePoint now;
  ServerState state;
  client::Client* client;
  std::uint64_t last_emitted = 0;  // mutations of the last command

 private:
  static std::string take_output(client::Client& who) {
    std::string text;
    while (who.output.pending_bytes() > 0) {
      std::string_view part;
      HF_CHECK(who.output.gather(&part, 1, who.output.pending_bytes()) == 1);
      text += part;
      who.output.consume(part.size());
    }
    return text;
  }
};

// Replies as they look on the wire.
inline std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}
inline std::string number(std::int64_t value) {
  return ":" + std::to_string(value) + "\r\n";
}
inline std::string error(std::string_view text) {
  return "-" + std::string(text) + "\r\n";
}
inline const std::string kOk = "+OK\r\n";
inline const std::string kNull = "$-1\r\n";

}  // namespace holdfast::commands
