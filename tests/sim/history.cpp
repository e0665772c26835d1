#include "tests/sim/history.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <utility>
#include <variant>

#include "tests/sim/machine.hpp"

namespace holdfast::sim {

namespace {

// Between a request's arrival and the sample of the clocks that judges it, none is needed; this is
// for rounding.
constexpr std::int64_t kSlackUs = 2'000;

std::string shown(const std::string& value) {
  return value.substr(0, 20);
}

}  // namespace

void History::on_committed(const log::Entry& entry) {
  if (entry.time < last_time_)
    fail(fmt::format("index {} has the time {}, below {} of one before it", entry.index.value,
                     entry.time, last_time_));
  last_time_ = entry.time;
  if (entry.kind != log::EntryKind::kMutations) return;
  keyspace::MutationDecoder decoder(entry.payload, keyspace::MutationLimits{});
  while (decoder.next())
    std::visit([&](const auto& mutation) { add(mutation, entry); }, decoder.mutation());
  if (!decoder.ok()) fail(decoder.error());
}

void History::add(const keyspace::Put& put, const log::Entry& entry) {
  const std::string key(put.key);
  Versions& versions = versions_[key];
  Version next{entry.index, true, std::string(put.value.bytes), 0};
  if (put.ttl == keyspace::TtlChange::kSet) next.expire_at = put.expire_at;
  if (put.ttl == keyspace::TtlChange::kKeep && !versions.empty())
    next.expire_at = versions.back().expire_at;
  if (refused_.contains({key, next.value}))
    fail(fmt::format("the write of {} to {} was refused, and carried out", shown(next.value), key));
  versions.push_back(std::move(next));
}

void History::add(const keyspace::Delete& del, const log::Entry& entry) {
  const std::string key(del.key);
  Versions& versions = versions_[key];
  if (versions.empty() || !versions.back().is_there)
    return fail(fmt::format("index {} deletes {}, which is not there", entry.index.value, key));
  if (del.reason == keyspace::DeleteReason::kExpired &&
      (versions.back().expire_at == 0 || versions.back().expire_at > entry.time))
    fail(fmt::format("{} expires at index {} and time {}, before its time {}", key,
                     entry.index.value, entry.time, versions.back().expire_at));
  versions.push_back({entry.index, false, {}, 0});
}

void History::add(const keyspace::Expire& expire, const log::Entry& entry) {
  const std::string key(expire.key);
  Versions& versions = versions_[key];
  if (versions.empty() || !versions.back().is_there)
    return fail(
        fmt::format("index {} changes the time of {}, which is not there", entry.index.value, key));
  Version next = versions.back();
  next.index = entry.index;
  next.expire_at = std::max<UnixMs>(expire.expire_at, 0);  // -1: it has none any more
  versions.push_back(std::move(next));
}

void History::add(const keyspace::Flush&, const log::Entry& entry) {
  for (auto& [key, versions] : versions_)
    if (!versions.empty() && versions.back().is_there)
      versions.push_back({entry.index, false, {}, 0});
}

void History::on_loss(LogIndex kept) {
  losses_.push_back(kept);
  last_time_ = 0;  // that of the last one kept is not known here
  for (auto& [key, versions] : versions_)
    while (!versions.empty() && versions.back().index > kept) versions.pop_back();
  for (auto& [key, index] : shown_) index = std::min(index, kept);
}

History::Asked History::asked(const std::string& key, TrueTime time) const {
  const auto found = shown_.find(key);
  return {found == shown_.end() ? LogIndex{} : found->second, losses_.size(), time};
}

void History::settle(Asked& asked) const {
  for (std::size_t i = asked.losses; i < losses_.size(); ++i)
    asked.shown = std::min(asked.shown, losses_[i]);
}

void History::show(const std::string& key, LogIndex index, Asked& asked) {
  asked.shown = std::max(asked.shown, index);
  LogIndex& newest = shown_[key];
  newest = std::max(newest, index);
}

// The state at `shown` counts: nothing newer needs to be seen.
std::size_t History::first_allowed(const Versions& versions, LogIndex shown) {
  const auto behind = std::upper_bound(
      versions.begin(), versions.end(), shown,
      [](LogIndex index, const Version& version) { return index < version.index; });
  return static_cast<std::size_t>(behind - versions.begin());
}

bool History::is_over(const Version& version, const Asked& asked) {
  const std::int64_t latest_ms =
      (kWallEpochUs + asked.time - kWallErrorUsMax - kSlackUs) / 1000;  // by the slowest clock
  return version.expire_at != 0 && version.expire_at < latest_ms;
}

void History::on_written(const std::string& key, const std::string& value, Asked& asked) {
  checker_.note_acknowledged();
  if (!is_promised_) return;
  const bool was_lost = is_void(asked);
  settle(asked);
  const Versions& versions = versions_[key];
  for (std::size_t i = first_allowed(versions, asked.shown); i < versions.size(); ++i)
    if (versions[i].is_there && versions[i].value == value)
      return show(key, versions[i].index, asked);
  if (was_lost) return;
  fail(fmt::format("the acknowledged write of {} to {} is not committed behind index {}",
                   shown(value), key, asked.shown.value));
}

void History::on_deleted(const std::string& key, LogIndex index, Asked& asked) {
  checker_.note_acknowledged();
  if (!is_promised_) return;
  const bool was_lost = is_void(asked);
  settle(asked);
  const Versions& versions = versions_[key];
  for (std::size_t i = first_allowed(versions, asked.shown); i < versions.size(); ++i)
    if (versions[i].index == index && !versions[i].is_there) return show(key, index, asked);
  if (was_lost) return;
  fail(fmt::format("the acknowledged deletion of {} is not committed at index {}", key,
                   index.value));
}

void History::on_flushed(LogIndex index) {
  checker_.note_acknowledged();
  if (!is_promised_) return;
  if (index > checker_.committed_last()) return;  // lost since
  for (const auto& [key, versions] : versions_) shown_[key] = std::max(shown_[key], index);
}

void History::on_value(const std::string& key, const std::string& value, Asked& asked) {
  on_shown(key, &value, asked);
}

void History::on_present(const std::string& key, Asked& asked) {
  on_shown(key, nullptr, asked);
}

void History::on_shown(const std::string& key, const std::string* value, Asked& asked) {
  checker_.note_read();
  if (!is_promised_) return;
  const bool was_lost = is_void(asked);
  settle(asked);
  const Versions& versions = versions_[key];
  std::size_t i = first_allowed(versions, asked.shown);
  if (i > 0) --i;
  bool is_late = false;
  for (; i < versions.size(); ++i) {
    const Version& version = versions[i];
    if (!version.is_there || (value != nullptr && version.value != *value)) continue;
    is_late = is_over(version, asked);
    if (!is_late) return show(key, version.index, asked);
  }
  if (was_lost) return;
  fail(fmt::format("{} is {}, {} (asked with index {} shown)", key,
                   value != nullptr ? "shown as " + shown(*value) : "listed",
                   is_late ? "whose time is over by every clock" : "which is old, or not committed",
                   asked.shown.value));
}

void History::on_absent(const std::string& key, Asked& asked) {
  checker_.note_read();
  if (!is_promised_) return;
  const bool was_lost = is_void(asked);
  settle(asked);
  const Versions& versions = versions_[key];
  std::size_t i = first_allowed(versions, asked.shown);
  if (i == 0 || !versions[i - 1].is_there) return;
  for (; i < versions.size(); ++i)
    if (!versions[i].is_there) return show(key, versions[i].index, asked);
  if (was_lost) return;
  fail(fmt::format("{} is shown as absent, but no deletion is committed behind index {}", key,
                   asked.shown.value));
}

void History::on_refused(const std::string& key, const std::string& value) {
  refused_.emplace(key, value);
  for (const Version& version : versions_[key])
    if (version.is_there && version.value == value)
      fail(fmt::format("the write of {} to {} was refused, and carried out", shown(value), key));
}

}  // namespace holdfast::sim
