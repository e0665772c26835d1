#include "replication/log/recovery.hpp"

#include <fmt/format.h>

#include <optional>

#include "base/check.hpp"
#include "replication/log/data_folder.hpp"
#include "replication/log/segment_scan.hpp"

namespace holdfast::log {

namespace {

std::string hex(const LogId& id) {
  return to_hex(id.data(), id.size());
}

// One recovery from the first look to the verdict; each step may refuse.
class Recovery {
 public:
  Recovery(FileSystem& files, const RecoveryOptions& options) : files_(files), options_(options) {}

  Result<RecoveredState> run() {
    auto record = DurableRecordFile::inspect(files_, options_.folder);
    if (!record) return tl::unexpected(std::move(record.error()));
    auto folder = read_data_folder(files_, options_.folder);
    if (!folder) return tl::unexpected(std::move(folder.error()));
    folder_ = std::move(*folder);
    state_.record = std::move(record->record);
    if (record->is_new && !folder_.empty()) {
      return fail(fmt::format(
          "{0}: holds a log but no {1}: this member's votes and identity are lost. Empty {0} and "
          "start it again: it joins anew and copies everything from the others",
          options_.folder, kDurableRecordName));
    }
    state_.is_new = record->is_new;
    Result<void> done = choose_snapshots();
    if (done) done = scan_segments();
    if (done) done = join_log_and_snapshot();
    if (done) done = make_lasting();
    if (!done) return tl::unexpected(std::move(done.error()));
    return std::move(state_);
  }

 private:
  void note(std::string text) { state_.notes.push_back(std::move(text)); }
  void warn(std::string text) { state_.warnings.push_back(std::move(text)); }
  LogIndex base() const {
    return state_.snapshots.empty() ? LogIndex{0} : state_.snapshots.front().index;
  }
  tl::unexpected<Error> lost(std::string_view what) const {
    return fail(fmt::format("{}. {}", what, way_out(options_.folder, options_.keys)));
  }

  Result<void> check_log_id(const FolderFile& file) const {
    if (file.header.log_id == state_.record.log_id) return {};
    return fail(fmt::format(
        "{}: belongs to another log (id {}; this member's is {}): was it copied here from another "
        "member or cluster? Move it out of the folder",
        file.path, hex(file.header.log_id), hex(state_.record.log_id)));
  }

  Result<void> choose_snapshots() {
    for (const FolderSnapshot& snapshot : folder_.snapshots) {
      if (snapshot.state == HeaderState::kForeign)
        return fail(fmt::format("{}: {}", snapshot.path, snapshot.problem));
      std::string problem;
      if (snapshot.state == HeaderState::kDamaged) {
        problem = fmt::format("{}: {}", snapshot.path, snapshot.problem);
      } else {
        auto good = check_log_id(snapshot);
        if (!good) return good;
        const bool no_key =
            snapshot.header.encrypted && options_.keys.find(snapshot.header.key_id) == nullptr;
        auto found = check_snapshot_end(files_, snapshot, options_.keys);
        problem = found ? std::move(*found) : std::move(found.error().message);
        // The newest one is wanted; what cannot be read, or was sealed with a key that is gone, may
        // rest.
        if (!found && state_.snapshots.empty()) return fail(unread_snapshot(problem));
        if (!problem.empty() && no_key && state_.snapshots.empty()) return fail(std::move(problem));
      }
      if (problem.empty()) {
        const FileHeader& header = snapshot.header;
        state_.snapshots.push_back({snapshot.path, snapshot.index, header.term, header.time,
                                    header.digest_seed, snapshot.file_bytes});
        continue;
      }
      if (snapshot.index > newest_bad_.index) newest_bad_ = {snapshot.index, problem};
      warn(fmt::format("{}; it is not used", problem));
    }
    return {};
  }

  Result<void> scan_segments() {
    for (const FolderSegment& segment : folder_.segments) {
      if (segment.is_void) continue;
      if (segment.state == HeaderState::kForeign)
        return fail(fmt::format("{}: {}", segment.path, segment.problem));
      if (segment.state == HeaderState::kDamaged)
        return lost(fmt::format("{}: {}", segment.path, segment.problem));
      auto good = check_log_id(segment);
      if (!good) return good;
      good = segment.last && *segment.last <= base() ? pass_over(segment) : scan(segment);
      if (!good) return good;
    }
    return {};
  }

  // Nothing in it is needed to start.
  Result<void> pass_over(const FolderSegment& segment) {
    add_segment(segment, *segment.last, segment.file_bytes);
    return {};
  }

  void add_segment(const FolderSegment& found, LogIndex last, std::uint64_t file_bytes) {
    Segment segment;
    segment.path = found.path;
    segment.sequence = found.sequence;
    segment.first = found.header.index;
    segment.last = last;
    segment.previous_term = found.header.term;
    segment.previous_time = found.header.time;
    segment.follows_snapshot = found.header.follows_snapshot;
    segment.file_bytes = file_bytes;
    state_.log.segments.push_back(std::move(segment));
  }

  Result<void> scan(const FolderSegment& segment) {
    const FileHeader& header = segment.header;
    if (scanned_ && header.term != scanned_->last.term) {
      return lost(fmt::format(
          "{}: offset 0: follows an entry {} of term {}, but the one before it is of term {}: a "
          "segment between them is missing, or was replaced",
          segment.path, scanned_->last.index.value, header.term.value, scanned_->last.term.value));
    }
    SegmentScan found = scan_segment(files_, segment, options_.keys, base());
    switch (found.end) {
      case SegmentEnd::kComplete:
        break;
      case SegmentEnd::kTorn:
        on_torn(segment, found);
        break;
      case SegmentEnd::kCorrupt:
        return lost(
            fmt::format("{}: offset {}: {}. This is no torn write but damage: entries from "
                        "{} on cannot be trusted",
                        segment.path, found.offset, found.problem, found.bad_index.value));
      case SegmentEnd::kNoKey:
      case SegmentEnd::kFailed:
        return fail(found.problem);
    }
    if (found.watched_term) term_at_base_ = found.watched_term;
    add_segment(segment, found.last.index, found.good_bytes);
    state_.log.segments.back().positions = std::move(found.positions);
    state_.unsynced = std::move(found.unsynced);
    scanned_ = std::move(found);
    mode_ = header.fsync_mode;
    return {};
  }

  void on_torn(const FolderSegment& segment, const SegmentScan& found) {
    dropped_complete_ = found.may_be_complete;
    note(fmt::format("{}: offset {}: {}; the last {} bytes were not synced and are dropped",
                     segment.path, found.offset, found.problem,
                     found.file_bytes - found.good_bytes));
  }

  Result<void> join_log_and_snapshot() {
    LogState& log = state_.log;
    log.next_sequence = folder_.next_sequence;
    if (log.segments.empty()) {
      if (newest_bad_.index > base()) return lost(newest_bad_.problem);
      if (!state_.is_new) {
        state_.tail_in_doubt = true;
        if (state_.record.running || !state_.snapshots.empty())
          warn(fmt::format("{}: holds no log", options_.folder));
      }
      if (!state_.snapshots.empty()) stand_at_snapshot();
      return {};
    }
    log.last = scanned_->last.index;
    log.last_term = scanned_->last.term;
    log.last_time = scanned_->last.time;
    log.synced = scanned_->synced.index;
    log.synced_term = scanned_->synced.term;
    log.synced_time = scanned_->synced.time;
    judge_doubt();

    // A snapshot holds only what was committed: where the log falls short of it or tells
    // otherwise, the snapshot is right.
    if (log.last < base()) {
      note(
          fmt::format("the log ends at entry {}, before the snapshot of entry {}: nothing of it "
                      "is needed",
                      log.last.value, base().value));
      stand_at_snapshot();
    } else if (term_at_base_ && base().value > 0 &&
               *term_at_base_ != state_.snapshots.front().term) {
      warn(
          fmt::format("the log has entry {} of term {} where the snapshot has it of term {}: the "
                      "log is of another branch and void",
                      base().value, term_at_base_->value, state_.snapshots.front().term.value));
      stand_at_snapshot();
    }
    // What a newer, damaged snapshot holds must still be in the log.
    const LogIndex reach = log.last;
    if (newest_bad_.index > reach) {
      return lost(fmt::format("{}; the log ends at entry {}, so that entries through {} are lost",
                              newest_bad_.problem, reach.value, newest_bad_.index.value));
    }
    const LogIndex first = log.segments.front().first;
    if (log.follows_snapshot || first.value <= base().value + 1) return {};
    const std::string have =
        base().value == 0
            ? std::string("there is no snapshot that can be used")
            : fmt::format("the newest snapshot that can be used ends at entry {}", base().value);
    return lost(fmt::format("{}: the log begins at entry {}, and {}: what lies between is missing",
                            log.segments.front().path, first.value, have));
  }

  void judge_doubt() {
    const DurableRecord& record = state_.record;
    const bool is_known = !record.boot_id.empty() && !options_.boot_id.empty();
    const bool is_same_boot = is_known && record.boot_id == options_.boot_id;
    const bool machine_went_down = is_known && !is_same_boot;
    const bool unclean = record.running && !is_same_boot;
    // With `always` only what was synced was acknowledged, and a loss of power takes only what was
    // not. Without a loss of power a complete record has no excuse in any mode.
    const bool excused = mode_ == FsyncMode::kAlways && machine_went_down;
    state_.tail_in_doubt = (unclean || dropped_complete_) && !excused;
    if (state_.tail_in_doubt) {
      warn(
          fmt::format("{}: the log was written with log_fsync {} and {}: acknowledged writes may "
                      "be missing at its end",
                      options_.folder, name_of(mode_),
                      dropped_complete_ ? "ends in damaged records"
                                        : "the machine went down without a clean stop"));
    }
  }

  void stand_at_snapshot() {
    const RecoveredSnapshot& snapshot = state_.snapshots.front();
    LogState& log = state_.log;
    log.follows_snapshot = true;
    log.last = log.synced = snapshot.index;
    log.last_term = log.synced_term = snapshot.term;
    log.last_time = log.synced_time = snapshot.time;
    state_.unsynced.clear();
  }

  Result<void> make_lasting() {
    auto loaded = DurableRecordFile::load(files_, options_.folder);
    if (!loaded) return tl::unexpected(std::move(loaded.error()));
    if (loaded->damaged_slot) {
      note(fmt::format("{}/{}: one of its two slots was not written whole; the other one holds",
                       options_.folder, kDurableRecordName));
    }
    state_.record_file = std::move(loaded->file);
    // These before the next segment begins, which does not say any more that they are void.
    for (const std::string& path : folder_.void_snapshots) {
      auto removed = files_.remove(path);
      if (!removed && removed.error().kind != FileErrorKind::kNotFound)
        return tl::unexpected(to_error(removed.error()));
    }
    if (!folder_.void_snapshots.empty()) {
      auto synced = files_.sync_dir(options_.folder);
      if (!synced) return tl::unexpected(to_error(synced.error()));
    }
    std::vector<std::string> superfluous = folder_.leftovers;
    for (const FolderSegment& segment : folder_.segments)
      if (segment.is_void) superfluous.push_back(segment.path);
    for (const std::string& path : superfluous) {
      auto removed = files_.remove(path);
      if (!removed && removed.error().kind != FileErrorKind::kNotFound)
        warn(removed.error().text());
    }
    return {};
  }

  FileSystem& files_;
  const RecoveryOptions& options_;
  DataFolder folder_;
  RecoveredState state_;
  struct {
    LogIndex index;
    std::string problem;
  } newest_bad_;                        // snapshot
  std::optional<SegmentScan> scanned_;  // the last one
  std::optional<Term> term_at_base_;    // of the log's entry where the newest snapshot stands
  FsyncMode mode_ = FsyncMode::kEverySecond;
  bool dropped_complete_ = false;
};

}  // namespace

bool RecoveredState::can_load_behind(LogIndex index) const {
  if (log.follows_snapshot) return index == log.last;
  if (log.segments.empty()) return index.value == 0 && snapshots.empty();
  return log.segments.front().first.value <= index.value + 1 && index <= log.last;
}

Result<RecoveredState> recover(FileSystem& files, const RecoveryOptions& options) {
  return Recovery(files, options).run();
}

}  // namespace holdfast::log
