#include "tests/sim/sessions.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <set>
#include <utility>

#include "base/check.hpp"

namespace holdfast::sim {

namespace {

constexpr std::int64_t kPatienceUs = 400'000;
constexpr std::int64_t kWayUsMax = 300;  // to the server and back, each
constexpr std::uint64_t kSessionKeys = 4;
constexpr std::int64_t kTtlMsMax = 1'500;
constexpr std::size_t kPipelineMax = 3;
constexpr std::uint64_t kLargeValueBytes = 2'000;

}  // namespace

Sessions::Sessions(Timeline& timeline, Random& random, History& history,
                   std::vector<NodeMember*> members, std::size_t clients, std::int64_t think_us,
                   bool readers_keep_to_a_key, std::function<void(const std::string& text)> trace)
    : timeline_(timeline),
      random_(random),
      history_(history),
      members_(std::move(members)),
      clients_(clients + 1),  // the last one only writes once
      think_us_(think_us),
      readers_keep_to_a_key_(readers_keep_to_a_key),
      trace_(std::move(trace)) {}

void Sessions::begin() {
  for (std::size_t i = 0; i + 1 < clients_.size(); ++i) {
    clients_[i].only_reads = i > 0 && random_.below(3) == 0;
    timeline_.after(below(500'000), [this, i] { act(i); });
  }
}

std::size_t Sessions::primary_or_any() {
  for (std::size_t i = 0; i < members_.size(); ++i)
    if (members_[i]->replica() != nullptr && members_[i]->replica()->role() == core::Role::kPrimary)
      return i;
  return random_.below(members_.size());
}

// --- what is asked

std::vector<std::string> Sessions::all_keys() {
  std::vector<std::string> keys = {"counter", "pair:a", "pair:b"};
  for (std::uint64_t i = 0; i < kSessionKeys; ++i) keys.push_back(fmt::format("session:{}", i));
  return keys;
}

Sessions::Operation Sessions::draw(bool only_reads) {
  Operation operation;
  std::uint64_t kind = random_.below(200);
  if (only_reads) kind = kind < 147 ? 60 : kind < 150 ? 165 + kind % 2 : kind < 170 ? 168 : 187;
  operation.keys = {fmt::format("session:{}", random_.below(kSessionKeys))};
  if (kind < 60) {
    operation.kind = Kind::kSet;
    operation.value = fmt::format("v{}:", next_value_++);
    const std::uint64_t padding =
        random_.below(12) == 0 ? random_.below(kLargeValueBytes) : random_.below(60);
    operation.value.append(padding, 'x');
    if (random_.below(3) != 0) operation.ttl_ms = 1 + below(kTtlMsMax);
  } else if (kind < 120) {
    operation.kind = Kind::kGet;
  } else if (kind < 130) {
    operation.kind = Kind::kDelete;
  } else if (kind < 140) {
    operation.kind = Kind::kExpire;
    operation.ttl_ms = 1 + below(kTtlMsMax);
  } else if (kind < 145) {
    operation.kind = Kind::kPersist;
  } else if (kind < 165) {
    operation.kind = Kind::kIncrement;
    operation.keys = {"counter"};
  } else if (kind < 168) {
    operation.kind = kind == 165 ? Kind::kKeys : kind == 166 ? Kind::kScan : Kind::kMark;
    if (operation.kind != Kind::kMark) operation.keys = all_keys();
  } else if (kind < 174) {
    operation.kind = Kind::kGet;
    operation.keys = {"counter"};
  } else if (kind < 187) {
    operation.kind = Kind::kSetPair;
    operation.keys = {"pair:a", "pair:b"};
    operation.value = fmt::format("v{}:", next_value_++);
    operation.requests = 4;
  } else if (kind < 199) {
    operation.kind = Kind::kGetPair;
    operation.keys = {"pair:a", "pair:b"};
  } else {
    operation.kind = Kind::kFlush;
    operation.keys = {};
  }
  return operation;
}

std::string Sessions::bytes_of(Operation& operation) {
  const std::string key = operation.keys.empty() ? "" : operation.keys[0];
  switch (operation.kind) {
    case Kind::kSet:
      if (operation.ttl_ms == 0) return node::request({"SET", key, operation.value});
      return node::request({"SET", key, operation.value, "PX", std::to_string(operation.ttl_ms)});
    case Kind::kGet:
      return node::request({"GET", key});
    case Kind::kDelete:
      return node::request({"DEL", key});
    case Kind::kExpire:
      return node::request({"PEXPIRE", key, std::to_string(operation.ttl_ms)});
    case Kind::kPersist:
      return node::request({"PERSIST", key});
    case Kind::kIncrement:
      return node::request({"INCR", key});
    case Kind::kSetPair:
      return node::request({"MULTI"}) + node::request({"SET", key, operation.value}) +
             node::request({"SET", operation.keys[1], operation.value}) + node::request({"EXEC"});
    case Kind::kGetPair:
      return node::request({"MGET", key, operation.keys[1]});
    case Kind::kFlush:
      return node::request({"FLUSHALL"});
    case Kind::kKeys:
      return node::request({"KEYS", "*"});
    case Kind::kScan:
      return node::request({"SCAN", "0", "COUNT", "1000"});
    case Kind::kMark:
      return node::request({"HOLDFAST", "MARK"});
  }
  return {};
}

void Sessions::act(std::size_t number) {
  if (!works_) return;
  Client& client = clients_[number];
  client.operations.clear();
  if (client.only_reads && readers_keep_to_a_key_) {
    Operation operation;
    operation.keys = {fmt::format("session:{}", number % kSessionKeys)};
    client.operations.push_back(std::move(operation));
    return send(number);
  }
  for (std::size_t left = 1 + random_.below(kPipelineMax); left > 0; --left)
    client.operations.push_back(draw(client.only_reads));
  send(number);
}

void Sessions::send(std::size_t number) {
  Client& client = clients_[number];
  const std::uint64_t round = ++client.round;
  client.done = 0;
  client.was_refused = false;
  NodeMember& member = *members_[client.target];
  if (member.process() == nullptr) return finish(number, round, true);
  if (client.is_connected && client.life != member.life()) client.is_connected = false;
  client.asked.clear();
  std::string bytes;
  for (Operation& operation : client.operations) {
    for (const std::string& key : operation.keys)
      client.asked.emplace(key, history_.asked(key, timeline_.now()));
    bytes += bytes_of(operation);
  }
  const bool connects = !std::exchange(client.is_connected, true);
  if (connects) {
    ++client.connection;
    client.input.clear();
  }
  client.life = member.life();
  const std::uint64_t connection = client.connection;
  member.post([this, number, connection, connects, bytes](NodeProcess& process,
                                                          const TimePoint& now) {
    Client& who = clients_[number];
    if (who.connection != connection) return;
    if (connects) {
      const auto later = [this, number](auto action) {
        TrueTime& arrival = clients_[number].last_arrival;  // a connection keeps its order
        arrival = std::max(arrival, timeline_.now() + 1 + below(kWayUsMax));
        timeline_.at(arrival, std::move(action));
      };
      who.id = process.connect(
          {[this, number, connection, later](std::string output, std::vector<LogIndex> entries) {
             later([this, number, connection, output = std::move(output),
                    entries = std::move(entries)] {
               on_output(number, connection, output, entries);
             });
           },
           [this, number, connection, later] {
             later([this, number, connection] { on_closed(number, connection); });
           }});
    }
    process.request(who.id, bytes, now);
  });
  timeline_.after(kPatienceUs, [this, number, round] {
    if (clients_[number].round == round) disconnect(clients_[number]);
    finish(number, round, true);
  });
}

// --- what is answered

void Sessions::on_output(std::size_t number, std::uint64_t connection, const std::string& bytes,
                         const std::vector<LogIndex>& entries) {
  Client& client = clients_[number];
  if (client.connection != connection || client.done >= client.operations.size()) return;
  client.input += bytes;
  // Entries are told of all that was carried out, replies of what may be known.
  std::size_t filled = client.done;
  for (const LogIndex entry : entries) {
    while (filled < client.operations.size() &&
           client.operations[filled].entries.size() == client.operations[filled].requests)
      ++filled;
    if (filled < client.operations.size()) client.operations[filled].entries.push_back(entry);
  }
  std::string_view rest = client.input;
  while (client.done < client.operations.size()) {
    std::optional<RespReply> reply = take_reply(rest);
    if (!reply) break;
    Operation& operation = client.operations[client.done];
    operation.replies.push_back(std::move(*reply));
    if (operation.replies.size() < operation.requests) continue;
    if (trace_) tell(client, operation);
    judge(client, operation);
    ++client.done;
  }
  client.input.erase(0, client.input.size() - rest.size());
  if (client.done == client.operations.size()) finish(number, client.round, client.was_refused);
}

void Sessions::on_closed(std::size_t number, std::uint64_t connection) {
  Client& client = clients_[number];
  if (client.connection != connection) return;
  client.is_connected = false;
  ++client.connection;
  if (client.done < client.operations.size()) finish(number, client.round, true);
}

void Sessions::tell(const Client& client, const Operation& operation) {
  static constexpr const char* kNames[] = {"SET",      "GET",  "DEL",      "PEXPIRE",
                                           "PERSIST",  "INCR", "SET pair", "GET pair",
                                           "FLUSHALL", "KEYS", "SCAN",     "MARK"};
  const RespReply& reply = operation.replies.back();
  trace_(fmt::format(
      "client {} of node {}: {} {} {} {} -> {}{}{}", &client - clients_.data(), client.target + 1,
      kNames[static_cast<int>(operation.kind)], operation.keys.empty() ? "" : operation.keys[0],
      operation.value.substr(0, 12), operation.ttl_ms, reply.type, reply.text.substr(0, 20),
      operation.entries.empty() ? "" : fmt::format(" index {}", operation.entries.back().value)));
}

void Sessions::judge(Client& client, Operation& operation) {
  const RespReply& reply = operation.replies.back();
  if (reply.is_error()) return judge_refused(client, operation, reply);
  const LogIndex entry =
      operation.entries.size() == operation.requests ? operation.entries.back() : LogIndex{};
  const auto asked = [&](const std::string& key) -> History::Asked& { return client.asked[key]; };
  const std::string key = operation.keys.empty() ? "" : operation.keys[0];
  switch (operation.kind) {
    case Kind::kSet:
      return history_.on_written(key, operation.value, asked(key));
    case Kind::kIncrement:
      return history_.on_written(key, reply.text, asked(key));
    case Kind::kGet:
      return judge_read(key, reply, asked(key));
    case Kind::kDelete:
      if (reply.text == "1") return history_.on_deleted(key, entry, asked(key));
      return history_.on_absent(key, asked(key));
    case Kind::kExpire:
      if (reply.text == "0") history_.on_absent(key, asked(key));
      return;
    case Kind::kPersist:
      return;
    case Kind::kSetPair:
      for (const std::string& each : operation.keys)
        history_.on_written(each, operation.value, asked(each));
      return;
    case Kind::kGetPair:
      return judge_pair(operation, reply, client);
    case Kind::kFlush:
      return history_.on_flushed(entry);
    case Kind::kKeys:
      return judge_list(operation, reply.items, client);
    case Kind::kScan:
      if (reply.items.size() != 2 || reply.items[0].text != "0")
        return history_.fail("a SCAN of a thousand does not come to the end of a few keys");
      return judge_list(operation, reply.items[1].items, client);
    case Kind::kMark:
      return;
  }
}

// An error says that nothing was done, and never will be.
void Sessions::judge_refused(Client& client, const Operation& operation, const RespReply& error) {
  client.was_refused = true;
  if (operation.kind == Kind::kSet || operation.kind == Kind::kSetPair)
    for (const std::string& key : operation.keys) history_.on_refused(key, operation.value);
  static constexpr std::string_view kExpected[] = {"READONLY", "MASTERDOWN", "LOADING",
                                                   "MISCONF",  "EXECABORT",  "NOREPLICAS"};
  const bool is_expected =
      std::any_of(std::begin(kExpected), std::end(kExpected),
                  [&](std::string_view code) { return error.text.starts_with(code); });
  if (!is_expected) history_.fail(fmt::format("a client is answered: {}", error.text));
}

void Sessions::judge_read(const std::string& key, const RespReply& reply, History::Asked& asked) {
  if (reply.is_absent()) return history_.on_absent(key, asked);
  history_.on_value(key, reply.text, asked);
}

void Sessions::judge_list(const Operation& operation, const std::vector<RespReply>& listed,
                          Client& client) {
  std::set<std::string> keys;
  for (const RespReply& each : listed)
    if (!keys.insert(each.text).second) history_.fail(each.text + " is listed twice");
  for (const std::string& key : operation.keys) {
    if (keys.erase(key) != 0) {
      history_.on_present(key, client.asked[key]);
    } else {
      history_.on_absent(key, client.asked[key]);
    }
  }
  if (!keys.empty()) history_.fail(*keys.begin() + " is listed, which nobody wrote");
}

void Sessions::judge_pair(const Operation& operation, const RespReply& reply, Client& client) {
  if (reply.items.size() != 2) return history_.fail("MGET of two keys gives not two values");
  if (reply.items[0].text != reply.items[1].text)
    return history_.fail(fmt::format("half of an entry is shown: {} and {}", reply.items[0].text,
                                     reply.items[1].text));
  for (std::size_t i = 0; i < 2; ++i)
    judge_read(operation.keys[i], reply.items[i], client.asked[operation.keys[i]]);
}

void Sessions::disconnect(Client& client) {
  if (!std::exchange(client.is_connected, false)) return;
  ++client.connection;
  NodeMember& member = *members_[client.target];
  if (member.process() == nullptr || member.life() != client.life) return;
  member.post([id = client.id](NodeProcess& process, const TimePoint&) { process.close(id); });
}

void Sessions::finish(std::size_t number, std::uint64_t round, bool moves_on) {
  Client& client = clients_[number];
  if (client.round != round) return;
  ++client.round;
  const bool is_last = number + 1 == clients_.size();
  if (is_last) {
    writes_once_ = false;
    wrote_after_ |= !moves_on;
  }
  if (moves_on) {
    disconnect(client);
    client.target = random_.below(3) == 0 ? random_.below(members_.size()) : primary_or_any();
  }
  client.operations.clear();
  if (is_last) return;
  timeline_.after(1 + below(think_us_), [this, number] { act(number); });
}

void Sessions::write_once() {
  if (std::exchange(writes_once_, true)) return;
  const std::size_t number = clients_.size() - 1;
  Client& client = clients_[number];
  Operation operation;
  operation.kind = Kind::kSet;
  operation.keys = {"session:0"};
  operation.value = fmt::format("v{}:", next_value_++);
  client.operations = {operation};
  client.target = primary_or_any();
  send(number);
}

}  // namespace holdfast::sim
