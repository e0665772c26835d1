#include "replication/log/log_writer.hpp"

#include <algorithm>
#include <iterator>

#include "base/check.hpp"

namespace holdfast::log {

namespace {

constexpr MonoUs kSyncEveryUs = 1'000'000;
// A sync under way is looked at so often.
constexpr MonoUs kSyncPollUs = 500;
// What waits together is cut into writes of about this size, so that the memory they are put
// together in stays small.
constexpr std::size_t kWriteBytes = 4 << 20;

std::size_t payload_bytes(const AppendRequest& append) {
  std::size_t sum = 0;
  for (const Entry& entry : append.entries) sum += entry.payload.size();
  return sum;
}

}  // namespace

FileStatus LogWriter::append(std::span<AppendRequest> appends, MonoUs now, StorageEvents& out) {
  FileStatus done;
  while (!appends.empty()) {
    std::size_t count = 0;
    std::size_t byte_count = 0;
    while (count < appends.size() && (count == 0 || byte_count < kWriteBytes))
      byte_count += payload_bytes(appends[count++]);
    // Behind a failure entries are only taken.
    auto written = write(appends.first(count), out);
    if (!written && done) done = std::move(written);
    appends = appends.subspan(count);
  }
  if (!done) return done;
  if (!store_.has_unsynced()) {
    sync_due_ = kNever;
  } else if (mode_ == FsyncMode::kAlways || unsynced_bytes_ > 2 * unsynced_bytes_max_) {
    return sync(out);
  } else if (store_.is_syncing()) {
    // poll sees to it
  } else if (unsynced_bytes_ > unsynced_bytes_max_) {
    begin_sync(now);
    auto ended = poll(now, out);
    if (!ended) return ended;
  } else if (mode_ == FsyncMode::kEverySecond && sync_due_ == kNever) {
    sync_due_ = now + kSyncEveryUs;
  }
  say_persisted(out);
  return done;
}

FileStatus LogWriter::write(std::span<AppendRequest> appends, StorageEvents& out) {
  std::vector<Entry> entries = std::move(appends.front().entries);
  for (AppendRequest& more : appends.subspan(1)) {
    entries.insert(entries.end(), std::make_move_iterator(more.entries.begin()),
                   std::make_move_iterator(more.entries.end()));
  }
  HF_CHECK(appends.back().write > taken_);
  taken_ = appends.back().write;
  if (entries.empty()) return {};
  unsynced_.push_back(std::move(entries));
  if (store_.failure()) return unexpected(*store_.failure());
  const LogIndex synced_before = store_.synced_index();
  auto written = store_.append(unsynced_.back());
  if (store_.synced_index() != synced_before) {  // a new segment was begun
    hand_back_synced(out);
    unsynced_bytes_ = 0;
    sync_due_ = kNever;
  }
  if (!written) return tl::unexpected(std::move(written.error()));
  unsynced_bytes_ += *written;
  return {};
}

FileStatus LogWriter::sync(StorageEvents& out) {
  if (store_.has_unsynced()) ++fsyncs_;
  auto done = store_.sync();
  if (!done) return done;
  hand_back_synced(out);
  unsynced_bytes_ = 0;
  sync_due_ = kNever;
  say_persisted(out);
  return done;
}

void LogWriter::begin_sync(MonoUs now) {
  ++fsyncs_;
  store_.begin_sync();
  syncing_bytes_ = unsynced_bytes_;
  sync_due_ = now;
}

FileStatus LogWriter::poll(MonoUs now, StorageEvents& out) {
  if (!store_.is_syncing()) {
    if (!store_.has_unsynced()) {
      sync_due_ = kNever;
      return {};
    }
    begin_sync(now);
  }
  auto ended = store_.end_sync(false);
  if (!ended) {
    sync_due_ = now + kSyncPollUs;
    return {};
  }
  if (!*ended) return *ended;
  hand_back_synced(out);
  unsynced_bytes_ -= std::min(syncing_bytes_, unsynced_bytes_);
  const bool is_timed = mode_ == FsyncMode::kEverySecond && store_.has_unsynced();
  sync_due_ = is_timed ? now + kSyncEveryUs : kNever;
  return {};
}

FileStatus LogWriter::truncate(const TruncateRequest& request, bool& is_forgotten,
                               StorageEvents& out) {
  auto done = store_.truncate_suffix(request.from);
  is_forgotten = store_.last_index() < request.from;
  HF_CHECK(is_forgotten || !done);
  if (!is_forgotten) return done;
  HF_CHECK(request.write > taken_);
  taken_ = request.write;
  forget_from(request.from, out);
  hand_back_synced(out);
  if (!done) return done;
  if (!store_.has_unsynced()) {
    unsynced_bytes_ = 0;
    sync_due_ = kNever;
  } else if (mode_ == FsyncMode::kAlways) {
    return sync(out);
  }
  say_persisted(out);
  return done;
}

FileStatus LogWriter::reset(LogIndex index, Term term, UnixMs time, bool voids_snapshots,
                            bool& is_forgotten, StorageEvents& out) {
  auto done = store_.reset(index, term, time, voids_snapshots);
  is_forgotten = done || store_.stands_at_snapshot();
  if (!is_forgotten) return done;
  hand_back_all(out);
  unsynced_bytes_ = 0;
  syncing_bytes_ = 0;
  sync_due_ = kNever;
  return done;
}

void LogWriter::took(WriteNumber write, StorageEvents& out) {
  HF_CHECK(write > taken_);
  taken_ = write;
  say_persisted(out);
}

FileStatus LogWriter::retry(StorageEvents& out) {
  hand_back_synced(out);
  if (unsynced_.size() > 1) {
    std::vector<Entry> all;
    for (std::vector<Entry>& some : unsynced_) {
      all.insert(all.end(), std::make_move_iterator(some.begin()),
                 std::make_move_iterator(some.end()));
    }
    unsynced_.clear();
    unsynced_.push_back(std::move(all));
  }
  auto done = store_.retry(unsynced_.empty() ? std::span<const Entry>{}
                                             : std::span<const Entry>(unsynced_.front()));
  if (!done) return done;
  hand_back_synced(out);
  HF_CHECK(unsynced_.empty());
  unsynced_bytes_ = 0;
  sync_due_ = kNever;
  say_persisted(out);
  return done;
}

void LogWriter::say_persisted(StorageEvents& out) {
  if (persisted_ == taken_) return;
  persisted_ = taken_;
  out.events.push_back(Persisted{persisted_});
}

void LogWriter::set_mode(FsyncMode mode) {
  mode_ = mode;
  HF_CHECK(!store_.has_unsynced());
  sync_due_ = kNever;
}

void LogWriter::hand_back_synced(StorageEvents& out) {
  auto behind = unsynced_.begin();
  while (behind != unsynced_.end() && behind->back().index <= store_.synced_index()) ++behind;
  out.spent_entries.insert(out.spent_entries.end(), std::make_move_iterator(unsynced_.begin()),
                           std::make_move_iterator(behind));
  unsynced_.erase(unsynced_.begin(), behind);
}

void LogWriter::forget_from(LogIndex from, StorageEvents& out) {
  while (!unsynced_.empty() && unsynced_.back().back().index >= from) {
    std::vector<Entry>& last = unsynced_.back();
    const auto at =
        std::lower_bound(last.begin(), last.end(), from,
                         [](const Entry& entry, LogIndex index) { return entry.index < index; });
    out.spent_entries.emplace_back(std::make_move_iterator(at),
                                   std::make_move_iterator(last.end()));
    last.erase(at, last.end());
    if (last.empty()) unsynced_.pop_back();
  }
}

void LogWriter::hand_back_all(StorageEvents& out) {
  out.spent_entries.insert(out.spent_entries.end(), std::make_move_iterator(unsynced_.begin()),
                           std::make_move_iterator(unsynced_.end()));
  unsynced_.clear();
}

}  // namespace holdfast::log
