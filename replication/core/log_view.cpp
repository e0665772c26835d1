#include "replication/core/log_view.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/planted_fault.hpp"

namespace holdfast::core {

LogView::LogView(const Start& start)
    : base_(start.snapshot), last_(start.last_index), persisted_(start.last_index) {
  HF_CHECK(last_ >= base_.index);
  for (const TermRun& run : start.runs)
    if (run.first > base_.index && run.first <= last_) runs_.push_back(run);
  HF_CHECK(last_ == base_.index ||
           (!runs_.empty() && runs_.front().first.value == base_.index.value + 1));
  for (const log::Entry& entry : start.tail) {
    HF_CHECK(backlog_.empty() || entry.index.value == backlog_.back().index.value + 1);
    backlog_bytes_ += entry.payload.size() + sizeof(log::Entry);
    backlog_.push_back(entry);
  }
  HF_CHECK(backlog_.empty() || backlog_.back().index == last_);
}

std::size_t LogView::run_of(LogIndex index) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), index,
                       [](LogIndex wanted, const TermRun& run) { return wanted < run.first; });
  return static_cast<std::size_t>(after - runs_.begin()) - 1;
}

std::optional<Term> LogView::term_at(LogIndex index) const {
  if (index < base_.index || index > last_) return std::nullopt;
  if (index == base_.index) return base_.term;
  if (index >= runs_.back().first) return runs_.back().term;
  return runs_[run_of(index)].term;
}

LogIndex LogView::last_with_term_at_most(LogIndex index, Term term) const {
  index = std::min(index, last_);
  while (index > base_.index) {
    const TermRun& run = runs_[run_of(index)];
    if (run.term <= term) return index;
    index = {run.first.value - 1};
  }
  return base_.index;
}

const log::Entry* LogView::entry(LogIndex index) const {
  if (backlog_.empty() || index < backlog_.front().index || index > last_) return nullptr;
  return &backlog_[index.value - backlog_.front().index.value];
}

void LogView::append(const log::Entry& entry) {
  HF_CHECK(entry.index.value == last_.value + 1);
  if (runs_.empty() || runs_.back().term != entry.term) {
    HF_CHECK(entry.term >= last_term());
    runs_.push_back({entry.index, entry.term});
  }
  last_ = entry.index;
  backlog_bytes_ += entry.payload.size() + sizeof(log::Entry);
  backlog_.push_back(entry);
}

void LogView::note_write(WriteNumber write) {
  pending_.push_back({write, last_});
}

void LogView::truncate(LogIndex from) {
  HF_CHECK(from > base_.index && from <= last_);
  const LogIndex last{from.value - 1};
  while (!backlog_.empty() && backlog_.back().index > last) {
    backlog_bytes_ -= backlog_.back().payload.size() + sizeof(log::Entry);
    backlog_.pop_back();
  }
  while (!runs_.empty() && runs_.back().first > last) runs_.pop_back();
  last_ = last;
  persisted_ = std::min(persisted_, last);
  if (HF_BUG(kPersistedByIndex)) return;
  for (PendingWrite& write : pending_) write.last = std::min(write.last, last);
}

void LogView::reset(wire::SnapshotId snapshot, WriteNumber write) {
  backlog_.clear();
  backlog_bytes_ = 0;
  runs_.clear();
  pending_.clear();
  base_ = snapshot;
  last_ = snapshot.index;
  persisted_ = {};
  pending_.push_back({write, last_});
}

void LogView::on_persisted(WriteNumber write) {
  while (!pending_.empty() && pending_.front().write <= write) {
    persisted_ = std::max(persisted_, pending_.front().last);
    pending_.pop_front();
  }
  persisted_ = std::min(persisted_, last_);
}

void LogView::forget_before(LogIndex first) {
  if (first.value == 0 || first.value - 1 <= base_.index.value || first > persisted_) return;
  const LogIndex base{first.value - 1};
  const Term term = *term_at(base);
  while (!runs_.empty() && (runs_.size() > 1 ? runs_[1].first <= first : last_ < first))
    runs_.erase(runs_.begin());
  if (!runs_.empty()) runs_.front().first = std::max(runs_.front().first, first);
  base_ = {base, term};
}

void LogView::trim_backlog(std::size_t bytes_max, LogIndex through) {
  through = std::min(through, persisted_);
  while (backlog_bytes_ > bytes_max && !backlog_.empty() && backlog_.front().index <= through) {
    backlog_bytes_ -= backlog_.front().payload.size() + sizeof(log::Entry);
    backlog_.pop_front();
  }
}

}  // namespace holdfast::core
