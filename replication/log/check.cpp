#include "replication/log/check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "replication/log/folder_survey.hpp"

namespace holdfast::log {

namespace {

constexpr std::string_view kDamagedSuffix = ".damaged";
constexpr std::size_t kCopiedBytes = 1 << 20;

// What is to be done, decided before anything is touched.
struct Plan {
  std::vector<std::string> set_aside;  // in this order
  struct Cut {
    std::string path;
    std::uint64_t good_bytes = 0;
    std::uint64_t file_bytes = 0;
  };
  std::optional<Cut> cut;
  bool loses_entries = false;
  std::vector<std::string> lines;
  std::string impossible;  // not empty: why nothing can be done
};

Plan plan_repair(const FolderSurvey& survey) {
  Plan plan;
  if (!survey.record) {
    plan.impossible =
        "the durable record is lost: empty the folder, so that this member joins anew and copies "
        "everything from the others";
    return plan;
  }
  const LogIndex base = survey.base();
  LogIndex newest_bad_snapshot;
  for (const SurveyedSnapshot& snapshot : survey.snapshots) {
    if (snapshot.is_good) continue;
    plan.set_aside.push_back(snapshot.file.path);
    plan.lines.push_back(fmt::format("set the snapshot {} aside", snapshot.file.path));
    newest_bad_snapshot = std::max(newest_bad_snapshot, snapshot.file.index);
  }
  const std::vector<SurveyedSegment>& segments = survey.segments;
  // The oldest segment that is kept: behind the last damage that a snapshot makes superfluous.
  std::size_t begin = 0;
  for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
    const bool next_suffices = segments[i + 1].file.state == HeaderState::kGood &&
                               segments[i + 1].file.header.index.value <= base.value + 1;
    if (!segments[i].is_good() && next_suffices) begin = i + 1;
  }
  for (std::size_t i = 0; i < begin; ++i) {
    plan.set_aside.push_back(segments[i].file.path);
    plan.lines.push_back(fmt::format("set {} aside: the snapshot of entry {} has what it held",
                                     segments[i].file.path, base.value));
  }
  // The first of those that is bad; behind `begin` a segment need not fit to what is gone.
  std::size_t bad = begin;
  while (bad < segments.size() &&
         (segments[bad].is_good() || (bad == begin && begin > 0 && !segments[bad].fits &&
                                      segments[bad].scan.end == SegmentEnd::kComplete)))
    ++bad;
  LogIndex last;
  if (bad > begin) last = segments[bad - 1].scan.last.index;
  if (bad < segments.size()) {
    for (const FolderSegment& segment : survey.void_segments)
      plan.set_aside.push_back(segment.path);
    for (std::size_t i = segments.size(); i-- > bad;) {
      const SurveyedSegment& segment = segments[i];
      const bool has_good_part = i == bad && segment.file.state == HeaderState::kGood &&
                                 segment.fits && segment.scan.end == SegmentEnd::kCorrupt;
      if (has_good_part) {
        plan.cut = {segment.file.path, segment.scan.good_bytes, segment.scan.file_bytes};
        last = segment.scan.last.index;
      } else {
        plan.set_aside.push_back(segment.file.path);
        plan.lines.push_back(fmt::format("set {} aside", segment.file.path));
      }
    }
    if (!plan.cut && bad > begin) {
      // Its entries that later segments had made void must not come back.
      const SegmentScan& scan = segments[bad - 1].scan;
      plan.cut = {segments[bad - 1].file.path, scan.good_bytes, scan.file_bytes};
    }
    if (plan.cut && plan.cut->good_bytes < plan.cut->file_bytes) {
      plan.lines.push_back(
          fmt::format("cut {} at offset {}", plan.cut->path, plan.cut->good_bytes));
    }
    plan.loses_entries = true;
    plan.lines.push_back(fmt::format("entries behind {} are lost", std::max(last, base).value));
  }
  if (newest_bad_snapshot > std::max(last, base)) {
    plan.loses_entries = true;
    plan.lines.push_back(fmt::format("entries through {}, which the snapshot held, are lost",
                                     newest_bad_snapshot.value));
  }
  const bool is_log_left = bad > begin || plan.cut;
  const LogIndex first = is_log_left ? segments[begin].file.header.index : LogIndex{0};
  if (is_log_left && last >= base && first.value > base.value + 1) {
    plan.impossible = fmt::format(
        "the log begins at entry {}, and no good snapshot reaches there: the data before is lost. "
        "Empty the folder, so that this member copies everything from the others, or restore a "
        "backup of the snapshots",
        first.value);
  }
  return plan;
}

FileStatus copy_end(FileSystem& files, File& from, std::uint64_t offset, const std::string& to) {
  auto file = files.open(to, OpenMode::kCreate);
  if (!file) return tl::unexpected(std::move(file.error()));
  std::string bytes(kCopiedBytes, '\0');
  for (;;) {
    auto count = from.read_at(offset, bytes);
    if (!count) return tl::unexpected(std::move(count.error()));
    if (*count == 0) return (*file)->sync();
    auto written = append_all(**file, std::string_view(bytes).substr(0, *count));
    if (!written) return written;
    offset += *count;
  }
}

FileResult<std::string> free_name(FileSystem& files, const std::string& path) {
  for (unsigned i = 0;; ++i) {
    const std::string name = i == 0 ? fmt::format("{}{}", path, kDamagedSuffix)
                                    : fmt::format("{}.{}{}", path, i, kDamagedSuffix);
    auto file = files.open(name, OpenMode::kRead);
    if (!file && file.error().kind == FileErrorKind::kNotFound) return name;
    if (!file) return tl::unexpected(std::move(file.error()));
  }
}

FileStatus cut(FileSystem& files, const Plan::Cut& cut) {
  if (cut.good_bytes >= cut.file_bytes) return {};
  auto name = free_name(files, cut.path);
  if (!name) return tl::unexpected(std::move(name.error()));
  auto file = files.open(cut.path, OpenMode::kWrite);
  if (!file) return tl::unexpected(std::move(file.error()));
  auto done = copy_end(files, **file, cut.good_bytes, *name);
  if (done) done = (*file)->truncate(cut.good_bytes);
  if (done) done = (*file)->sync();
  return done;
}

FileStatus carry_out(FileSystem& files, const std::string& folder, const Plan& plan) {
  for (const std::string& path : plan.set_aside) {
    auto name = free_name(files, path);
    if (!name) return tl::unexpected(std::move(name.error()));
    auto done = files.rename(path, *name);
    if (done) done = files.sync_dir(folder);
    if (!done) return done;
  }
  if (plan.cut) {
    auto done = cut(files, *plan.cut);
    if (done) done = files.sync_dir(folder);
    if (!done) return done;
  }
  return {};
}

Result<void> mark_recovering(FileSystem& files, const std::string& folder) {
  auto loaded = DurableRecordFile::load(files, folder);
  if (!loaded) return tl::unexpected(std::move(loaded.error()));
  loaded->record.recovering = true;
  loaded->record.is_log_partial = true;  // any of what is lost may have been synced
  auto saved = loaded->file->save(loaded->record);
  if (!saved) return tl::unexpected(to_error(saved.error()));
  return {};
}

void sum_up(const FolderSurvey& survey, CheckReport& report) {
  if (survey.is_new) {
    report.lines.emplace_back("empty: no data yet");
    return;
  }
  if (!survey.obstacles.empty()) {
    for (const std::string& obstacle : survey.obstacles) report.lines.push_back(obstacle);
    report.lines.emplace_back("could not be checked");
    return;
  }
  std::uint64_t good_snapshots = 0;
  for (const SurveyedSnapshot& snapshot : survey.snapshots) good_snapshots += snapshot.is_good;
  std::string entries = "no entries";
  if (!survey.segments.empty() && survey.segments.back().is_good()) {
    const SurveyedSegment& newest = survey.segments.back();
    entries = fmt::format("entries {} to {}", survey.segments.front().file.header.index.value,
                          newest.scan.last.index.value);
  }
  report.lines.push_back(fmt::format(
      "{} of {} snapshots good, the newest through entry {}; {} segments, {}; {}", good_snapshots,
      survey.snapshots.size(), survey.base().value, survey.segments.size(), entries,
      survey.damages.empty() ? "healthy" : fmt::format("{} damages", survey.damages.size())));
}

}  // namespace

std::string Damage::text() const {
  if (offset) return fmt::format("{}: offset {}: {}", path, *offset, problem);
  return fmt::format("{}: {}", path, problem);
}

CheckReport check(FileSystem& files, const CheckOptions& options) {
  FolderSurvey survey = survey_folder(files, options.folder, options.keys);
  CheckReport report;
  report.lines = survey.lines;
  report.damages = survey.damages;
  sum_up(survey, report);
  if (!survey.obstacles.empty()) {
    report.verdict = CheckVerdict::kUnreadable;
    return report;
  }
  if (survey.damages.empty()) return report;
  report.verdict = CheckVerdict::kDamaged;
  const Plan plan = plan_repair(survey);
  if (!plan.impossible.empty()) {
    report.lines.push_back("cannot be repaired: " + plan.impossible);
    return report;
  }
  report.repairs = plan.lines;
  if (!options.repair) {
    for (const std::string& line : plan.lines) report.lines.push_back("--repair would: " + line);
    return report;
  }
  Result<void> done;
  // First, so that whatever comes between, nothing is claimed that is lost.
  if (plan.loses_entries) done = mark_recovering(files, options.folder);
  if (done) {
    auto carried = carry_out(files, options.folder, plan);
    if (!carried) done = tl::unexpected(to_error(carried.error()));
  }
  if (!done) {
    report.lines.push_back("the repair failed: " + done.error().message);
    return report;
  }
  for (const std::string& line : plan.lines) report.lines.push_back("repaired: " + line);
  CheckReport after = check(files, {options.folder, options.keys, false});
  report.is_repaired = after.verdict == CheckVerdict::kHealthy;
  report.verdict = after.verdict;
  report.lines.push_back(report.is_repaired ? "the folder is healthy now"
                                            : "damage is left: check again");
  return report;
}

}  // namespace holdfast::log
