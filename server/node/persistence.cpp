#include "server/node/persistence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "replication/log/fsync_mode.hpp"
#include "replication/log/storage_requests.hpp"
#include "server/node/folder_owner.hpp"

namespace holdfast::node {

namespace {

// Blocks asked for and not applied yet: the log thread reads ahead while the loop applies.
constexpr std::size_t kBlocksAhead = 4;
constexpr std::size_t kSpentPerUnit = 16;
constexpr MonoUs kRetrySnapshotUs = 5'000'000;
// Of the log's end, kept at hand at the start for peers that are a little behind.
constexpr std::size_t kTailBytesMax = std::size_t{8} << 20;
// A log in memory may grow by half of what the data takes, and by so much whatever that is.
constexpr std::uint64_t kMemoryLogBytesMin = std::uint64_t{32} << 20;

}  // namespace

Persistence::Persistence(commands::ServerState& state, Replication* replication)
    : state_(state),
      replication_(replication),
      has_storage_(replication != nullptr || state.options.persistence.enabled),
      mode_(log::fsync_mode_of(state.options.persistence.log_fsync)),
      snapshot_ended_us_(state.started.mono_us) {
  commands::PersistenceState& shown = state_.persistence;
  shown.enabled = state_.options.persistence.enabled;
  shown.loading = has_storage_;
  shown.loading_since_us = state_.started.mono_us;
  state_.journal.set_recording(has_storage_);
}

void Persistence::seal(const TimePoint& now) {
  options_changed();
  if (replication_ != nullptr) {
    replication_->submit({now.mono_us});
    log_bytes_since_snapshot_ += replication_->take_log_bytes();
    last_time_ = std::max(last_time_, replication_->last_time());
    return;
  }
  if (!state_.journal.has_closed()) return;
  const std::uint64_t bytes = state_.journal.closed_bytes();
  log_bytes_since_snapshot_ += bytes;
  pending_bytes_ += bytes;
  log::AppendRequest append;
  append.write = ++last_write_;
  const auto closed = state_.journal.closed();
  append.entries.reserve(closed.size());
  for (keyspace::ClosedEntry& entry : closed) {
    last_time_ = std::max(last_time_, entry.time);
    append.entries.push_back(
        {term_, entry.index, last_time_, log::EntryKind::kMutations, std::move(entry.mutations)});
  }
  state_.journal.drop_closed();
  pending_.push_back({append.write, append.entries.back().index, bytes});
  appends_.emplace_back(std::move(append));
}

std::vector<log::Request> Persistence::take_requests(const TimePoint& now) {
  std::vector<log::Request> requests = std::exchange(appends_, {});
  if (replication_ != nullptr) {
    std::vector<log::Request> more = replication_->take_requests();
    std::move(more.begin(), more.end(), std::back_inserter(requests));
  }
  for (const log::Request& request : requests) {
    if (const auto* append = std::get_if<log::AppendRequest>(&request))
      disk_watch_.on_posted(append->write, log::payload_bytes(request), now.mono_us);
  }
  if (requests.empty()) return std::exchange(others_, {});
  std::move(others_.begin(), others_.end(), std::back_inserter(requests));
  others_.clear();
  return requests;
}

// (Files in memory have nothing to sync.)
void Persistence::options_changed() {
  const log::FsyncMode wanted = log::fsync_mode_of(state_.options.persistence.log_fsync);
  if (wanted == mode_ || !state_.persistence.enabled || state_.persistence.loading) return;
  mode_ = wanted;
  appends_.emplace_back(log::ChangeModeRequest{wanted});
}

Persistence::Outcome Persistence::on_events(log::StorageEvents events, const TimePoint& now) {
  Outcome outcome;
  std::move(events.spent_entries.begin(), events.spent_entries.end(),
            std::back_inserter(spent_entries_));
  std::move(events.spent_ropes.begin(), events.spent_ropes.end(), std::back_inserter(spent_ropes_));
  for (log::StorageEvent& event : events.events) {
    std::visit([&](auto& one) { on(std::move(one), now, outcome); }, event);
  }
  state_.persistence.log_index_committed = committed().value;
  return outcome;
}

// A sync gives back a second's entries: hundreds of thousands, whose counts are scattered.
bool Persistence::drop_spent(std::size_t units) {
  for (std::size_t dropped = 0; dropped < units * kSpentPerUnit && !spent_entries_.empty();) {
    std::vector<log::Entry>& last = spent_entries_.back();
    const std::size_t count = std::min(last.size(), units * kSpentPerUnit - dropped);
    last.resize(last.size() - count);
    dropped += std::max<std::size_t>(count, 1);
    if (last.empty()) spent_entries_.pop_back();
  }
  for (std::size_t i = 0; i < units && !spent_ropes_.empty(); ++i) spent_ropes_.pop_front();
  return !spent_entries_.empty() || !spent_ropes_.empty();
}

void Persistence::show(const log::StorageFigures& figures) {
  commands::PersistenceState& shown = state_.persistence;
  shown.log_bytes = figures.log_bytes;
  shown.log_bytes_since_snapshot = log_bytes_since_snapshot_;
  shown.log_segments = figures.log_segments;
  shown.log_synced_index = figures.synced_index;
  shown.log_fsyncs = figures.fsyncs;
  shown.log_fsync_us_max = figures.fsync_us_max;
  shown.memory_bytes = figures.memory_bytes;
}

// --- loading

void Persistence::on(log::Recovered event, const TimePoint& now, Outcome& outcome) {
  if (std::string refusal = folder_refusal(event, state_.options); !refusal.empty()) {
    refused_ = true;
    outcome.fatal = std::move(refusal);
    return;
  }
  if (replication_ != nullptr) {
    const config::ClusterOptions& cluster = state_.options.cluster;
    start_.is_new = event.is_new || event.record.members.empty();
    start_.record = event.record;
    start_.record.members = member_names(cluster);
    start_.record.cluster_id = cluster_identity(cluster);
    start_.record.node = cluster.node;
    start_.last_index = event.last_index;
    start_.last_time = event.last_time;
    start_.tail_in_doubt = event.tail_in_doubt;
    start_.log_is_missing = event.log_is_missing;
  }
  term_ = Term{std::max(event.last_term, event.record.term).value + 1};
  last_time_ = event.last_time;
  recovered_last_ = event.last_index;
  if (replication_ == nullptr && (event.tail_in_doubt || event.record.recovering)) {
    outcome.log.push_back(
        {"the end of the log is in doubt: after a loss of power, writes of up to the last second "
         "before it may be missing (log_fsync: always rules that out)",
         config::LogLevel::kWarning});
    marked_ = event.record;
  }
  outcome.time = event.last_time;
  state_.persistence.loading_bytes = event.bytes_to_load;
  loader_.emplace(state_.keyspace);
  state_.keyspace.begin_entry(LogIndex{0}, static_cast<std::uint32_t>(now.unix_ms / 1000));
  ask_for_blocks();
  if (!state_.persistence.enabled) return;
  outcome.log.push_back({event.is_new ? "data folder is empty: starting without data"
                                      : fmt::format("loading snapshot={} last_index={} bytes={}",
                                                    event.snapshot_index.value,
                                                    event.last_index.value, event.bytes_to_load)});
}

void Persistence::ask_for_blocks() {
  if (stopping_) return;
  for (; !all_read_ && blocks_asked_ + loader_->blocks_waiting() < kBlocksAhead; ++blocks_asked_)
    others_.emplace_back(log::LoadRequest{});
}

void Persistence::on(log::LoadedBlock event, const TimePoint&, Outcome&) {
  HF_CHECK(loader_.has_value() && blocks_asked_ > 0);
  --blocks_asked_;
  if (replication_ != nullptr) {
    if (event.restart) {
      start_.runs.clear();
      start_.tail.clear();
      tail_bytes_ = 0;
    }
    note_entries(std::exchange(event.entries, {}));
  }
  loader_->add(std::move(event));
}

// What the log holds behind the snapshot: the terms of all, and the last ones themselves.
void Persistence::note_entries(std::vector<log::Entry> entries) {
  for (log::Entry& entry : entries) {
    if (start_.runs.empty() || start_.runs.back().term != entry.term)
      start_.runs.push_back({entry.index, entry.term});
    tail_bytes_ += entry.payload.size();
    log_bytes_since_snapshot_ += entry.payload.size();
    start_.tail.push_back(std::move(entry));
  }
  std::size_t spare = 0;
  for (; tail_bytes_ > kTailBytesMax && spare + 1 < start_.tail.size(); ++spare)
    tail_bytes_ -= start_.tail[spare].payload.size();
  start_.tail.erase(start_.tail.begin(), start_.tail.begin() + static_cast<std::ptrdiff_t>(spare));
}

void Persistence::on(log::Loaded event, const TimePoint&, Outcome&) {
  all_read_ = true;
  newest_snapshot_ = event.snapshot_index;
  if (replication_ == nullptr || !state_.persistence.loading || replication_->has_begun()) return;
  start_.snapshot = {event.snapshot_index, event.snapshot_term};
}

void Persistence::begin_replication(const TimePoint& now) {
  start_.now = {now.mono_us};
  start_.seed = state_.random.next();
  start_.applied = start_.snapshot.index;
  start_.last_index = std::max(start_.last_index, start_.snapshot.index);
  replication_->begin(std::exchange(start_, {}));
}

void Persistence::on(log::Refused event, const TimePoint&, Outcome& outcome) {
  refused_ = true;
  outcome.fatal = std::move(event.text);
}

bool Persistence::load_slice(const TimePoint& now, std::size_t units, Outcome& outcome) {
  if (!loader_.has_value()) return false;  // recovery is not that far
  const bool more = loader_->slice(units);
  state_.persistence.loading_bytes_done = loader_->bytes_loaded();
  committed_ = std::max(committed_, loader_->last_index());  // what it displaced may be freed
  if (!loader_->error().empty()) {
    outcome.fatal = fmt::format(
        "the data folder {} cannot be loaded: {}; was it written by a newer version? "
        "`holdfast check` looks at it without changing it",
        state_.options.server.dir, loader_->error());
    return false;
  }
  ask_for_blocks();
  if (more || !all_read_ || loader_->blocks_waiting() > 0) return more;

  HF_CHECK(loader_->last_index() == LogIndex{0} || loader_->last_index() == recovered_last_);
  if (replication_ == nullptr) log_bytes_since_snapshot_ = loader_->log_bytes();
  loader_.reset();
  finish_loading(now, outcome);
  return false;
}

void Persistence::finish_loading(const TimePoint& now, Outcome& outcome) {
  state_.persistence.loading = false;
  outcome.loaded = true;
  std::size_t keys = 0;
  for (keyspace::DatabaseIndex i = 0; i < state_.keyspace.database_count(); ++i)
    keys += state_.keyspace.table(i).size();
  state_.persistence.loaded_keys = keys;
  outcome.log.push_back(
      {fmt::format("loaded keys={} last_index={} seconds={:.3f}", keys, recovered_last_.value,
                   static_cast<double>(now.mono_us - state_.started.mono_us) / 1e6)});
  if (replication_ != nullptr) return begin_replication(now);
  // As the first entry of a primary's term: what comes behind it is this life's.
  committed_ = recovered_last_;
  const LogIndex first{recovered_last_.value + 1};
  state_.journal.continue_from(first);
  last_time_ = std::max(last_time_, now.unix_ms);
  log::AppendRequest append;
  append.write = ++last_write_;
  append.entries.push_back({term_, first, last_time_, log::EntryKind::kNoOp, {}});
  pending_.push_back({append.write, first, 0});
  appends_.emplace_back(std::move(append));
  if (marked_.has_value()) {
    marked_->recovering = false;
    appends_.emplace_back(log::SaveRecordRequest{++last_write_, std::move(*marked_)});
    marked_.reset();
  }
}

// --- the log

void Persistence::on(log::Persisted event, const TimePoint& now, Outcome&) {
  disk_watch_.on_answered(event.write, now.mono_us);
  if (replication_ != nullptr) return replication_->on_persisted(event.write, {now.mono_us});
  while (!pending_.empty() && pending_.front().write <= event.write) {
    committed_ = pending_.front().last;
    pending_bytes_ -= pending_.front().bytes;
    pending_.pop_front();
  }
}

void Persistence::on(log::Note event, const TimePoint&, Outcome& outcome) {
  outcome.log.push_back({std::move(event.text), event.is_warning ? config::LogLevel::kWarning
                                                                 : config::LogLevel::kNotice});
}

void Persistence::on(log::RecordSaved event, const TimePoint& now, Outcome&) {
  if (replication_ != nullptr) replication_->on_record_saved(event.write, {now.mono_us});
}

void Persistence::on(log::EntriesRead event, const TimePoint& now, Outcome&) {
  if (replication_ != nullptr) replication_->on_entries_read(std::move(event), {now.mono_us});
}

void Persistence::on(log::SnapshotPart event, const TimePoint& now, Outcome&) {
  if (replication_ != nullptr) replication_->on_snapshot_part(std::move(event), {now.mono_us});
}

void Persistence::on(log::SnapshotStored event, const TimePoint& now, Outcome&) {
  if (replication_ != nullptr) replication_->on_snapshot_stored(event, {now.mono_us});
}

void Persistence::on(log::SnapshotStoreFailed event, const TimePoint& now, Outcome& outcome) {
  outcome.log.push_back({"snapshot cannot be stored: " + event.text, config::LogLevel::kWarning});
  if (replication_ != nullptr)
    replication_->step(core::SnapshotStoreFailed{event.stream}, {now.mono_us});
}

void Persistence::on(log::Stopped event, const TimePoint&, Outcome& outcome) {
  stopped_ = true;
  if (!event.is_clean && !refused_)
    outcome.log.push_back({"the data folder was not left clean; the next start looks closely",
                           config::LogLevel::kWarning});
}

void Persistence::on_data_void() {
  if (phase_ == Phase::kNone) return;
  abandon_snapshot();
  state_.persistence.snapshot_running = false;
  state_.persistence.last_snapshot_ok = false;
}

void Persistence::stop(const TimePoint& now) {
  HF_CHECK(!state_.journal.is_open());
  stopping_ = true;
  seal(now);
  abandon_snapshot();
  others_.emplace_back(log::StopRequest{});
}

// --- snapshots

bool Persistence::log_is_long() const {
  std::uint64_t bytes_max = state_.options.persistence.snapshot_log_bytes;
  if (!state_.persistence.enabled) {
    const std::uint64_t bearable =
        std::max<std::uint64_t>(kMemoryLogBytesMin, state_.keyspace.used_bytes() / 2);
    bytes_max = bytes_max == 0 ? bearable : std::min(bytes_max, bearable);
  }
  return bytes_max > 0 && log_bytes_since_snapshot_ >= bytes_max;
}

bool Persistence::snapshot_is_due(const TimePoint& now) const {
  const commands::PersistenceState& shown = state_.persistence;
  if (!shown.disk_error.empty()) return false;
  if (shown.snapshot_wanted) return true;
  if (now.mono_us < snapshot_not_before_us_) return false;
  // A member's log may have grown by what is not committed yet: a snapshot would say nothing new.
  if (log_is_long() && state_.journal.last_index() > newest_snapshot_) return true;
  if (!shown.enabled) return false;  // it is no backup
  const config::SnapshotSchedule& schedule = state_.options.persistence.snapshot_schedule;
  const std::uint64_t changes = state_.journal.mutation_count() - shown.mutations_at_last_snapshot;
  if (changes == 0) return false;
  const MonoUs passed_us = now.mono_us - snapshot_ended_us_;
  return std::any_of(schedule.rules.begin(), schedule.rules.end(),
                     [&](const config::SnapshotSchedule::Rule& rule) {
                       return passed_us >= rule.seconds * 1'000'000 &&
                              changes >= static_cast<std::uint64_t>(rule.changes);
                     });
}

void Persistence::begin_snapshot(const TimePoint& now) {
  HF_CHECK(!state_.journal.is_open() && phase_ == Phase::kNone);
  seal(now);
  commands::PersistenceState& shown = state_.persistence;
  shown.snapshot_wanted = false;
  shown.snapshot_running = true;
  shown.snapshot_since = now.unix_ms;
  shown.snapshot_keys_done = 0;
  shown.snapshot_keys_total = 0;
  for (keyspace::DatabaseIndex i = 0; i < state_.keyspace.database_count(); ++i)
    shown.snapshot_keys_total += state_.keyspace.table(i).size();
  snapshot_index_ = state_.journal.last_index();
  snapshot_mutations_ = state_.journal.mutation_count();
  snapshot_begun_us_ = now.mono_us;
  log_bytes_before_snapshot_ = std::exchange(log_bytes_since_snapshot_, 0);
  phase_ = Phase::kWalking;
  state_.keyspace.begin_snapshot(encoder_);
  const Term term = replication_ != nullptr ? replication_->term_of_applied() : term_;
  others_.emplace_back(log::BeginSnapshotRequest{snapshot_index_, term, last_time_, 0});
}

void Persistence::pass_blocks_on() {
  for (log::SnapshotBlockRequest& block : encoder_.take_blocks()) {
    state_.persistence.snapshot_keys_done += block.record_count;
    others_.emplace_back(std::move(block));
  }
}

bool Persistence::snapshot_slice(const TimePoint& now, std::size_t units, bool pressed) {
  if (phase_ == Phase::kNone && !state_.keyspace.snapshot_running() && snapshot_is_due(now))
    begin_snapshot(now);
  bool more = false;
  if (state_.keyspace.snapshot_running()) {
    const bool walks = phase_ == Phase::kNone || !pressed;  // none: one that was given up
    more = walks;
    if (walks && !state_.keyspace.snapshot_slice(units)) {
      more = false;
      if (phase_ == Phase::kWalking) {
        encoder_.finish();
        phase_ = Phase::kAwaitsCommit;
      }
    }
    pass_blocks_on();
  }
  if (phase_ == Phase::kAwaitsCommit && committed() >= snapshot_index_) {
    if (replication_ != nullptr) others_.push_back(replication_->keep_log());
    others_.emplace_back(log::FinishSnapshotRequest{});
    phase_ = Phase::kFinishing;
  }
  return more;
}

void Persistence::abandon_snapshot() {
  if (phase_ == Phase::kNone) return;
  if (phase_ == Phase::kWalking) state_.keyspace.abandon_snapshot();  // else: it may be a digest's
  encoder_.finish();
  encoder_.take_blocks();
  if (phase_ != Phase::kFinishing) others_.emplace_back(log::AbandonSnapshotRequest{});
  phase_ = Phase::kNone;
}

void Persistence::on(log::SnapshotDone event, const TimePoint& now, Outcome& outcome) {
  commands::PersistenceState& shown = state_.persistence;
  shown.snapshot_running = false;
  shown.last_snapshot_ok = true;
  shown.last_snapshot_ms = (now.mono_us - snapshot_begun_us_) / 1000;
  shown.last_snapshot_at = now.unix_ms;
  shown.mutations_at_last_snapshot = snapshot_mutations_;
  ++shown.snapshots;
  snapshot_ended_us_ = now.mono_us;
  phase_ = Phase::kNone;
  newest_snapshot_ = event.index;
  outcome.snapshot_ended = true;
  outcome.log.push_back({fmt::format("snapshot {} index={} records={} bytes={} ms={}",
                                     shown.enabled ? "saved" : "kept in memory", event.index.value,
                                     event.records, event.file_bytes, shown.last_snapshot_ms)});
  if (replication_ != nullptr) replication_->on_log_trimmed(event.first_log_index, {now.mono_us});
}

void Persistence::on(log::SnapshotFailed event, const TimePoint& now, Outcome& outcome) {
  commands::PersistenceState& shown = state_.persistence;
  shown.snapshot_running = false;
  shown.last_snapshot_ok = false;
  snapshot_not_before_us_ = now.mono_us + kRetrySnapshotUs;
  log_bytes_since_snapshot_ += std::exchange(log_bytes_before_snapshot_, 0);
  abandon_snapshot();
  outcome.snapshot_ended = true;
  outcome.log.push_back({fmt::format("snapshot failed, the log holds everything: {}", event.text),
                         config::LogLevel::kWarning});
}

bool Persistence::slice(const TimePoint& now, std::size_t units, bool pressed, Outcome& outcome) {
  if (!has_storage_) return false;
  if (state_.persistence.loading) return load_slice(now, units, outcome);
  return snapshot_slice(now, units, pressed);
}

}  // namespace holdfast::node
