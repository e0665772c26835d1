#include "tests/sim/storage_thread.hpp"

#include <algorithm>
#include <memory>
#include <variant>

namespace holdfast::sim {

StorageThread::StorageThread(Timeline& timeline, Random& random, const Machine& machine,
                             SimDisk& disk, log::StorageOptions options, DiskTiming timing,
                             Deliver deliver, std::function<void()> on_death)
    : timeline_(timeline),
      random_(random),
      machine_(machine),
      disk_(disk),
      timing_(timing),
      deliver_(std::move(deliver)),
      on_death_(std::move(on_death)),
      storage_(disk, std::move(options)) {
  schedule();
}

StorageThread::~StorageThread() {
  *alive_ = false;
}

void StorageThread::post(std::vector<log::Request> requests) {
  for (log::Request& request : requests) {
    Change change;
    if (const auto* append = std::get_if<log::AppendRequest>(&request)) {
      change.write = append->write;
      for (const log::Entry& entry : append->entries) change.terms.push_back(entry.term);
    } else if (const auto* truncate = std::get_if<log::TruncateRequest>(&request)) {
      change.write = truncate->write;
      change.truncate_from = truncate->from;
    } else if (const auto* install = std::get_if<log::InstallSnapshotRequest>(&request)) {
      change.write = install->write;
      change.reset = install->index;
    } else if (const auto* save = std::get_if<log::SaveRecordRequest>(&request)) {
      records_.emplace_back(save->write, save->record);
    }
    if (change.write != 0) changes_.push_back(std::move(change));
    waiting_.push_back(std::move(request));
  }
  if (!waiting_.empty()) schedule();
}

// A thread that has something to do does it after a while; one that waits for its time sleeps.
void StorageThread::schedule() {
  if (is_busy_) return;
  const auto below = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound)));
  };
  std::int64_t us = 1 + below(timing_.write_us_max);
  if (has_started_ && waiting_.empty()) {
    const MonoUs due = storage_.next_due();
    if (due == INT64_MAX) return;
    const MonoUs now = machine_.clock().now_us();
    if (due > now) us += machine_.clock().true_span(due - now);  // "at once" is far in the past
  } else {
    is_busy_ = true;
    if (timing_.sync_period_us == 0) us += below(timing_.sync_us_max);
    if (timing_.slow_one_in != 0 && random_.below(timing_.slow_one_in) == 0)
      us += below(timing_.slow_us_max);
  }
  const TrueTime time = timeline_.now() + us;
  if (!is_busy_ && wakes_at_ >= 0 && wakes_at_ <= time) return;
  wakes_at_ = time;
  timeline_.at(time, [this, time, alive = alive_] {
    if (*alive && wakes_at_ == time) run();
  });
}

void StorageThread::run() {
  is_busy_ = false;
  wakes_at_ = -1;
  log::StorageEvents events;
  const MonoUs now = machine_.clock().now_us();
  if (!has_started_) {
    has_started_ = true;
    storage_.start(events);
  } else if (!waiting_.empty()) {
    storage_.handle(std::exchange(waiting_, {}), now, events);
  } else if (storage_.next_due() <= now) {
    storage_.poll(now, events);
  }
  if (disk_.is_dead()) return on_death_();
  note(events);
  if (!events.events.empty() || !events.spent_entries.empty() || !events.spent_ropes.empty())
    deliver_(std::move(events), storage_.figures());
  schedule();
}

void StorageThread::die(std::uint64_t operations) {
  disk_.strike_at(disk_.operations() + operations,
                  {SimDisk::Strike::kDeath, log::FileErrorKind::kIo});
  log::StorageEvents unheard;
  if (has_started_)
    storage_.handle(std::exchange(waiting_, {}), machine_.clock().now_us(), unheard);
  disk_.clear_strikes();
}

void StorageThread::note(const log::StorageEvents& events) {
  for (const log::StorageEvent& event : events.events) {
    if (const auto* recovered = std::get_if<log::Recovered>(&event)) {
      on_disk_ = {recovered->snapshot_index, {}};
      if (!recovered->is_new) record_ = recovered->record;
    } else if (const auto* block = std::get_if<log::LoadedBlock>(&event)) {
      if (block->restart) on_disk_ = {};
      for (const log::Entry& entry : block->entries) {
        if (on_disk_.terms.empty()) on_disk_.before = {entry.index.value - 1};
        on_disk_.terms.push_back(entry.term);
      }
    } else if (std::holds_alternative<log::Loaded>(event)) {
      is_loaded_ = true;
    } else if (const auto* persisted = std::get_if<log::Persisted>(&event)) {
      note_persisted(persisted->write);
    } else if (const auto* saved = std::get_if<log::RecordSaved>(&event)) {
      for (; !records_.empty() && records_.front().first <= saved->write; records_.pop_front())
        record_ = std::move(records_.front().second);
    }
  }
}

TermsOfLog StorageThread::lasting_on_disk() const {
  TermsOfLog lasting = on_disk_;
  for (const Change& change : changes_) {
    if (change.reset) lasting.truncate({change.reset->value + 1});
    if (change.truncate_from.value != 0) lasting.truncate(change.truncate_from);
  }
  return lasting;
}

void StorageThread::note_persisted(log::WriteNumber write) {
  for (; !changes_.empty() && changes_.front().write <= write; changes_.pop_front()) {
    const Change& change = changes_.front();
    if (change.reset) on_disk_ = {*change.reset, {}};
    if (change.truncate_from.value != 0) on_disk_.truncate(change.truncate_from);
    for (const Term term : change.terms) on_disk_.terms.push_back(term);
  }
}

}  // namespace holdfast::sim
