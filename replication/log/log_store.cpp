#include "replication/log/log_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace holdfast::log {

LogStore::LogStore(FileSystem& files, LogStoreOptions options, LogState state)
    : files_(files), options_(std::move(options)), state_(std::move(state)) {
  HF_CHECK(options_.next_salt != nullptr);
}

FileStatus LogStore::fail_with(FileError error) {
  failure_ = error;
  return unexpected(std::move(error));
}

FileStatus LogStore::open(std::span<const Entry> unsynced) {
  HF_CHECK(file_ == nullptr);
  HF_CHECK(state_.synced.value + unsynced.size() == state_.last.value);
  return begin_segment(before_unsynced(), unsynced);
}

void LogStore::set_last(LogIndex index, Term term, UnixMs time) {
  state_.last = index;
  state_.last_term = term;
  state_.last_time = time;
}

void LogStore::set_synced() {
  state_.synced = state_.last;
  state_.synced_term = state_.last_term;
  state_.synced_time = state_.last_time;
}

// The current file stays what it is until the new one is complete.
FileStatus LogStore::begin_segment(const Before& before, std::span<const Entry> entries) {
  HF_CHECK(entries.empty() || entries.front().index.value == before.index.value + 1);
  FileHeader header;
  header.kind = FileKind::kSegment;
  // What replaces a segment that followed a snapshot goes on keeping the older ones void.
  header.follows_snapshot = before.follows_snapshot ||
                            (!state_.segments.empty() && state_.segments.front().follows_snapshot &&
                             state_.segments.front().first.value > before.index.value);
  header.voids_snapshots = before.follows_snapshot && before.voids_snapshots;
  header.log_id = options_.log_id;
  header.sequence = state_.next_sequence++;
  header.index = LogIndex{before.index.value + 1};
  header.term = before.term;
  header.time = before.time;
  header.fsync_mode = options_.fsync_mode;
  header.encrypted = !options_.keys.empty();
  if (header.encrypted) header.key_id = key_id(options_.keys.writing());
  header.salt = options_.next_salt();

  Segment segment;
  segment.path = join_path(options_.folder, segment_name(header.sequence));
  segment.sequence = header.sequence;
  segment.first = header.index;
  segment.last = before.index;
  segment.previous_term = before.term;
  segment.previous_time = before.time;
  segment.follows_snapshot = header.follows_snapshot;
  auto file = write_segment(segment, header, entries);
  if (!file) {
    // Another attempt takes another name and begins at the same index or before. So whether this
    // one is there does not matter.
    void_files_.push_back(segment.path);
    // What it took of a full disk is given back at once.
    std::string temporary = segment.path + std::string(kTemporarySuffix);
    auto removed = files_.remove(temporary);
    if (!removed && removed.error().kind != FileErrorKind::kNotFound)
      void_files_.push_back(std::move(temporary));
    return fail_with(std::move(file.error()));
  }
  file_ = std::move(*file);
  synced_bytes_ = segment.file_bytes;
  mark_is_due_ = false;
  forget_from(segment.first);
  if (before.follows_snapshot) {
    for (const Segment& old : state_.segments) void_files_.push_back(old.path);
    state_.segments.clear();
  }
  state_.segments.push_back(std::move(segment));
  set_last(before.index, before.term, before.time);
  if (!entries.empty()) {
    const Entry& last = entries.back();
    state_.segments.back().last = last.index;
    set_last(last.index, last.term, last.time);
  }
  set_synced();
  state_.follows_snapshot = false;
  voids_snapshots_ = false;
  failure_.reset();
  may_sync_ = false;
  remove_void_files();
  return {};
}

FileResult<std::unique_ptr<File>> LogStore::write_segment(Segment& segment,
                                                          const FileHeader& header,
                                                          std::span<const Entry> entries) {
  const std::string temporary = segment.path + std::string(kTemporarySuffix);
  auto file = files_.open(temporary, OpenMode::kCreate);
  if (!file) return file;
  auto seal =
      std::make_unique<FileSeal>(header, header.encrypted ? &options_.keys.writing() : nullptr);
  FileStatus done = append_all(**file, encode(header));
  batch_.begin(*seal, kHeaderBytes);
  if (done && !entries.empty()) {
    add(entries, segment);
    // True once the file has its name.
    add_mark(batch_.end_offset(), entries.back().index);
    done = append_all(**file, batch_.pieces());
  }
  segment.file_bytes = batch_.end_offset();
  if (done) done = (*file)->sync();
  if (done) done = files_.rename(temporary, segment.path);
  if (done) done = files_.sync_dir(options_.folder);
  if (!done) return tl::unexpected(std::move(done.error()));
  (*file)->set_path(segment.path);
  seal_ = std::move(seal);
  return file;
}

void LogStore::add(std::span<const Entry> entries, Segment& segment) {
  for (const Entry& entry : entries) {
    if (segment.positions.empty() ||
        batch_.end_offset() - segment.positions.back().offset >= kPositionEveryBytes)
      segment.positions.push_back({entry.index, batch_.end_offset()});
    if (entry.payload.piece_count() <= 1 && entry.payload.size() <= kFragmentBytesMax) [[likely]] {
      const std::string_view payload = entry.payload.piece(0);
      add_part(entry, kWhole, {&payload, 1});
      continue;
    }
    RopeReader reader(entry.payload);
    std::uint8_t fragment = kFirstFragment;
    do {
      parts_.clear();
      std::size_t byte_count = 0;
      while (byte_count < kFragmentBytesMax && reader.remaining() > 0) {
        parts_.push_back(reader.some(kFragmentBytesMax - byte_count));
        byte_count += parts_.back().size();
      }
      if (reader.remaining() == 0) fragment |= kLastFragment;
      add_part(entry, fragment, parts_);
      fragment = 0;
    } while (reader.remaining() > 0);
  }
}

void LogStore::add_part(const Entry& entry, std::uint8_t fragment,
                        std::span<const std::string_view> parts) {
  char head[kEntryHeadBytes];
  char* to = put_u8(head, fragment);
  to = put_u8(to, static_cast<std::uint8_t>(entry.kind));
  to = put_u64(to, entry.term.value);
  to = put_u64(to, entry.index.value);
  put_i64(to, entry.time);
  batch_.add(RecordType::kEntry, {head, sizeof head}, parts);
}

void LogStore::add_mark(std::uint64_t offset, LogIndex index) {
  char bytes[kMarkBytes];
  put_u64(put_u64(bytes, offset), index.value);
  batch_.add(RecordType::kMark, {bytes, sizeof bytes}, {});
  mark_is_due_ = false;
}

FileResult<std::uint64_t> LogStore::append(std::span<const Entry> entries) {
  if (failure_) return unexpected(*failure_);
  HF_CHECK(file_ != nullptr);
  if (entries.empty()) return 0;
  HF_CHECK(entries.front().index.value == state_.last.value + 1);
  if (state_.segments.back().file_bytes >= options_.segment_bytes_max) {
    auto rolled = roll();
    if (!rolled) return tl::unexpected(std::move(rolled.error()));
  }
  Segment& segment = state_.segments.back();
  batch_.begin(*seal_, segment.file_bytes);
  if (mark_is_due_) add_mark(synced_bytes_, state_.synced);
  add(entries, segment);
  auto written = append_all(*file_, batch_.pieces());
  if (!written) {
    may_sync_ = true;
    fail_with(written.error());
    return tl::unexpected(std::move(written.error()));
  }
  const std::uint64_t byte_count = batch_.end_offset() - segment.file_bytes;
  segment.file_bytes = batch_.end_offset();
  const Entry& last = entries.back();
  segment.last = last.index;
  set_last(last.index, last.term, last.time);
  return byte_count;
}

void LogStore::begin_sync() {
  HF_CHECK(!failure_ && has_unsynced() && !syncing_);
  syncing_ = {state_.last, state_.last_term, state_.last_time, state_.segments.back().file_bytes};
  file_->begin_sync();
}

std::optional<FileStatus> LogStore::end_sync(bool wait) {
  HF_CHECK(syncing_.has_value());
  auto done = file_->end_sync(wait);
  if (!done) return std::nullopt;
  const Syncing covered = *std::exchange(syncing_, std::nullopt);
  if (!*done) {
    may_sync_ = false;
    return failure_ ? *done : fail_with(std::move(done->error()));
  }
  state_.synced = covered.last;
  state_.synced_term = covered.last_term;
  state_.synced_time = covered.last_time;
  synced_bytes_ = covered.file_bytes;
  mark_is_due_ = true;
  return done;
}

FileStatus LogStore::settle() {
  return syncing_ ? *end_sync(true) : FileStatus{};
}

FileStatus LogStore::sync() {
  if (failure_) return unexpected(*failure_);
  HF_CHECK(file_ != nullptr);
  auto settled = settle();
  if (!settled) return settled;
  if (!has_unsynced()) return {};
  auto synced = file_->sync();
  if (!synced) return fail_with(std::move(synced.error()));
  set_synced();
  synced_bytes_ = state_.segments.back().file_bytes;
  mark_is_due_ = true;
  return {};
}

FileStatus LogStore::roll() {
  auto synced = sync();
  if (!synced) return synced;
  return begin_segment(before_next(), {});
}

FileStatus LogStore::roll(FsyncMode mode) {
  options_.fsync_mode = mode;
  return roll();
}

FileStatus LogStore::roll(KeyRing keys) {
  options_.keys = std::move(keys);
  return roll();
}

FileStatus LogStore::truncate_suffix(LogIndex from) {
  if (failure_) return unexpected(*failure_);
  HF_CHECK(from.value > 0 && from >= first_index());
  auto settled = settle();
  if (!settled) return settled;
  if (from > state_.last) return {};
  Before before;
  before.index = LogIndex{from.value - 1};
  const Segment& oldest = state_.segments.front();
  if (from == oldest.first) {
    before.term = oldest.previous_term;
    before.time = oldest.previous_time;
  } else {
    auto last = read(before.index, from, 0);
    if (!last) {
      return fail_with({FileErrorKind::kIo, "read", state_.segments[segment_of(before.index)].path,
                        0, last.error().message});
    }
    before.term = last->front().term;
    before.time = last->front().time;
  }
  set_last(before.index, before.term, before.time);
  if (state_.last < state_.synced) set_synced();
  auto synced = sync();
  if (!synced) return synced;
  return begin_segment(before, {});
}

FileStatus LogStore::reset(LogIndex snapshot_index, Term snapshot_term, UnixMs snapshot_time,
                           bool voids_snapshots) {
  if (failure_) return unexpected(*failure_);
  auto settled = settle();
  if (!settled) return settled;
  set_last(snapshot_index, snapshot_term, snapshot_time);
  set_synced();
  state_.follows_snapshot = true;
  voids_snapshots_ = voids_snapshots;
  return begin_segment(before_unsynced(), {});
}

FileStatus LogStore::retry(std::span<const Entry> entries) {
  HF_CHECK(failure_.has_value());
  (void)settle();
  if (std::exchange(may_sync_, false) && has_unsynced() && file_->sync()) set_synced();
  if (!entries.empty() && entries.front().index <= state_.synced) {
    const std::uint64_t below = state_.synced.value + 1 - entries.front().index.value;
    entries = entries.subspan(std::min<std::uint64_t>(below, entries.size()));
  }
  HF_CHECK(entries.empty() || entries.front().index.value == state_.synced.value + 1);
  HF_CHECK(state_.synced.value + entries.size() >= state_.last.value);
  return begin_segment(before_unsynced(), entries);
}

FileStatus LogStore::close() {
  auto synced = sync();
  if (!synced || !mark_is_due_) return synced;
  Segment& segment = state_.segments.back();
  batch_.begin(*seal_, segment.file_bytes);
  add_mark(synced_bytes_, state_.synced);
  auto done = append_all(*file_, batch_.pieces());
  if (done) done = file_->sync();
  if (!done) return fail_with(std::move(done.error()));
  segment.file_bytes = batch_.end_offset();
  file_ = nullptr;
  return {};
}

void LogStore::forget_from(LogIndex from) {
  while (!state_.segments.empty() && state_.segments.back().first >= from) {
    void_files_.push_back(state_.segments.back().path);
    state_.segments.pop_back();
  }
  if (state_.segments.empty()) return;
  Segment& last = state_.segments.back();
  last.last = std::min(last.last, LogIndex{from.value - 1});
  std::erase_if(last.positions, [&](const EntryPosition& at) { return at.index >= from; });
}

void LogStore::remove_void_files() {
  std::erase_if(void_files_, [&](const std::string& path) {
    auto removed = files_.remove(path);
    return removed || removed.error().kind == FileErrorKind::kNotFound;
  });
}

FileStatus LogStore::remove_below(LogIndex index) {
  while (state_.segments.size() > 1 && state_.segments[1].first <= index) {
    // One after the other: entries of a segment must not outlive the segment that made them void.
    if (removal_is_unsynced_) {
      auto synced = files_.sync_dir(options_.folder);
      if (!synced) return synced;
      removal_is_unsynced_ = false;
    }
    auto removed = files_.remove(state_.segments.front().path);
    if (!removed && removed.error().kind != FileErrorKind::kNotFound) return removed;
    state_.segments.erase(state_.segments.begin());
    removal_is_unsynced_ = true;
  }
  remove_void_files();
  return {};
}

std::size_t LogStore::segment_of(LogIndex index) const {
  std::size_t at = state_.segments.size();
  while (at > 0 && state_.segments[at - 1].first > index) --at;
  HF_CHECK(at > 0);
  return at - 1;
}

Result<std::vector<Entry>> LogStore::read(LogIndex from, LogIndex to,
                                          std::size_t payload_bytes_max) const {
  HF_CHECK(from >= first_index() && from <= state_.last);
  std::vector<Entry> entries;
  std::size_t byte_count = 0;
  LogIndex next = from;
  const LogIndex end{std::min(to.value, state_.last.value + 1)};
  while (next < end && (entries.empty() || byte_count < payload_bytes_max)) {
    const Segment& segment = state_.segments[segment_of(next)];
    auto reader = SegmentReader::open(files_, segment.path, options_.keys);
    if (!reader) return tl::unexpected(std::move(reader.error()));
    const auto behind =
        std::upper_bound(segment.positions.begin(), segment.positions.end(), next,
                         [](LogIndex index, const EntryPosition& at) { return index < at.index; });
    if (behind != segment.positions.begin()) (*reader)->start_at(*(behind - 1));
    while (next < end && next <= segment.last &&
           (entries.empty() || byte_count < payload_bytes_max)) {
      Entry entry;
      if ((*reader)->next(entry) != SegmentStatus::kEntry) {
        return fail(fmt::format("{}: offset {}: entry {} cannot be read: {}", segment.path,
                                (*reader)->offset(), next.value, (*reader)->problem()));
      }
      if (entry.index < next) continue;
      byte_count += entry.payload.size();
      next = LogIndex{entry.index.value + 1};
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

LogIndex LogStore::first_index() const {
  if (state_.segments.empty() || state_.follows_snapshot) return LogIndex{state_.last.value + 1};
  return state_.segments.front().first;
}

std::uint64_t LogStore::file_bytes() const {
  std::uint64_t sum = 0;
  for (const Segment& segment : state_.segments) sum += segment.file_bytes;
  return sum;
}

}  // namespace holdfast::log
