#include "server/node/persistence.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.hpp"

namespace holdfast::node {

namespace {

// Blocks asked for and not applied yet: the log thread reads ahead while the loop applies.
constexpr std::size_t kBlocksAhead = 4;
constexpr std::size_t kSpentPerUnit = 16;
constexpr MonoUs kRetrySnapshotUs = 5'000'000;

log::FsyncMode mode_of(config::LogFsync fsync) {
  switch (fsync) {
    case config::LogFsync::kAlways:
      return log::FsyncMode::kAlways;
    case config::LogFsync::kEverySecond:
      return log::FsyncMode::kEverySecond;
    case config::LogFsync::kNo:
      return log::FsyncMode::kNo;
  }
  HF_CHECK(false && "unknown fsync mode");
}

}  // namespace

Persistence::Persistence(commands::ServerState& state)
    : state_(state),
      mode_(mode_of(state.options.persistence.log_fsync)),
      snapshot_ended_us_(state.started.mono_us) {
  commands::PersistenceState& shown = state_.persistence;
  shown.enabled = state_.options.persistence.enabled;
  shown.loading = shown.enabled;
  shown.loading_since = state_.started.unix_ms;
  state_.journal.set_recording(shown.enabled);
}

void Persistence::seal() {
  options_changed();
  if (!state_.journal.has_closed()) return;
  log_bytes_since_snapshot_ += state_.journal.closed_bytes();
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
  pending_.push_back({append.write, append.entries.back().index});
  appends_.emplace_back(std::move(append));
}

std::vector<log::Request> Persistence::take_requests() {
  std::vector<log::Request> requests = std::exchange(appends_, {});
  if (requests.empty()) return std::exchange(others_, {});
  std::move(others_.begin(), others_.end(), std::back_inserter(requests));
  others_.clear();
  return requests;
}

void Persistence::options_changed() {
  const log::FsyncMode wanted = mode_of(state_.options.persistence.log_fsync);
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
}

// --- loading

void Persistence::on(log::Recovered event, const TimePoint& now, Outcome& outcome) {
  term_ = Term{std::max(event.last_term, event.record.term).value + 1};
  last_time_ = event.last_time;
  recovered_last_ = event.last_index;
  if (event.tail_in_doubt || event.record.recovering) {
    outcome.log.push_back(
        {"the end of the log is in doubt: after a loss of power, writes of up to the last second "
         "before it may be missing (log_fsync: always rules that out)",
         config::LogLevel::kWarning});
    marked_ = event.record;
  }
  outcome.time = event.last_time;
  state_.persistence.loading_bytes = event.bytes_to_load;
  keyspace::MutationLimits limits;
  limits.database_count = static_cast<keyspace::DatabaseIndex>(state_.keyspace.database_count());
  loader_.emplace(state_.keyspace, limits);
  state_.keyspace.begin_entry(LogIndex{0}, static_cast<std::uint32_t>(now.unix_ms / 1000));
  ask_for_blocks();
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
  loader_->add(std::move(event));
}

void Persistence::on(log::Loaded, const TimePoint&, Outcome&) {
  all_read_ = true;
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
  log_bytes_since_snapshot_ = loader_->log_bytes();
  loader_.reset();
  // As the first entry of a primary's term: what comes behind it is this life's.
  committed_ = recovered_last_;
  const LogIndex first{recovered_last_.value + 1};
  state_.journal.continue_from(first);
  last_time_ = std::max(last_time_, now.unix_ms);
  log::AppendRequest append;
  append.write = ++last_write_;
  append.entries.push_back({term_, first, last_time_, log::EntryKind::kNoOp, {}});
  pending_.push_back({append.write, first});
  appends_.emplace_back(std::move(append));
  if (marked_.has_value()) {
    marked_->recovering = false;
    appends_.emplace_back(log::SaveRecordRequest{++last_write_, std::move(*marked_)});
    marked_.reset();
  }
  state_.persistence.loading = false;
  outcome.loaded = true;
  std::size_t keys = 0;
  for (keyspace::DatabaseIndex i = 0; i < state_.keyspace.database_count(); ++i)
    keys += state_.keyspace.table(i).size();
  state_.persistence.loaded_keys = keys;
  outcome.log.push_back(
      {fmt::format("loaded keys={} last_index={} seconds={:.3f}", keys, recovered_last_.value,
                   static_cast<double>(now.mono_us - state_.started.mono_us) / 1e6)});
  return false;
}

// --- the log

void Persistence::on(log::Persisted event, const TimePoint&, Outcome&) {
  while (!pending_.empty() && pending_.front().write <= event.write) {
    committed_ = pending_.front().last;
    pending_.pop_front();
  }
}

void Persistence::on(log::Failed event, const TimePoint&, Outcome& outcome) {
  state_.persistence.disk_error = event.error.message;
  outcome.disk_failed = true;
  outcome.log.push_back(
      {fmt::format("the log cannot be written, writes are refused until it can: {}", event.text),
       config::LogLevel::kWarning});
}

void Persistence::on(log::Healthy, const TimePoint&, Outcome& outcome) {
  state_.persistence.disk_error.clear();
  outcome.log.push_back(
      {"the log can be written again, writes are accepted", config::LogLevel::kWarning});
}

void Persistence::on(log::Note event, const TimePoint&, Outcome& outcome) {
  outcome.log.push_back({std::move(event.text), event.is_warning ? config::LogLevel::kWarning
                                                                 : config::LogLevel::kNotice});
}

void Persistence::on(log::RecordSaved, const TimePoint&, Outcome&) {}
void Persistence::on(log::EntriesRead, const TimePoint&, Outcome&) {}
void Persistence::on(log::SnapshotPart, const TimePoint&, Outcome&) {}
void Persistence::on(log::SnapshotStoreFailed, const TimePoint&, Outcome&) {}

void Persistence::on(log::Stopped event, const TimePoint&, Outcome& outcome) {
  stopped_ = true;
  if (!event.is_clean && !refused_)
    outcome.log.push_back({"the data folder was not left clean; the next start looks closely",
                           config::LogLevel::kWarning});
}

void Persistence::stop() {
  HF_CHECK(!state_.journal.is_open());
  stopping_ = true;
  seal();
  abandon_snapshot();
  others_.emplace_back(log::StopRequest{});
}

// --- snapshots

bool Persistence::snapshot_is_due(const TimePoint& now) const {
  const commands::PersistenceState& shown = state_.persistence;
  if (!shown.disk_error.empty()) return false;
  if (shown.snapshot_wanted) return true;
  if (now.mono_us < snapshot_not_before_us_) return false;
  const config::PersistenceOptions& options = state_.options.persistence;
  if (options.snapshot_log_bytes > 0 && log_bytes_since_snapshot_ >= options.snapshot_log_bytes)
    return true;
  const std::uint64_t changes = state_.journal.mutation_count() - shown.mutations_at_last_snapshot;
  if (changes == 0) return false;
  const MonoUs passed_us = now.mono_us - snapshot_ended_us_;
  return std::any_of(options.snapshot_schedule.rules.begin(), options.snapshot_schedule.rules.end(),
                     [&](const config::SnapshotSchedule::Rule& rule) {
                       return passed_us >= rule.seconds * 1'000'000 &&
                              changes >= static_cast<std::uint64_t>(rule.changes);
                     });
}

void Persistence::begin_snapshot(const TimePoint& now) {
  HF_CHECK(!state_.journal.is_open() && phase_ == Phase::kNone);
  seal();
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
  others_.emplace_back(log::BeginSnapshotRequest{snapshot_index_, term_, last_time_, 0});
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
  if (phase_ == Phase::kAwaitsCommit && committed_ >= snapshot_index_) {
    others_.emplace_back(log::FinishSnapshotRequest{});
    phase_ = Phase::kFinishing;
  }
  return more;
}

void Persistence::abandon_snapshot() {
  if (phase_ == Phase::kNone) return;
  state_.keyspace.abandon_snapshot();
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
  outcome.snapshot_ended = true;
  outcome.log.push_back(
      {fmt::format("snapshot saved index={} records={} bytes={} ms={}", event.index.value,
                   event.records, event.file_bytes, shown.last_snapshot_ms)});
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
  if (!state_.persistence.enabled) return false;
  if (state_.persistence.loading) return load_slice(now, units, outcome);
  return snapshot_slice(now, units, pressed);
}

}  // namespace holdfast::node
