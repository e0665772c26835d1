// Random command streams of several clients against a whole node, under the sanitizers: no crash,
// no failed check, and the node's accounting returns to where it began when everything is flushed.
//
//   input := { operation }      operation := selector:u8 ...
// A selector either picks a command from the table, then argument selectors from a small
// vocabulary, or feeds raw bytes, moves the clock, or connects and disconnects clients.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "server/commands/table.hpp"
#include "server/node/node.hpp"

namespace {

using namespace holdfast;

// To make and drop them takes most of the time of a short input.
constexpr std::size_t kDatabases = 3;

class NoHost : public commands::Host {
 public:
  commands::HostFigures figures() override { return {}; }
  commands::NetworkCounters network() override { return {}; }
  MonoUs stopwatch_us() override { return 0; }
  Result<void> rewrite_config(const config::Options&) override { return fail("no file"); }
  std::int64_t make_room_for_clients(std::int64_t wanted) override { return wanted; }
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ >= size_; }
  std::uint8_t byte() { return empty() ? 0 : data_[at_++]; }
  std::string bytes(std::size_t count) {
    count = std::min(count, size_ - std::min(at_, size_));
    std::string text(reinterpret_cast<const char*>(data_) + at_, count);
    at_ += count;
    return text;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

const std::array<std::string, 64> kWords = {"a",
                                            "b",
                                            "c",
                                            "k1",
                                            "k2",
                                            "field",
                                            "f2",
                                            "1",
                                            "0",
                                            "-1",
                                            "10",
                                            "100",
                                            "9223372036854775807",
                                            "-9223372036854775808",
                                            "1.5",
                                            "inf",
                                            "nan",
                                            "3e3",
                                            "",
                                            "*",
                                            "?",
                                            "[a-",
                                            "EX",
                                            "PX",
                                            "EXAT",
                                            "PXAT",
                                            "NX",
                                            "XX",
                                            "GT",
                                            "LT",
                                            "GET",
                                            "KEEPTTL",
                                            "PERSIST",
                                            "MATCH",
                                            "COUNT",
                                            "TYPE",
                                            "WITHVALUES",
                                            "string",
                                            "hash",
                                            "REPLACE",
                                            "DB",
                                            "ASYNC",
                                            "SYNC",
                                            "1000",
                                            "1700000000",
                                            "1700000000123",
                                            "2000000000000",
                                            "LIST",
                                            "INFO",
                                            "ID",
                                            "ON",
                                            "OFF",
                                            "SKIP",
                                            "RESET",
                                            "maxmemory",
                                            "10mb",
                                            "0mb",
                                            "maxmemory-policy",
                                            "allkeys-lru",
                                            "default",
                                            "2",
                                            "3",
                                            "SETNAME",
                                            "x\r\ny"};

std::string word(Input& input) {
  const std::uint8_t selector = input.byte();
  if (selector < 192) return kWords[selector % kWords.size()];
  if (selector < 224) return input.bytes(input.byte() % 100);
  if (selector < 240) return std::string(static_cast<std::size_t>(input.byte()) * 300, 'v');
  return std::to_string(input.byte());
}

void append_request(std::string& out, const std::vector<std::string>& arguments) {
  out += fmt::format("*{}\r\n", arguments.size());
  for (const std::string& argument : arguments)
    out += fmt::format("${}\r\n{}\r\n", argument.size(), argument);
}

class Session {
 public:
  explicit Session(node::Node& node, TimePoint& now) : node_(node), now_(now) { open(); }

  void feed(std::string_view bytes) {
    arrived_ += bytes;
    run();
  }
  // Carries out all that has arrived, unless a pause holds it: then nothing more is read.
  void run() {
    while (run_buffered() && !arrived_.empty()) {
      const auto [room, room_bytes] = client_->parser.read_room();
      const std::size_t count = std::min(room_bytes, arrived_.size());
      std::memcpy(room, arrived_.data(), count);
      client_->parser.commit(count);
      arrived_.erase(0, count);
    }
  }
  void reopen() {
    node_.disconnect(*client_);
    arrived_.clear();
    open();
  }
  client::Client& client() { return *client_; }

 private:
  // True: the parser wants more bytes.
  bool run_buffered() {
    while (true) {
      const node::Step step = node_.run_one(*client_, now_);
      client_->output.consume(client_->output.sendable_bytes(node_.gate()));
      if (step == node::Step::kClosing) {
        reopen();
        return false;
      }
      if (step != node::Step::kRan) return step == node::Step::kNeedMore;
      node_.note_duration(*client_, 20'000, now_);
    }
  }
  void open() { client_ = &node_.connect({"127.0.0.1:1", "127.0.0.1:2", 3, false}, now_); }

  node::Node& node_;
  TimePoint& now_;
  client::Client* client_ = nullptr;
  std::string arrived_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  NoHost host;
  TimePoint now{1'700'000'000'000, 1'000'000, 1'700'000'000'000'000};
  config::Options options;
  options.server.databases = kDatabases;
  options.persistence.enabled = false;
  options.debug.enable_debug_command = true;
  node::Node node(options, input.byte(), std::string(40, 'a'), now, host);
  std::array<Session, 3> sessions = {Session(node, now), Session(node, now), Session(node, now)};
  const auto all = commands::all_commands();

  while (!input.empty()) {
    Session& session = sessions[input.byte() % sessions.size()];
    const std::uint8_t operation = input.byte();
    if (operation < 230) {
      std::string bytes;
      const commands::CommandSpec* spec = all[(operation + 256U * (input.byte() & 1)) % all.size()];
      std::vector<std::string> arguments = {std::string(spec->name)};
      if (!spec->subcommands.empty()) {
        const auto& sub = spec->subcommands[input.byte() % spec->subcommands.size()];
        arguments.emplace_back(sub.name.substr(spec->name.size() + 1));
      }
      const std::size_t count = input.byte() % 8;
      for (std::size_t i = 0; i < count; ++i) arguments.push_back(word(input));
      append_request(bytes, arguments);
      session.feed(bytes);
    } else if (operation < 236) {
      session.feed(input.bytes(input.byte()));
    } else if (operation < 246) {
      const std::int64_t step_ms = 1 << (input.byte() % 20);
      now.unix_ms += step_ms;
      now.unix_us += step_ms * 1000;
      now.mono_us += step_ms * 1000;
      node.background(now, 64);
    } else if (operation < 250) {
      session.reopen();
    } else {
      node.background(now, 1 + input.byte());
      for (Session& one : sessions) one.run();
    }
    const commands::HostEffects effects = node.take_effects();
    for (const auto& [id, reason] : effects.close) {
      for (Session& one : sessions) {
        if (one.client().id == id) one.reopen();
      }
    }
  }
  // Everything goes, and the accounting must agree.
  node.state().journal.emit(keyspace::Flush{}, 0, 0);
  node.state().journal.close();
  while (node.state().keyspace.free_slice(node.committed(), 1'000'000)) {
  }
  static const std::size_t kEmptyBytes = keyspace::Keyspace(kDatabases, 1).used_bytes();
  HF_CHECK(node.state().keyspace.used_bytes() == kEmptyBytes);
  return 0;
}
