// Persistence while the disk fails, or does not answer.
#include <fmt/format.h>

#include <utility>

#include "server/node/persistence.hpp"

namespace holdfast::node {

namespace {

// What `log_last_error` shows, and the log, of a disk that says nothing.
constexpr std::string_view kStuckError = "the disk does not answer";
constexpr std::string_view kStuckText =
    "the disk has not answered for 5 seconds; is the volume frozen, or slower than what is "
    "written?";

}  // namespace

void Persistence::on(log::Failed event, const TimePoint& now, Outcome& outcome) {
  has_failed_ = true;
  refuse_writes(std::move(event.error.message), event.text, now, outcome);
}

Persistence::Outcome Persistence::watch_disk(const TimePoint& now) {
  Outcome outcome;
  if (!disk_watch_.look(now.mono_us) || has_failed_) return outcome;
  if (disk_watch_.is_stuck()) {
    refuse_writes(std::string(kStuckError), kStuckText, now, outcome);
  } else {
    accept_writes(now, outcome);
  }
  return outcome;
}

void Persistence::refuse_writes(std::string error, std::string_view text, const TimePoint& now,
                                Outcome& outcome) {
  if (replication_ != nullptr) replication_->step(core::DiskFailed{}, {now.mono_us});
  state_.persistence.disk_error = std::move(error);
  outcome.disk_failed = true;
  outcome.log.push_back(
      {fmt::format("the log cannot be written, writes are refused until it can: {}", text),
       config::LogLevel::kWarning});
}

void Persistence::on(log::Healthy, const TimePoint& now, Outcome& outcome) {
  has_failed_ = false;
  disk_watch_.look(now.mono_us);
  if (disk_watch_.is_stuck()) {
    state_.persistence.disk_error = kStuckError;
    return;
  }
  accept_writes(now, outcome);
}

void Persistence::accept_writes(const TimePoint& now, Outcome& outcome) {
  state_.persistence.disk_error.clear();
  if (replication_ != nullptr) replication_->step(core::DiskHealthy{}, {now.mono_us});
  outcome.log.push_back(
      {"the log can be written again, writes are accepted", config::LogLevel::kWarning});
}

}  // namespace holdfast::node
