#include "tests/sim/node_process.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <variant>

#include "base/crc32c.hpp"

namespace holdfast::sim {

namespace {

constexpr std::size_t kBackgroundUnits = 64;
// As in server/net.
constexpr MonoUs kFarewellUs = 2'000'000;
constexpr MonoUs kStorageGraceUs = 10'000'000;

NodeId id_of(std::size_t machine) {
  return {machine + 1};
}

const client::ConnectionInfo kClientInfo{"127.0.0.1:50000", "127.0.0.1:6379", 8, false};

}  // namespace

NodeProcess::NodeProcess(const Surroundings& around, SimDisk& disk, log::StorageOptions storage,
                         DiskTiming timing, config::Options options, core::Tuning tuning,
                         std::uint64_t seed, std::function<void(std::string cause)> on_end)
    : around_(around),
      number_(around.machine.number()),
      node_(std::move(options), seed, std::string(40, 'a'), around.machine.now(), host_, tuning),
      watch_(around.checker, around.events, number_),
      on_end_(std::move(on_end)),
      due_{around.machine.clock().now()},
      storage_(
          around.timeline, around.random, around.machine, disk, std::move(storage), timing,
          [&machine = around.machine](log::StorageEvents events, log::StorageFigures figures) {
            // std::function wants copies; this is handed on once.
            auto kept = std::make_shared<log::StorageEvents>(std::move(events));
            machine.post([kept, figures](Process& process, const TimePoint& now) {
              static_cast<NodeProcess&>(process).on_storage(std::move(*kept), figures, now);
            });
          },
          [this] { end("its disk's strike"); }) {
  operator_ = &node_.connect(kClientInfo, around.machine.now());
}

NodeProcess::~NodeProcess() {
  for (auto& [id, session] : sessions_) session.connection.on_closed();
}

void NodeProcess::end(std::string cause) {
  if (std::exchange(is_ended_, true)) return;
  on_end_(std::move(cause));
}

// --- peers

void NodeProcess::on_message(std::size_t from, const wire::Message& message, const TimePoint& now) {
  node_.on_peer_message(id_of(from), message, {now.mono_us});
}

void NodeProcess::on_link_up(std::size_t peer, const TimePoint& now) {
  node_.on_peer_connected(id_of(peer), {now.mono_us});
}

void NodeProcess::on_link_down(std::size_t peer, const TimePoint& now) {
  node_.on_peer_lost(id_of(peer), {now.mono_us});
}

void NodeProcess::say_busy() {
  const auto message = node_.busy_message();
  if (!message) return;
  for (std::size_t peer = 0; peer < node_.options().cluster.nodes.list.size(); ++peer)
    if (peer != number_) around_.network.send(number_, peer, *message);
}

// What is said must be true already: nothing is acknowledged that a killed process could lose.
void NodeProcess::check_said(const wire::Message& message) {
  LogIndex persisted;
  if (const auto* append = std::get_if<wire::AppendReply>(&message.body)) {
    if (append->accepted) persisted = append->persisted;
  } else if (const auto* heartbeat = std::get_if<wire::HeartbeatReply>(&message.body)) {
    persisted = heartbeat->persisted;
  }
  const EntryFact* entry = watch_.fact(persisted);
  if (entry != nullptr && !storage_.on_disk().holds(persisted, entry->term))
    around_.checker.fail(
        fmt::format("node {} acknowledges index {} of term {}, which is not on its disk",
                    number_ + 1, persisted.value, entry->term.value));
}

// --- storage

void NodeProcess::on_storage(log::StorageEvents events, const log::StorageFigures& figures,
                             const TimePoint& now) {
  note_loading(events);
  node_.on_storage(std::move(events), figures, now);
}

void NodeProcess::note_loading(const log::StorageEvents& events) {
  for (const log::StorageEvent& event : events.events) {
    if (const auto* found = std::get_if<log::Recovered>(&event)) {
      is_in_doubt_ = found->tail_in_doubt || found->log_is_missing || found->record.recovering;
    } else if (const auto* block = std::get_if<log::LoadedBlock>(&event)) {
      if (block->restart) recovered_.clear();
      recovered_.insert(recovered_.end(), block->entries.begin(), block->entries.end());
    } else if (const auto* loaded = std::get_if<log::Loaded>(&event)) {
      if (is_loaded_) continue;
      is_loaded_ = true;
      check_found();
      watch_.reset(loaded->snapshot_index, loaded->snapshot_term);
      watch_.installed(loaded->snapshot_index);
      for (const log::Entry& entry : std::exchange(recovered_, {})) watch_.recover(entry);
    }
  }
}

// What storage once said to be persisted is there, or the member claims nothing.
void NodeProcess::check_found() {
  if (is_in_doubt_ || expected_.terms.empty()) return;
  const LogIndex last = expected_.last_index();
  if (!storage_.on_disk().holds(last, expected_.last_term()))
    around_.checker.fail(
        fmt::format("node {} claims to be sound without index {} of term {}, which its disk held",
                    number_ + 1, last.value, expected_.last_term().value));
}

void NodeProcess::note_requests(const std::vector<log::Request>& requests) {
  for (const log::Request& request : requests) {
    if (const auto* install = std::get_if<log::InstallSnapshotRequest>(&request)) {
      watch_.reset(install->index, install->term);
      watch_.installed(install->index);
    } else if (const auto* truncate = std::get_if<log::TruncateRequest>(&request)) {
      watch_.truncate(truncate->from);
    } else if (const auto* append = std::get_if<log::AppendRequest>(&request)) {
      for (const log::Entry& entry : append->entries) watch_.append(entry);
    }
  }
}

// What the node wants of its storage comes first, so that all is known that its replica knows.
void NodeProcess::end_turn() {
  std::vector<log::Request> requests = node_.end_turn(around_.machine.now());
  note_requests(requests);
  storage_.post(std::move(requests));
  if (replica() == nullptr) return;
  // Nothing is asked of storage behind its stop: a peer's snapshot that is whole only then is never
  // installed.
  if (is_stopping_ && replica()->commit_index() > watch_.last_index()) return;
  watch_.look_at(*replica());
}

// --- clients

ClientId NodeProcess::connect(Connection connection) {
  client::Client& client = node_.connect(kClientInfo, around_.machine.now());
  Session& session = sessions_[client.id.value];
  session.client = &client;
  session.connection = std::move(connection);
  return client.id;
}

void NodeProcess::close(ClientId id) {
  const auto found = sessions_.find(id.value);
  if (found == sessions_.end()) return;
  node_.disconnect(*found->second.client);
  sessions_.erase(found);
}

void NodeProcess::request(ClientId id, std::string_view bytes, const TimePoint& now) {
  const auto found = sessions_.find(id.value);
  if (found == sessions_.end() || is_stopping_) return;
  found->second.input += bytes;
  if (!found->second.is_held) run(found->second, now);
}

std::string NodeProcess::command(const std::vector<std::string>& words, const TimePoint& now) {
  Session once;
  once.client = operator_;
  once.input = node::request(words);
  if (operator_->fate != client::Fate::kOpen) {
    node_.disconnect(*operator_);
    once.client = operator_ = &node_.connect(kClientInfo, now);
  }
  run(once, now);
  std::string reply;
  std::string_view part;
  while (operator_->output.gather(&part, 1, operator_->output.pending_bytes()) > 0) {
    reply += part;
    operator_->output.consume(part.size());
  }
  return reply;
}

void NodeProcess::run(Session& session, const TimePoint& now) {
  if (is_stopping_) return;
  client::Client& client = *session.client;
  for (;;) {
    const LogIndex before = client.last_write;
    const node::Step step = node_.run_one(client, now);
    session.is_held = step == node::Step::kHeld;
    if (step == node::Step::kRan) {
      session.entries.push_back(client.last_write == before ? LogIndex{} : client.last_write);
      continue;
    }
    if (step != node::Step::kNeedMore || session.input.empty()) return;
    const auto [room, room_bytes] = client.parser.read_room();
    const std::size_t count = std::min(room_bytes, session.input.size());
    std::memcpy(room, session.input.data(), count);
    client.parser.commit(count);
    session.input.erase(0, count);
  }
}

void NodeProcess::flush(Session& session) {
  client::Client& client = *session.client;
  if (client.fate == client::Fate::kCloseNow) return;
  std::string text;
  std::string_view part;
  while (client.output.gather(&part, 1, client.output.sendable_bytes(node_.gate())) > 0) {
    text += part;
    client.output.consume(part.size());
  }
  if (!text.empty())
    session.connection.on_output(std::move(text), std::exchange(session.entries, {}));
}

void NodeProcess::take_effects() {
  const commands::HostEffects effects = node_.take_effects();
  if (around_.trace)
    for (const commands::LogLine& line : effects.log_lines) around_.trace(number_, line.text);
  for (const auto& close : effects.close) {
    const auto found = sessions_.find(close.id.value);
    if (found != sessions_.end()) found->second.client->fate = client::Fate::kCloseNow;
  }
  if (!effects.fatal.empty()) end(effects.fatal);
}

// --- the turn

void NodeProcess::say_farewell(const TimePoint& now) {
  if (is_stopping_ || leaves_until_ != 0) return;
  leaves_until_ = now.mono_us;
  if (node_.begin_farewell(now, kFarewellUs / 2000)) leaves_until_ += kFarewellUs;
}

void NodeProcess::go_on_leaving(const TimePoint& now) {
  const MonoUs left_us = leaves_until_ - now.mono_us;
  if (leaves_until_ != 0 &&
      (node_.has_handed_over() || left_us <= 0 ||
       !node_.begin_farewell(now, std::min(left_us, kFarewellUs / 2) / 1000))) {
    leaves_until_ = 0;
    is_stopping_ = true;
    stopping_until_ = now.mono_us + kStorageGraceUs;
    node_.stop(now);
    end_turn();
  }
  if (is_stopping_ && (node_.storage_stopped() || now.mono_us >= stopping_until_))
    return end(std::string(kEndedAsPlanned));
  // Or when storage says something.
  due_ = {is_stopping_ ? stopping_until_ : std::min(due_.us, leaves_until_)};
}

void NodeProcess::on_turn_end(const TimePoint& now) {
  if (is_ended_) return;
  if (now.mono_us >= node_.next_tick()) node_.tick(now);
  for (auto& [id, session] : sessions_)
    if (session.is_held && !node_.holds(node_.command_time(now))) run(session, now);
  const bool more = node_.background(now, kBackgroundUnits);
  end_turn();
  for (core::Send& message : node_.take_messages()) {
    check_said(message.message);
    around_.network.send(number_, message.to.value - 1, message.message);
  }
  take_effects();
  if (is_ended_) return;
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    flush(at->second);
    if (at->second.client->fate == client::Fate::kOpen) {
      ++at;
      continue;
    }
    const Connection connection = std::move(at->second.connection);
    node_.disconnect(*at->second.client);
    at = sessions_.erase(at);
    connection.on_closed();
  }
  check_data();
  check_marked();
  const TimePoint command_time = node_.command_time(now);
  const UnixMs due = std::min(node_.next_due(), command_time.unix_ms + 1'000);
  due_ = {std::min(node_.next_tick(), now.mono_us + (due * 1000 - command_time.unix_us))};
  if (more) due_ = {now.mono_us};
  if (leaves_until_ != 0 || is_stopping_) go_on_leaving(now);
}

// --- data

std::uint64_t NodeProcess::digest() {
  const keyspace::Table& table = node_.state().keyspace.table(0);
  std::uint64_t sum = table.size();
  std::uint64_t cursor = 0;
  do {
    cursor = table.scan(cursor, 1'000, [&](const keyspace::Entry* entry, UnixMs expire_at) {
      const std::uint32_t crc = crc32c(entry->value(), crc32c(entry->key(), 0));
      sum += next_digest(crc, static_cast<std::uint64_t>(expire_at));
    });
  } while (cursor != 0);
  return sum;
}

void NodeProcess::check_data() {
  if (replica() == nullptr || node_.state().persistence.loading) return;
  const LogIndex index = applied();
  const EntryFact* entry = watch_.fact(index);
  if (entry == nullptr || (index == checked_ && entry->term == checked_term_)) return;
  checked_ = index;
  checked_term_ = entry->term;
  around_.checker.on_data(number_, index, entry->term, digest());
}

// What was taken before a marker was committed is only to be true if it comes to be.
void NodeProcess::check_marked() {
  if (replica() == nullptr) return;
  for (const commands::MarkedDigest& marked : node_.state().marked_digests) {
    if (marked.state != commands::MarkedDigest::State::kTaken || marked.index <= marked_checked_ ||
        marked.index > replica()->commit_index())
      continue;
    const EntryFact* entry = watch_.fact(marked.index);
    if (entry == nullptr) continue;
    marked_checked_ = marked.index;
    around_.checker.on_marked(number_, marked.index, entry->term, marked.digest);
  }
}

}  // namespace holdfast::sim
