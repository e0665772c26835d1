#include "server/net/server.hpp"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "server/net/clock.hpp"
#include "server/net/listener.hpp"

namespace holdfast::net {

namespace {

constexpr int kHandlersPerTurn = 256;
constexpr std::size_t kInputBytesPerTurn = 512 * 1024;
// Where more wait for an answer, it is worth a sleep.
constexpr std::size_t kAwakeWaitersMax = 16;
constexpr std::size_t kBackgroundUnits = 64;  // of one slice: some 0.1 ms
// What background work may take of a turn: half of what the commands took, as their leftovers are
// most of it and must not pile up, but not so little that it never ends, nor so much that all wait.
constexpr MonoUs kBackgroundUsMin = 200;
constexpr MonoUs kBackgroundUsMax = 20'000;
constexpr std::size_t kSweepParts = 10;
constexpr std::int64_t kFarewellMs = 2'000;
constexpr MonoUs kStopGraceUs = 1'000'000;
constexpr MonoUs kStorageGraceUs = 10'000'000;
// Above this, background work that only makes more to write waits.
constexpr std::size_t kStorageBytesPressed = 16 << 20;

}  // namespace

Server::Server(asio::io_context& io, node::Node& node, NetFigures& figures, Log log,
               node::StoragePort* storage, node::PeerPort* peers)
    : io_(io),
      node_(node),
      figures_(figures),
      log_(std::move(log)),
      storage_(storage),
      peers_(peers),
      expiry_timer_(io),
      sweep_timer_(io),
      tick_timer_(io) {}

Server::~Server() {
  while (!sessions_.empty()) {
    const auto session = sessions_.begin()->second;
    session->close();
  }
}

void Server::count_input(std::size_t bytes) {
  figures_.input_bytes += bytes;
  ++figures_.reads;
  turn_bytes_ += bytes;
}

void Server::queue_run(ClientSession& session) {
  if (std::exchange(session.queued_for_run, true)) return;
  to_run_.push_back(session.shared_from_this());
}

void Server::queue_flush(ClientSession& session) {
  if (std::exchange(session.queued_for_flush, true)) return;
  to_flush_.push_back(session.shared_from_this());
}

void Server::queue_for_commit(ClientSession& session) {
  if (std::exchange(session.queued_for_commit, true)) return;
  to_commit_.push_back(session.shared_from_this());
}

void Server::queue_read(ClientSession& session) {
  if (std::exchange(session.queued_for_read, true)) return;
  to_read_.push_back(session.shared_from_this());
}

void Server::hold(ClientSession& session) {
  held_.push_back(session.shared_from_this());
}

void Server::forget(ClientSession& session) {
  client::Client& client = session.client();
  const std::uint64_t id = client.id.value;
  node_.disconnect(client);
  sessions_.erase(id);
}

void Server::log_closed(const client::Client& client, std::string_view reason) {
  log_({fmt::format("client closed id={} addr={} reason={}", client.id.value,
                    client.info.peer_address, reason)});
}

int Server::run() {
  sweep();
  arm_timer(node_.command_time(sample_clocks()));
  const auto ends = [this] {
    if (!stopping_) return false;
    const MonoUs now = monotonic_us();
    const bool all_sent = sessions_.empty() || now >= stop_deadline_;
    return all_sent && (node_.storage_stopped() || now >= storage_deadline_);
  };
  while (!ends()) turn();
  return exit_status_;
}

void Server::turn() {
  turn_bytes_ = 0;
  // With work left over, look at the sockets without waiting for them.
  if (more_work_) {
    io_.poll_one();
  } else if (stopping_) {
    const MonoUs until = node_.storage_stopped() ? stop_deadline_ : storage_deadline_;
    io_.run_one_for(std::chrono::microseconds(std::max<MonoUs>(until - monotonic_us(), 0)));
  } else if (!look_awake()) {
    io_.run_one();
  }
  for (int i = 0; i < kHandlersPerTurn && turn_bytes_ < kInputBytesPerTurn && io_.poll_one() > 0;
       ++i) {
  }
  end_turn();
}

// Somebody waits for a majority's answer, which may be quicker than a sleep.
bool Server::look_awake() {
  if (peers_ == nullptr || to_commit_.empty() || to_commit_.size() > kAwakeWaitersMax ||
      !awake_wait_.is_worth())
    return false;
  const MonoUs until = monotonic_us() + AwakeWait::kUsMax;
  bool found = false;
  do {
    found = io_.poll_one() > 0;
  } while (!found && monotonic_us() < until);
  awake_wait_.ended(!found);
  return found;
}

void Server::end_turn() {
  run_queued();
  if (peers_ != nullptr) tick_peers();
  const TimePoint now = node_.command_time(sample_clocks());
  turn_us_ = now.mono_us;
  if (!held_.empty() && !node_.holds(now)) {
    for (const auto& session : std::exchange(held_, {})) queue_run(*session);
  }
  // Who waits is served first; then what the background work has brought.
  hand_over();
  run_background(now);
  hand_over();
  read_on();
  arm_timer(now);
  if (peers_ != nullptr) arm_tick();
  if (farewell_deadline_ != 0) {
    const std::int64_t left_ms = (farewell_deadline_ - now.mono_us) / 1000;  // for whoever is next
    if (node_.has_handed_over() || left_ms <= 0 ||
        !node_.begin_farewell(now, std::min(left_ms, kFarewellMs / 2)))
      stop_now();
  }
  more_work_ |= !to_run_.empty() || !to_flush_.empty();
  if (stopping_ && to_flush_.empty()) {
    bool pending = false;
    for (const auto& [id, session] : sessions_)
      pending |= session->client().output.pending_bytes() > 0;
    if (!pending) stop_deadline_ = 0;
  }
}

void Server::run_background(const TimePoint& now) {
  const MonoUs until =
      now.mono_us + std::clamp(std::exchange(busy_us_, 0) / 2, kBackgroundUsMin, kBackgroundUsMax);
  do {
    const bool pressed = storage_ != nullptr && storage_->queued_bytes() > kStorageBytesPressed;
    more_work_ = node_.background(now, kBackgroundUnits, pressed);
  } while (more_work_ && monotonic_us() < until);
}

void Server::hand_over() {
  hand_over_writes();
  if (node_.has_effects()) apply_effects();
  release_committed();
  flush_queued();
}

// What others must do goes first: their writes go on beside our own.
void Server::hand_over_writes() {
  std::vector<log::Request> requests;
  if (storage_ != nullptr) requests = node_.end_turn(sample_clocks());
  send_to_peers();
  if (requests.empty()) return;
  if (auto events = storage_->write_now(requests)) {
    node_.on_storage(std::move(*events), storage_->figures(), sample_clocks());
    requests = node_.end_turn(sample_clocks());
    send_to_peers();
  }
  if (!requests.empty()) storage_->post(std::move(requests));
}

void Server::send_to_peers() {
  if (peers_ != nullptr) peers_->send(node_.take_messages());
}

void Server::on_storage() {
  node_.on_storage(storage_->take_events(), storage_->figures(), sample_clocks());
}

// Silence is judged by a tick, and only once all that had come by its time has been heard.
void Server::tick_peers() {
  const TimePoint now = sample_clocks();
  if (now.mono_us < node_.next_tick()) return;
  peers_->drain();
  node_.tick(now);
}

void Server::arm_tick() {
  const MonoUs due = node_.next_tick();
  if (due == tick_armed_for_) return;
  tick_armed_for_ = due;
  tick_timer_.expires_after(std::chrono::microseconds(std::max<MonoUs>(due - monotonic_us(), 0)));
  tick_timer_.async_wait([this](const std::error_code& error) {
    if (!error) tick_armed_for_ = 0;
  });
}

void Server::release_committed() {
  if (node_.gate() == flushed_gate_) return;
  flushed_gate_ = node_.gate();
  for (const auto& session : to_commit_) {
    session->queued_for_commit = false;
    if (!session->closed()) queue_flush(*session);
  }
  to_commit_.clear();
}

void Server::run_queued() {
  std::swap(turn_list_, to_run_);
  for (const auto& session : turn_list_) {
    session->queued_for_run = false;
    if (session->closed()) continue;
    session->resume();
  }
  turn_list_.clear();
}

// Only now: a look for a next request would keep those waiting who are served above.
void Server::read_on() {
  std::swap(turn_list_, to_read_);
  for (const auto& session : turn_list_) {
    session->queued_for_read = false;
    session->read();
  }
  turn_list_.clear();
}

void Server::flush_queued() {
  std::swap(turn_list_, to_flush_);
  for (const auto& session : turn_list_) {
    session->queued_for_flush = false;
    session->flush();
  }
  turn_list_.clear();
}

void Server::apply_effects() {
  const commands::HostEffects effects = node_.take_effects();
  for (const commands::LogLine& line : effects.log_lines) log_(line);
  for (const auto& [id, reason] : effects.close) {
    const auto found = sessions_.find(id.value);
    if (found == sessions_.end()) continue;
    const auto session = found->second;
    if (reason != node::kAuthorityLost) log_closed(session->client(), reason);  // one line for all
    session->close();
  }
  for (const ClientId id : effects.resume) {
    const auto found = sessions_.find(id.value);
    if (found == sessions_.end()) continue;
    queue_run(*found->second);
    queue_flush(*found->second);
  }
  if (effects.sleep_us.has_value()) {
    std::this_thread::sleep_for(std::chrono::microseconds(*effects.sleep_us));
  }
  if (!effects.fatal.empty()) {
    log_({fmt::format("cannot go on: {}", effects.fatal), config::LogLevel::kWarning});
    stop(1);
  }
  if (effects.shutdown.has_value()) stop(*effects.shutdown);
}

// The clocks may part ways: the timer is set by what is left from now on, and looked at anew with
// every sweep. `now` is command time.
void Server::arm_timer(const TimePoint& now) {
  const UnixMs due = node_.next_due();
  const UnixMs pause_end = held_.empty() ? due : node_.pause_end(now.unix_ms);
  const UnixMs next = std::min(due, pause_end);
  if (next == armed_for_ || next > now.unix_ms + 2000) return;
  if (armed_for_ != 0 && armed_for_ < next && armed_for_ > now.unix_ms)
    return;  // wakes up early enough
  armed_for_ = next;
  const std::int64_t left_us = std::max<std::int64_t>(next * 1000 - now.unix_us, 0);
  expiry_timer_.expires_after(std::chrono::microseconds(left_us));
  expiry_timer_.async_wait([this](const std::error_code& error) {
    if (!error) armed_for_ = 0;
  });
}

// A tenth of the sessions each time: ten thousand that go idle together must not cost one long
// turn.
void Server::sweep() {
  const MonoUs now = monotonic_us();
  const std::size_t buckets = sessions_.bucket_count();
  const std::size_t begin = buckets * sweep_part_ / kSweepParts;
  const std::size_t end = buckets * (sweep_part_ + 1) / kSweepParts;
  sweep_part_ = (sweep_part_ + 1) % kSweepParts;
  std::vector<std::shared_ptr<ClientSession>> some;  // a sweep may end sessions
  for (std::size_t bucket = begin; bucket < end; ++bucket) {
    for (auto one = sessions_.begin(bucket); one != sessions_.end(bucket); ++one)
      some.push_back(one->second);
  }
  for (const auto& session : some) session->sweep(now);
  std::erase_if(held_, [](const auto& session) { return session->closed(); });
  armed_for_ = 0;
  sweep_timer_.expires_after(std::chrono::milliseconds(1000 / kSweepParts));
  sweep_timer_.async_wait([this](const std::error_code& error) {
    if (!error) sweep();
  });
}

void Server::stop(int exit_status) {
  if (stopping_ || farewell_deadline_ != 0) return;
  exit_status_ = exit_status;
  const TimePoint now = sample_clocks();
  if (exit_status == 0 && node_.begin_farewell(now, kFarewellMs / 2)) {
    farewell_deadline_ = now.mono_us + kFarewellMs * 1000;
    more_work_ = true;
    return;
  }
  stop_now();
}

void Server::stop_now() {
  farewell_deadline_ = 0;
  stopping_ = true;
  stop_deadline_ = monotonic_us() + kStopGraceUs;
  storage_deadline_ = monotonic_us() + kStorageGraceUs;
  node_.stop(sample_clocks());
  hand_over_writes();
  more_work_ = true;
  listeners_.clear();
}

}  // namespace holdfast::net
