#include "server/node/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <utility>

#include "base/check.hpp"
#include "base/planted_fault.hpp"
#include "base/text.hpp"
#include "server/commands/context.hpp"
#include "server/commands/table.hpp"
#include "server/node/command_nature.hpp"
#include "server/node/eviction.hpp"

namespace holdfast::node {

using client::Client;
using client::Fate;
using client::ReplyMode;
using commands::CommandContext;
using commands::CommandSpec;
using commands::Flag;

namespace {

constexpr std::size_t kExpireBatchKeys = 64;
constexpr std::size_t kSegmentsPerCompaction = 4;
// A command waits for at most so many evictions, about a millisecond; then it goes on, as Redis
// does when its time for evicting is used up, and the background evicts further.
constexpr std::size_t kEvictedPerCommand = 1024;
constexpr std::string_view kOutOfMemoryError =
    "OOM command not allowed when used memory > 'maxmemory'.";

// As printf's %.*s in Redis: at most `bytes_max` bytes, and a NUL byte ends the text.
std::string_view shown(const resp::Argument& argument, std::size_t bytes_max) {
  const std::string_view bytes =
      argument.chunks != nullptr ? argument.chunks->chunk(0) : argument.bytes;
  return bytes.substr(0, std::min(bytes_max, bytes.find('\0')));
}

std::string unknown_command(resp::Arguments arguments) {
  std::string beginning;
  for (std::size_t i = 1; i < arguments.size() && beginning.size() < 128; ++i) {
    beginning += fmt::format("'{}' ", shown(arguments[i], 128 - beginning.size()));
  }
  return fmt::format("ERR unknown command '{}', with args beginning with: {}",
                     shown(arguments[0], 128), beginning);
}

bool hears_next(const Client& client) {
  return client.reply_mode == ReplyMode::kOn && !client.skips_next;
}

bool looks_like_http(std::string_view name) {
  return equals_ignoring_case(name, "post") || equals_ignoring_case(name, "host:");
}

}  // namespace

Node::Node(config::Options options, std::uint64_t seed, std::string run_id,
           const TimePoint& started, commands::Host& host, const core::Tuning& tuning)
    : state_(std::move(options), seed, std::move(run_id), started, host),
      replication_(state_.options.cluster.nodes.list.empty()
                       ? nullptr
                       : std::make_unique<Replication>(state_, tuning)),
      persistence_(state_, replication_.get()),
      newest_(started) {
  state_.cluster = replication_.get();
}

Node::~Node() = default;

Client& Node::connect(client::ConnectionInfo info, const TimePoint& now) {
  Client& client = state_.clients.add(std::move(info), now.mono_us);
  client.authenticated = state_.options.security.requirepass.empty();
  auto& limits = client.parser.limits();
  limits.authenticated = client.authenticated;
  limits.bulk_bytes_max = static_cast<std::int64_t>(state_.options.limits.proto_max_bulk_len);
  limits.buffer_bytes_max = state_.options.limits.client_query_buffer_limit;
  return client;
}

void Node::disconnect(Client& client) {
  state_.watches.forget(client);
  state_.clients.remove(client.id);
}

TimePoint Node::command_time(const TimePoint& sampled) {
  const MonoUs passed = sampled.mono_us - newest_.mono_us;
  if (passed < 0) return newest_;  // a sample older than one that was seen already
  if (sampled.unix_us >= newest_.unix_us) [[likely]] {
    newest_ = sampled;
  } else {
    newest_.mono_us = sampled.mono_us;
    newest_.unix_us += passed;
    newest_.unix_ms = newest_.unix_us / 1000;
  }
  return newest_;
}

Step Node::run_one(Client& client, const TimePoint& sampled) {
  const TimePoint now = command_time(sampled);
  if (client.fate != Fate::kOpen) return Step::kClosing;
  if (client.awaits()) return Step::kAwaits;
  if (!client.held) {
    switch (client.parser.next()) {
      case resp::ParseStatus::kNeedMore:
        return Step::kNeedMore;
      case resp::ParseStatus::kError: {
        ++state_.statistics.error_replies;
        if (hears_next(client))
          resp::ReplyWriter(client.output, client.version).error(client.parser.error());
        state_.effects.log_lines.push_back({fmt::format(
            "client closed id={} addr={} reason=protocol_error text=\"{}\"", client.id.value,
            client.info.peer_address, escaped(client.parser.error()))});
        client.fate = Fate::kCloseAfterReply;
        return Step::kClosing;
      }
      case resp::ParseStatus::kRequest:
        break;
    }
    if (client.parser.batch_is_new() && client.parser.upcoming_count() > 1)
      prefetch_upcoming(client);
  }
  client.last_interaction_us = now.mono_us;
  return dispatch(client, now);
}

// The requests of a pipeline wait for memory together instead of one after the other. Taking the
// first argument for the key is right for all that matters, and harmless where it is wrong.
void Node::prefetch_upcoming(const Client& client) const {
  const keyspace::Table& table = state_.keyspace.table(client.database);
  std::array<std::uint64_t, resp::kRequestsAhead> hashes;
  std::size_t count = 0;
  for (std::size_t i = 0; i < client.parser.upcoming_count(); ++i) {
    const resp::Arguments arguments = client.parser.upcoming(i);
    if (arguments.size() < 2) continue;
    hashes[count] = table.hash_of(arguments[1].bytes);
    table.prefetch_segment(hashes[count++]);
  }
  for (std::size_t i = 0; i < count; ++i) table.prefetch_slots(hashes[i]);
  for (std::size_t i = 0; i < count; ++i) table.prefetch_entry(hashes[i]);
}

const CommandSpec* Node::resolve(Client& client, resp::Arguments arguments) {
  const CommandSpec* spec = commands::find_command(arguments[0].bytes);
  client.last_command = nullptr;
  if (spec == nullptr) {
    refuse(client, nullptr, unknown_command(arguments));
    return nullptr;
  }
  if (!spec->subcommands.empty() && arguments.size() >= 2) {
    const CommandSpec* subcommand = commands::find_subcommand(*spec, arguments[1].bytes);
    if (subcommand == nullptr) {
      refuse(client, nullptr,
             fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", shown(arguments[1], 128),
                         to_upper(spec->name)));
      return nullptr;
    }
    spec = subcommand;
  }
  client.last_command = spec;
  if (!spec->accepts(arguments.size())) {
    refuse(client, spec, fmt::format("ERR wrong number of arguments for '{}' command", spec->name));
    return nullptr;
  }
  return spec;
}

void Node::refuse(Client& client, const CommandSpec* spec, std::string_view error) {
  state_.statistics.note_error(error);
  if (spec != nullptr) ++state_.statistics.by_command[spec->number].rejected;
  resp::OutputBuffer& output = hears_next(client) ? client.output : discarded_;
  resp::ReplyWriter reply(output, client.version);
  if (spec != nullptr && spec->name == "exec") {
    client.transaction = {};
    state_.watches.forget(client);
    const std::string_view cause = error.starts_with("ERR ") ? error.substr(4) : error;
    reply.error(fmt::format("EXECABORT Transaction discarded because of: {}", cause));
  } else {
    client.transaction.failed = client.transaction.active;
    reply.error(error);
  }
  client.skips_next = false;
  discarded_.clear();
}

bool Node::must_wait(const Client& client, const CommandSpec& spec, UnixMs now) const {
  switch (state_.pause.at(now)) {
    case commands::PauseMode::kNone:
      if (!is_pressed()) return false;
      break;
    case commands::PauseMode::kAll:
      return true;
    case commands::PauseMode::kWrites:
      break;
  }
  if (client.transaction.active && !is_exec(spec)) return false;
  return any_of(client, spec, writes_data);
}

Step Node::dispatch(Client& client, const TimePoint& now) {
  const resp::Arguments arguments = client.parser.arguments();
  client.held = false;
  client.ran = nullptr;
  if (looks_like_http(arguments[0].bytes)) {
    state_.effects.log_lines.push_back({fmt::format(
        "client closed id={} addr={} reason=http_request text=\"a browser or webhook talks to this "
        "port: possible cross-protocol attack\"",
        client.id.value, client.info.peer_address)});
    client.fate = Fate::kCloseNow;
    return Step::kClosing;
  }
  const CommandSpec* spec = resolve(client, arguments);
  if (spec == nullptr) return Step::kRan;
  if (!client.authenticated && !spec->has(Flag::kNoAuth)) {
    refuse(client, spec, "NOAUTH Authentication required.");
    return Step::kRan;
  }
  auto& transaction = client.transaction;
  if (transaction.active && spec->has(Flag::kNoMulti)) {
    refuse(client, spec, "ERR Command not allowed inside a transaction");
    return Step::kRan;
  }
  if (refused_for_role(client, *spec) || refused_for_state(client, *spec)) return Step::kRan;
  if (awaits_lease(client, *spec, now.mono_us)) {
    client.held = true;
    return Step::kHeld;
  }
  if (state_.options.memory.maxmemory > 0 && accepts_entries() &&
      refused_for_memory(client, *spec, now))
    return Step::kRan;
  if (must_wait(client, *spec, now.unix_ms)) {
    client.held = true;
    return Step::kHeld;
  }
  if (transaction.active && !spec->has(Flag::kNoQueue)) {
    queue(client, *spec, arguments);
    return client.fate == Fate::kOpen ? Step::kRan : Step::kClosing;
  }
  if (!run(client, *spec, arguments, now)) {
    client.held = true;
    return Step::kHeld;
  }
  return client.fate == Fate::kOpen ? Step::kRan : Step::kClosing;
}

bool Node::refused_for_state(Client& client, const CommandSpec& spec) {
  const commands::PersistenceState& persistence = state_.persistence;
  if (persistence.loading && any_of(client, spec, refused_while_loading)) [[unlikely]] {
    refuse(client, &spec, kLoadingError);
    return true;
  }
  if (persistence.disk_error.empty()) [[likely]] {
    if (replication_ == nullptr || !replication_->is_stalled()) [[likely]]
      return false;
    const bool refused = any_of(client, spec, writes_data);
    if (refused) refuse(client, &spec, "NOREPLICAS Not enough good replicas to write.");
    return refused;
  }
  const client::Transaction& transaction = client.transaction;
  const bool writes =
      spec.has(Flag::kWrite) || spec.name == "ping" ||
      (spec.name == "exec" && std::any_of(transaction.queue.begin(), transaction.queue.end(),
                                          [](const auto& one) { return writes_data(*one.spec); }));
  if (writes) refuse(client, &spec, misconfigured());
  return writes;
}

// As in Redis: with no room at all a transaction takes no further command, whatever it does, since
// the queue would grow without bound.
bool Node::refused_for_memory(Client& client, const CommandSpec& spec, const TimePoint& now) {
  if (make_room(state_, now, kEvictedPerCommand) != Room::kNone) return false;
  const client::Transaction& transaction = client.transaction;
  const bool adds_data = spec.name == "exec" ? transaction.adds_data
                         : transaction.active
                             ? spec.name != "discard" && spec.name != "quit" && spec.name != "reset"
                             : spec.has(Flag::kDenyOom);
  if (adds_data) refuse(client, &spec, kOutOfMemoryError);
  return adds_data;
}

// A transaction that will be refused keeps nothing, and one that grows beyond what a client may
// have unprocessed ends the connection.
void Node::queue(Client& client, const CommandSpec& spec, resp::Arguments arguments) {
  auto& transaction = client.transaction;
  if (!transaction.failed && !transaction.dirty) {
    transaction.queue.push_back({&spec, client::OwnedArguments(arguments)});
    transaction.queue_bytes +=
        sizeof(client::QueuedCommand) + transaction.queue.back().request.memory_bytes();
    transaction.adds_data |= spec.has(Flag::kDenyOom);
  }
  if (transaction.queue_bytes > state_.options.limits.client_query_buffer_limit) {
    state_.effects.log_lines.push_back(
        {fmt::format("client closed id={} addr={} reason=transaction_too_large bytes={}",
                     client.id.value, client.info.peer_address, transaction.queue_bytes)});
    client.transaction = {};
    client.fate = Fate::kCloseNow;
    return;
  }
  if (hears_next(client)) resp::ReplyWriter(client.output, client.version).simple("QUEUED");
}

bool Node::run(Client& client, const CommandSpec& spec, resp::Arguments arguments,
               const TimePoint& now) {
  const bool is_skipped =
      std::exchange(client.skips_next, false) && client.reply_mode == ReplyMode::kOn;
  if (is_skipped) client.reply_mode = ReplyMode::kSkipping;
  const bool silent = client.reply_mode != ReplyMode::kOn;
  const bool hands_over = is_handing_over();
  const bool reads_by_round = awaits_round(client, spec);
  // While the disk fails, a reply that depends on what is not persisted gives way to an error.
  const bool apart = silent || hands_over || !state_.persistence.disk_error.empty();
  const std::size_t begin = client.output.position();
  CommandContext ctx(state_, client, spec, arguments, now, apart ? discarded_ : client.output);
  spec.handler(ctx);
  if (hands_over && ctx.lacks_entry()) {
    discarded_.clear();
    if (is_skipped) client.reply_mode = ReplyMode::kOn;
    client.skips_next = is_skipped;
    return false;
  }
  state_.journal.close();
  if (ctx.mutations_emitted() > 0) client.last_write = state_.journal.last_index();
  if (replication_ != nullptr) replication_->do_what_was_asked({now.mono_us});
  if (client.awaits()) [[unlikely]]
    await(client);
  client.ran = &spec;
  ++state_.statistics.commands_processed;
  commands::CommandStatistics& statistics = state_.statistics.by_command[spec.number];
  ++statistics.calls;
  if (ctx.failed()) ++statistics.failed;
  if (silent && client.reply_mode != ReplyMode::kOn) {  // CLIENT REPLY ON answers
    discarded_.clear();
  } else {
    settle(client, ctx, begin, apart, reads_by_round);
  }
  if (client.reply_mode == ReplyMode::kSkipping) client.reply_mode = ReplyMode::kOn;
  return true;
}

void Node::note_duration(Client& client, std::int64_t duration_us, const TimePoint& now) {
  const CommandSpec* spec = std::exchange(client.ran, nullptr);
  if (spec == nullptr) return;
  state_.note_duration(client, *spec, client.parser.arguments(), duration_us, now.unix_ms);
}

std::size_t Node::expire_due(const TimePoint& now, std::size_t keys_max) {
  std::size_t expired = 0;
  std::array<keyspace::Entry*, kExpireBatchKeys> due;
  for (keyspace::DatabaseIndex database = 0; database < state_.keyspace.database_count();
       ++database) {
    keyspace::Table& table = state_.keyspace.table(database);
    while (expired < keys_max && table.next_due() <= now.unix_ms) {
      const std::size_t count =
          table.collect_due(now.unix_ms, due.data(), std::min(due.size(), keys_max - expired));
      for (std::size_t i = 0; i < count; ++i) {
        state_.journal.emit(
            keyspace::Delete{database, due[i]->key(), keyspace::DeleteReason::kExpired},
            now.unix_ms, 0);
      }
      state_.journal.close();
      state_.statistics.expired_keys += count;
      expired += std::max<std::size_t>(count, 1);
    }
  }
  return expired;
}

UnixMs Node::next_due() const {
  return accepts_entries() ? state_.keyspace.next_due() : std::numeric_limits<UnixMs>::max();
}

bool Node::background(const TimePoint& sampled, std::size_t units, bool storage_pressed) {
  const TimePoint now = command_time(sampled);
  update_rates(now);
  if (stopping_) return false;
  Persistence::Outcome outcome;
  bool more = persistence_.slice(now, units, storage_pressed, outcome);
  more |= persistence_.drop_spent(units);
  carry_out(std::move(outcome));
  if (replication_ != nullptr) {
    more |= replication_->slice(units, now.mono_us);
    carry_out_replication();
  }
  more |= digest_slice(units);
  std::size_t expired = 0;
  if (accepts_entries()) {
    expired = expire_due(now, units);
    more |= state_.keyspace.next_due() <= now.unix_ms;
    more |= make_room(state_, now, units) == Room::kMoreToEvict;
  }
  more |= state_.keyspace.free_slice(persistence_.committed(), units);
  if (!more && expired == 0) {
    state_.keyspace.compact_slice(kSegmentsPerCompaction);
    more |= state_.keyspace.return_memory_slice(units);
  }
  return more;
}

std::vector<log::Request> Node::end_turn(const TimePoint& sampled) {
  if (!has_storage()) return {};
  const TimePoint now = command_time(sampled);
  if (stopping_) return std::exchange(last_requests_, {});
  persistence_.seal(now);
  carry_out(persistence_.watch_disk(now));
  if (replication_ != nullptr) {
    ask_for_round(now.mono_us);
    carry_out_replication();
    if (!await_replicas_.empty()) answer_waits(now.mono_us);
  }
  return persistence_.take_requests(now);
}

void Node::on_storage(log::StorageEvents events, const log::StorageFigures& figures,
                      const TimePoint& sampled) {
  persistence_.show(figures);
  const TimePoint now = command_time(sampled);
  // After the last request nothing new may follow from what storage still has to say.
  carry_out(persistence_.on_events(std::move(events), now));
  if (replication_ != nullptr) carry_out_replication();
}

void Node::stop(const TimePoint& now) {
  if (std::exchange(stopping_, true) || !has_storage()) return;
  persistence_.stop(command_time(now));
  last_requests_ = persistence_.take_requests(now);
}

void Node::carry_out(Persistence::Outcome outcome) {
  auto& effects = state_.effects;
  std::move(outcome.log.begin(), outcome.log.end(), std::back_inserter(effects.log_lines));
  if (!outcome.fatal.empty()) effects.fatal = std::move(outcome.fatal);
  if (outcome.time > newest_.unix_ms) {
    newest_.unix_ms = outcome.time;
    newest_.unix_us = outcome.time * 1000;
  }
  if (outcome.disk_failed) {
    // Nobody knows whether what these wait for will last. As after a crash: the connection ends,
    // and who sends the request again is told that writes are refused.
    state_.clients.for_each([&](Client& client) {
      if (client.output.sendable_bytes(gate()) < client.output.pending_bytes())
        effects.close.push_back({client.id, "write_uncertain"});
    });
  }
  if (outcome.snapshot_ended) answer_saves();
}

bool Node::has_effects() const {
  const commands::HostEffects& effects = state_.effects;
  return !effects.close.empty() || effects.options_changed || effects.shutdown.has_value() ||
         !effects.resume.empty() || effects.sleep_us.has_value() || !effects.log_lines.empty() ||
         !effects.fatal.empty();
}

commands::HostEffects Node::take_effects() {
  commands::HostEffects effects = std::exchange(state_.effects, {});
  if (effects.options_changed) {
    state_.clients.for_each([this](Client& client) {
      client.parser.limits().bulk_bytes_max =
          static_cast<std::int64_t>(state_.options.limits.proto_max_bulk_len);
      client.parser.limits().buffer_bytes_max = state_.options.limits.client_query_buffer_limit;
    });
  }
  return effects;
}

}  // namespace holdfast::node
