#include "server/node/replication.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/check.hpp"
#include "base/planted_fault.hpp"

namespace holdfast::node {

namespace {

constexpr MonoUs kApplyReadFailuresUs = 5'000'000;
// Of what is committed while reloading; what is more is read from the log.
constexpr std::size_t kHeldBytesMax = std::size_t{16} << 20;

}  // namespace

core::Config replica_config(const config::ClusterOptions& cluster, const core::Tuning& tuning) {
  core::Config config;
  static_cast<core::Tuning&>(config) = tuning;
  for (std::size_t i = 0; i < cluster.nodes.list.size(); ++i) {
    config.members.push_back(NodeId{i + 1});
    if (cluster.nodes.list[i].name == cluster.node) config.self = NodeId{i + 1};
  }
  config.heartbeat = core::milliseconds(cluster.heartbeat_ms);
  config.lease = core::milliseconds(cluster.lease_ms);
  config.election_timeout = core::milliseconds(cluster.election_timeout_ms);
  config.busy_limit = core::milliseconds(cluster.busy_limit_ms);
  config.recovery_wait = core::milliseconds(cluster.recovery_wait_ms);
  config.failover = cluster.failover == config::Failover::kUnilateral ? core::Failover::kUnilateral
                                                                      : core::Failover::kQuorum;
  config.bootstrap = cluster.bootstrap;
  return config;
}

std::vector<std::string> member_names(const config::ClusterOptions& cluster) {
  std::vector<std::string> names;
  for (const config::ClusterNode& node : cluster.nodes.list) names.push_back(node.name);
  return names;
}

std::string cluster_identity(const config::ClusterOptions& cluster) {
  return cluster.id.empty() ? cluster.name : cluster.name + "/" + cluster.id;
}

Replication::Replication(commands::ServerState& state, const core::Tuning& tuning)
    : state_(state),
      tuning_(tuning),
      sync_counter_(state.statistics, state.options.cluster.nodes.list.size()),
      connected_(state.options.cluster.nodes.list.size()),
      heard_(state.options.cluster.nodes.list.size(), state.started.mono_us) {
  state_.takes_entries = false;
}

void Replication::begin(core::Start start) {
  HF_CHECK(!replica_);
  applied_ = start.applied;
  last_time_ = start.last_time;
  state_.journal.continue_from(applied_);
  const core::MonoTime now = start.now;
  // What follows names members by their numbers.
  std::string members;
  std::size_t number = 0;
  for (const std::string& name : member_names(state_.options.cluster))
    members += fmt::format(" {}={}", ++number, name);
  outcome_.log.push_back({"members" + members});
  replica_.emplace(replica_config(state_.options.cluster, tuning_), std::move(start));
  step(core::Tick{}, now);
  for (std::size_t i = 0; i < connected_.size(); ++i)
    if (connected_[i]) step(core::PeerConnected{NodeId{i + 1}}, now);
}

// --- events

void Replication::submit(core::MonoTime now) {
  if (!state_.journal.has_closed()) return;
  HF_CHECK(replica_ && state_.journal.closed().front().index == replica_->next_index());
  proposals_.clear();
  for (keyspace::ClosedEntry& entry : state_.journal.closed()) {
    last_time_ = std::max(last_time_, entry.time);
    applied_ = entry.index;
    proposals_.push_back({last_time_, log::EntryKind::kMutations, std::move(entry.mutations)});
  }
  state_.journal.drop_closed();
  effects_.clear();
  replica_->step({now, core::Submitted{proposals_}}, effects_);
  proposals_.clear();
  carry_out(now);
}

void Replication::step(core::Happening what, core::MonoTime now) {
  if (const auto* connected = std::get_if<core::PeerConnected>(&what)) {
    connected_[connected->peer.value - 1] = true;
    heard_[connected->peer.value - 1] = now.us;
    sync_counter_.on_link(connected->peer);
  } else if (const auto* lost = std::get_if<core::PeerLost>(&what)) {
    connected_[lost->peer.value - 1] = false;
  } else if (const auto* received = std::get_if<core::Received>(&what)) {
    heard_[received->from.value - 1] = now.us;
    if (is_primary() && received->message.term == replica_->term())
      sync_counter_.on_reply(received->from, received->message.body);
  }
  if (!replica_) return;  // still loading; links are told when it begins
  submit(now);
  say_readiness(now);
  effects_.clear();
  const bool is_tick = std::holds_alternative<core::Tick>(what);
  replica_->step({now, std::move(what)}, effects_);
  carry_out(now);
  note_primary();
  if (is_tick) watch_commit(now);
}

void Replication::note_primary() {
  has_caught_up_ = has_caught_up_ || (replica_->primary().value != 0 &&
                                      replica_->term_at(applied_) == replica_->term());
  if (is_primary()) last_primary_ = {};
  const NodeId primary = replica_->primary();
  if (is_primary() || primary.value == 0 || !connected_[primary.value - 1]) return;
  last_primary_ = primary;
  last_primary_heard_ = heard_[primary.value - 1];
}

void Replication::watch_commit(core::MonoTime now) {
  // With acks async nobody waits, unless memory fills.
  const bool is_watched =
      is_primary() && (state_.options.cluster.acks == config::Acks::kQuorum || is_pressed());
  if (!commit_watch_.look(is_watched, applied_, commit_index(), now.us)) return;
  if (!is_stalled()) {
    outcome_.log.push_back({fmt::format("writes are taken again commit={}", commit_index().value)});
    return;
  }
  std::string members;
  for (const core::PeerView& peer : replica_->peers()) {
    members += fmt::format(" {}={}{}", state_.options.cluster.nodes.list[peer.id.value - 1].name,
                           peer.persisted.value, peer.is_connected ? "" : "(not connected)");
  }
  outcome_.log.push_back(
      {fmt::format("writes are refused with NOREPLICAS: index {} has waited {} s for a majority to "
                   "persist it; persisted:{}; look at those members' disks and logs",
                   commit_index().value + 1, CommitWatch::kPatienceUs / 1'000'000, members),
       config::LogLevel::kWarning});
}

// A member that loads its data anew must not be elected: it would answer nothing but LOADING.
void Replication::say_readiness(core::MonoTime now) {
  if (is_said_to_be_ready_ == !is_reloading()) return;
  is_said_to_be_ready_ = !is_reloading();
  effects_.clear();
  replica_->step({now, core::OwnerReady{is_said_to_be_ready_}}, effects_);
  carry_out(now);
}

void Replication::confirm(ReadRound round, core::MonoTime now) {
  step(core::ReadRequested{round.value, core::ReadMode::kQuorum}, now);
}

void Replication::on_persisted(log::WriteNumber write, core::MonoTime now) {
  std::optional<core::WriteNumber> newest;
  for (; !writes_.empty() && writes_.front().first <= write; writes_.pop_front())
    newest = writes_.front().second;
  if (newest) step(core::Persisted{*newest}, now);
}

void Replication::on_record_saved(log::WriteNumber write, core::MonoTime now) {
  std::optional<core::WriteNumber> newest;
  for (; !records_.empty() && records_.front().first <= write; records_.pop_front())
    newest = records_.front().second;
  if (newest) step(core::RecordSaved{*newest}, now);
}

void Replication::on_entries_read(log::EntriesRead read, core::MonoTime now) {
  if (read.number < Reload::kNumbersFrom) {
    if (read.number == apply_read_) note_apply_read(read.error, now.us);
    return step(core::LogRead{read.number, std::move(read.entries)}, now);
  }
  if (reload_ == nullptr || read.number != reload_->number()) return;
  reload_->on(std::move(read), now.us);
}

// What is committed and cannot be read back cannot be shown; another member can.
void Replication::note_apply_read(const std::string& error, MonoUs now) {
  if (error.empty()) {
    apply_read_failed_.reset();
    return;
  }
  if (!apply_read_failed_) {
    apply_read_failed_ = now;
    outcome_.log.push_back(
        {fmt::format("the log cannot be read back: {}", error), config::LogLevel::kWarning});
  }
  if (now - *apply_read_failed_ >= kApplyReadFailuresUs) {
    outcome_.fatal = fmt::format(
        "the log cannot be read back: {}; `holdfast check` looks at the folder without changing it",
        error);
  }
}

void Replication::on_snapshot_part(log::SnapshotPart part, core::MonoTime now) {
  if (part.reader >= Reload::kNumbersFrom) {
    if (reload_ != nullptr && part.reader == reload_->number()) reload_->on(std::move(part));
    return;
  }
  const NodeId peer{part.reader};
  if (part.is_unread) return step(core::SnapshotUnavailable{peer, part.number}, now);
  if (!part.error.empty()) {
    outcome_.snapshot_wanted = true;
    outcome_.log.push_back({fmt::format("member {} needs a snapshot: {}", peer.value, part.error)});
    return step(core::SnapshotUnavailable{peer, part.number}, now);
  }
  if (is_primary() && part.offset == 0) sync_counter_.on_snapshot(peer);
  step(core::SnapshotRead{peer,
                          part.number,
                          {part.index, part.term},
                          part.time,
                          part.offset,
                          std::move(part.bytes),
                          part.is_last},
       now);
}

void Replication::on_snapshot_stored(const log::SnapshotStored& stored, core::MonoTime now) {
  step(core::SnapshotStored{stored.stream, stored.bytes, stored.is_whole}, now);
}

void Replication::on_log_trimmed(LogIndex first, core::MonoTime now) {
  if (first.value != 0) step(core::LogTrimmed{first}, now);
}

// --- effects

void Replication::carry_out(core::MonoTime now) {
  do_records();
  if (effects_.discard_snapshot) requests_.emplace_back(log::DiscardSnapshotRequest{});
  is_receiving_ = (is_receiving_ && !effects_.discard_snapshot && !effects_.install_snapshot) ||
                  !effects_.store_snapshot.empty();
  for (core::StoreSnapshot& block : effects_.store_snapshot) {
    requests_.emplace_back(log::StoreSnapshotRequest{block.snapshot.index, block.snapshot.term,
                                                     block.offset, std::move(block.bytes),
                                                     block.is_last, block.number});
  }
  do_writes();
  do_became(now);
  if (effects_.refused_from.value != 0 && applied_ >= effects_.refused_from && !is_reloading())
    begin_reload({}, {}, {effects_.refused_from.value - 1}, now);
  do_install(now);
  do_apply();
  if (effects_.committed.value != 0)
    state_.persistence.log_index_committed = effects_.committed.value;
  for (const core::ReadLog& read : effects_.read_log) {
    requests_.emplace_back(
        log::ReadRequest{read.number, read.from, read.to, read.payload_bytes_max});
    if (read.is_to_apply) apply_read_ = read.number;
  }
  for (const core::ReadSnapshot& read : effects_.read_snapshot) {
    requests_.emplace_back(log::ReadSnapshotRequest{read.peer.value, read.wanted.index,
                                                    read.wanted.term, read.offset, read.bytes_max,
                                                    read.number});
  }
  for (const NodeId peer : effects_.end_snapshot)
    requests_.emplace_back(log::EndSnapshotReadRequest{peer.value});
  if (effects_.transfer) {
    is_handing_over_ = false;
    if (*effects_.transfer == core::TransferOutcome::kFailed) {
      outcome_.log.push_back(
          {"hand-over failed: this member is still primary", config::LogLevel::kWarning});
    }
  }
  for (const core::ReadOutcome& read : effects_.reads)
    if (read.allowed) confirmed_round_ = std::max(confirmed_round_, ReadRound{read.id});
  for (core::Send& message : effects_.send) messages_.push_back(std::move(message));
  for (core::Note& note : effects_.notes) {
    outcome_.log.push_back({std::move(note.text), note.is_warning ? config::LogLevel::kWarning
                                                                  : config::LogLevel::kNotice});
  }
  update_serving();
  if (is_reloading()) ask_for_reload(now.us);
}

void Replication::update_serving() {
  state_.takes_entries = replica_->accepts_entries() && !is_reloading();
  if (state_.takes_entries && !was_serving_) {
    HF_CHECK(applied_ == replica_->last_index());
    outcome_.gained_authority = true;
  }
  was_serving_ = state_.takes_entries;
}

void Replication::do_records() {
  for (core::RecordWrite& write : effects_.records) {
    records_.emplace_back(++last_write_, write.write);
    requests_.emplace_back(log::SaveRecordRequest{last_write_, std::move(write.record)});
  }
}

void Replication::do_writes() {
  for (core::LogWrite& write : effects_.writes) {
    if (write.reset) {
      requests_.emplace_back(
          log::InstallSnapshotRequest{++last_write_, write.reset->index, write.reset->term});
    }
    if (write.truncate_from.value != 0)
      requests_.emplace_back(log::TruncateRequest{++last_write_, write.truncate_from});
    if (!write.entries.empty()) {
      for (const log::Entry& entry : write.entries) log_bytes_ += entry.payload.size();
      // In memory the records' heads count too: entries of a session's life are short.
      if (!state_.persistence.enabled)
        log_bytes_ += write.entries.size() * (log::kFrameBytes + log::kEntryHeadBytes);
      requests_.emplace_back(log::AppendRequest{++last_write_, std::move(write.entries)});
    }
    writes_.emplace_back(last_write_, write.write);
  }
}

void Replication::do_became(core::MonoTime now) {
  for (const core::Became& became : effects_.became) {
    const bool is_primary = became.role == core::Role::kPrimary;
    if (was_primary_ && !is_primary) outcome_.lost_authority = true;
    if (!was_primary_ && is_primary) {
      for (std::size_t i = 0; i < connected_.size(); ++i)
        if (connected_[i]) sync_counter_.on_link({i + 1});
    }
    was_primary_ = is_primary;
    if (became.void_from.value != 0 && applied_ >= became.void_from && !is_reloading())
      begin_reload({}, {}, {became.void_from.value - 1}, now);
  }
}

void Replication::do_install(core::MonoTime now) {
  if (!effects_.install_snapshot) return;
  drop_held();
  begin_reload(effects_.install_snapshot->index, effects_.install_snapshot->term,
               effects_.install_snapshot->index, now);
}

void Replication::do_apply() {
  for (log::Entry& entry : effects_.apply) {
    if (is_reloading()) {
      hold(std::move(entry));
    } else {
      apply(entry);
    }
  }
}

void Replication::hold(log::Entry entry) {
  last_time_ = std::max(last_time_, entry.time);
  outcome_.time = std::max(outcome_.time, entry.time);
  held_bytes_ += entry.payload.size();
  held_entries_.push_back(std::move(entry));
  if (held_bytes_ <= kHeldBytesMax || reload_->is_done()) return;
  applied_ = held_entries_.back().index;
  state_.journal.continue_from(applied_);
  reload_->extend(applied_, held_bytes_);
  drop_held();
}

void Replication::drop_held() {
  held_entries_.clear();
  held_bytes_ = 0;
}

void Replication::apply(log::Entry& entry) {
  HF_CHECK(entry.index.value == applied_.value + 1);
  applied_ = entry.index;
  last_time_ = std::max(last_time_, entry.time);
  outcome_.time = std::max(outcome_.time, entry.time);
  std::size_t mutations = 0;
  state_.keyspace.begin_entry(entry.index,
                              static_cast<std::uint32_t>(entry.time / 1000) & 0xffffff);
  if (entry.kind == log::EntryKind::kMutations) {
    const auto done = keyspace::apply_encoded(entry.payload, state_.keyspace);
    if (!done) {
      outcome_.fatal = fmt::format(
          "the log's entry {} does not fit the data: {}; was it written by a newer "
          "version? `holdfast check` looks at the folder without changing it",
          entry.index.value, done.error().message);
      return;
    }
    mutations = *done;
  }
  state_.journal.follow(entry.index, mutations);
}

// --- reloading

void Replication::begin_reload(LogIndex snapshot, Term term, LogIndex until, core::MonoTime now) {
  outcome_.data_is_void = true;
  outcome_.log.push_back({fmt::format("reloading until={}", until.value)});
  if (reload_ != nullptr) requests_.emplace_back(log::EndSnapshotReadRequest{reload_->number()});
  state_.persistence.loading = true;
  state_.persistence.loading_since_us = now.us;
  state_.persistence.loading_bytes = state_.persistence.loading_bytes_done = 0;
  applied_ = until;
  state_.journal.continue_from(until);
  // The log of a member that has installed a snapshot begins behind it.
  const std::uint64_t log_bytes =
      snapshot.value == 0 ? state_.persistence.log_bytes_since_snapshot : 0;
  reload_ = std::make_unique<Reload>(state_.keyspace, snapshot, term, until,
                                     Reload::kNumbersFrom + ++reloads_, log_bytes);
}

void Replication::ask_for_reload(MonoUs now) {
  if (auto request = reload_->next_request(now)) requests_.push_back(std::move(*request));
}

bool Replication::slice(std::size_t units, MonoUs now) {
  if (reload_ == nullptr) return false;
  bool more = reload_->slice(units);
  state_.persistence.loading_bytes = reload_->bytes_to_load();
  state_.persistence.loading_bytes_done = reload_->bytes_loaded();
  if (!reload_->error().empty()) {
    outcome_.fatal = reload_->error();
    return false;
  }
  if (!reload_->is_done()) {
    ask_for_reload(now);
    return more;
  }
  // What was committed meanwhile, also in slices.
  for (; units > 0 && !held_entries_.empty(); --units) {
    held_bytes_ -= held_entries_.front().payload.size();
    apply(held_entries_.front());
    held_entries_.pop_front();
  }
  if (!held_entries_.empty()) return true;
  end_reload();
  return false;
}

void Replication::end_reload() {
  requests_.emplace_back(log::EndSnapshotReadRequest{reload_->number()});
  last_time_ = std::max(last_time_, reload_->snapshot_time());
  outcome_.time = std::max(outcome_.time, last_time_);
  reload_ = nullptr;
  state_.persistence.loading = false;
  outcome_.log.push_back({fmt::format("reloaded last_index={}", applied_.value)});
  update_serving();
}

bool Replication::may_run(MonoUs now) const {
  return may_read(now) && (replica_->accepts_entries() || !state_.persistence.disk_error.empty());
}

bool Replication::may_read(MonoUs now) const {
  if (!replica_ || is_reloading()) return false;
  if (state_.options.cluster.reads == config::Reads::kQuorum) return replica_->is_serving();
  return replica_->lease_holds({now}) || HF_BUG(kReadWithoutLease);
}

}  // namespace holdfast::node
