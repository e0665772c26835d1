#include "server/node/reload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace holdfast::node {

namespace {
constexpr std::size_t kReadBytes = std::size_t{4} << 20;
constexpr std::size_t kBlocksAhead = 64;
constexpr MonoUs kRetryUs = 100'000;
constexpr int kFailuresMax = 30;  // in a row
}  // namespace

Reload::Reload(keyspace::Keyspace& keyspace, LogIndex snapshot, Term snapshot_term, LogIndex until,
               std::uint64_t number, std::uint64_t log_bytes)
    : keyspace_(keyspace),
      loader_(keyspace),
      snapshot_(snapshot),
      snapshot_term_(snapshot_term),
      until_(until),
      number_(number),
      reading_{snapshot, snapshot_term},
      log_bytes_(log_bytes) {
  if (keyspace_.snapshot_running()) keyspace_.abandon_snapshot();
  keyspace_.begin_anew(until);
  if (until.value == 0) is_done_ = true;
}

void Reload::extend(LogIndex until, std::uint64_t log_bytes) {
  HF_CHECK(!is_done_ && until >= until_);
  until_ = until;
  log_bytes_ += log_bytes;
}

std::uint64_t Reload::bytes_to_load() const {
  if (phase_ == Phase::kSnapshot && snapshot_bytes_ == 0) return 0;
  return snapshot_bytes_ + std::max(log_bytes_, log_bytes_read_);
}

std::optional<log::Request> Reload::next_request(MonoUs now) {
  if (is_done_ || is_waiting_ || now < not_before_ || !error_.empty() ||
      loader_.blocks_waiting() >= kBlocksAhead)
    return std::nullopt;
  is_waiting_ = true;
  if (phase_ == Phase::kSnapshot)
    return log::ReadSnapshotRequest{number_, reading_.index, reading_.term, offset_, kReadBytes};
  return log::ReadRequest{number_, next_, {until_.value + 1}, kReadBytes};
}

void Reload::on(log::SnapshotPart part) {
  is_waiting_ = false;
  if (phase_ != Phase::kSnapshot || part.is_unread) return;
  if (!part.error.empty()) {
    if (snapshot_.value != 0 || offset_ != 0) {
      error_ =
          fmt::format("the snapshot at {} cannot be read: {}", reading_.index.value, part.error);
      return;
    }
    phase_ = Phase::kEntries;  // there is none: the log has everything, or the reads will say so
    next_ = {1};
    return;
  }
  const wire::SnapshotId got{part.index, part.term};
  if (part.offset != offset_ || (offset_ != 0 && got != reading_)) {
    error_ = "another snapshot took the place of the one being read";
    return;
  }
  reading_ = got;
  snapshot_time_ = part.time;
  offset_ += part.bytes.size();
  snapshot_bytes_ = part.file_bytes;
  snapshot_bytes_read_ = part.file_bytes_read;
  const bool is_last = part.is_last;
  if (auto added = decoder_.add(part.bytes); !added) {
    error_ = "the own snapshot cannot be read: " + added.error().message;
    return;
  }
  take_blocks();
  if (!is_last || !error_.empty()) return;
  if (reading_.index > until_) {
    error_ =
        fmt::format("the newest snapshot is at {}, behind {}", reading_.index.value, until_.value);
    return;
  }
  phase_ = Phase::kEntries;
  next_ = {reading_.index.value + 1};
}

void Reload::take_blocks() {
  while (auto block = decoder_.next()) {
    log::LoadedBlock loaded;
    loaded.snapshot_mutations = std::move(*block);
    loader_.add(std::move(loaded));
  }
}

void Reload::on(log::EntriesRead read, MonoUs now) {
  is_waiting_ = false;
  if (phase_ != Phase::kEntries) return;
  if (read.entries.empty()) {  // still being written, or the disk fails
    not_before_ = now + kRetryUs;
    if (!read.error.empty() && ++failures_ >= kFailuresMax)
      error_ =
          fmt::format("the own log cannot be read from entry {} on: {}", next_.value, read.error);
    return;
  }
  failures_ = 0;
  log::LoadedBlock loaded;
  for (log::Entry& entry : read.entries) {
    if (entry.index != next_ || entry.index > until_) continue;
    ++next_.value;
    log_bytes_read_ += entry.payload.size();
    loaded.entries.push_back(std::move(entry));
  }
  loader_.add(std::move(loaded));
}

bool Reload::slice(std::size_t units) {
  const bool more = loader_.slice(units);
  if (!loader_.error().empty()) error_ = loader_.error();
  if (!more && phase_ == Phase::kEntries && next_.value == until_.value + 1 &&
      loader_.blocks_waiting() == 0)
    is_done_ = true;
  return more;
}

}  // namespace holdfast::node
