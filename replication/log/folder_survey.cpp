#include "replication/log/folder_survey.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "replication/log/snapshot_file.hpp"

namespace holdfast::log {

namespace {

std::string sealed(const FileHeader& header) {
  if (!header.encrypted) return "";
  return fmt::format(", key {}", to_hex(header.key_id.data(), header.key_id.size()));
}

std::string name_in(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

class Surveyor {
 public:
  Surveyor(FileSystem& files, const std::string& folder, const KeyRing& keys)
      : files_(files), folder_(folder), keys_(keys) {}

  FolderSurvey run() {
    auto found = read_data_folder(files_, folder_);
    if (!found) {
      survey_.obstacles.push_back(found.error().message);
      return std::move(survey_);
    }
    look_at_record(*found);
    for (FolderSnapshot& snapshot : found->snapshots) look_at(std::move(snapshot));
    for (const std::string& path : found->void_snapshots)
      line(path, "void: the log was begun anew without it");
    for (FolderSegment& segment : found->segments) look_at(std::move(segment));
    look_at_joint();
    return std::move(survey_);
  }

 private:
  void line(std::string_view path, std::string text) {
    survey_.lines.push_back(fmt::format("{}  {}", name_in(path), text));
  }
  void damage(const std::string& path, std::optional<std::uint64_t> offset, std::string problem) {
    const std::string place = offset ? fmt::format(" at offset {}", *offset) : "";
    line(path, fmt::format("DAMAGED{}: {}", place, problem));
    survey_.damages.push_back({path, offset, std::move(problem)});
  }
  void obstacle(std::string text) { survey_.obstacles.push_back(std::move(text)); }

  void look_at_record(const DataFolder& found) {
    const std::string path = join_path(folder_, kDurableRecordName);
    auto loaded = DurableRecordFile::inspect(files_, folder_);
    if (!loaded) return damage(path, std::nullopt, loaded.error().message);
    survey_.is_new = loaded->is_new && found.empty();
    if (loaded->is_new) {
      if (!found.empty()) damage(path, std::nullopt, "is missing: votes and identity are lost");
      return;
    }
    const DurableRecord& record = loaded->record;
    line(path, fmt::format("log id {}, start {}, term {}, log_fsync {}, {}{}{}",
                           to_hex(record.log_id.data(), record.log_id.size()), record.incarnation,
                           record.term.value, name_of(record.fsync_mode),
                           record.running ? "no clean stop" : "stopped cleanly",
                           record.recovering ? ", recovering" : "",
                           loaded->damaged_slot ? ", one slot torn" : ""));
    survey_.record = record;
  }

  // True: there is no more to look at.
  bool is_beyond_us(const FolderFile& file) {
    if (file.state == HeaderState::kForeign) {
      obstacle(fmt::format("{}: {}", file.path, file.problem));
      return true;
    }
    if (file.state == HeaderState::kDamaged) {
      damage(file.path, 0, file.problem);
      return true;
    }
    if (file.header.encrypted && keys_.find(file.header.key_id) == nullptr) {
      obstacle(seal_for(file.header, file.path, keys_).error().message);
      return true;
    }
    if (survey_.record && file.header.log_id != survey_.record->log_id) {
      damage(file.path, 0, "belongs to another log");
      return true;
    }
    return false;
  }

  void look_at(FolderSnapshot file) {
    const FileHeader header = file.header;
    survey_.snapshots.push_back({file, false});
    if (is_beyond_us(file)) return;
    auto reader = SnapshotReader::open(files_, file.path, keys_);
    if (!reader) return obstacle(reader.error().message);
    for (;;) {
      Rope mutations;
      auto more = (*reader)->next(mutations);
      if (!more && (*reader)->has_failed()) return obstacle(more.error().message);
      if (!more) return damage(file.path, (*reader)->offset(), (*reader)->problem());
      if (!*more) break;
    }
    survey_.snapshots.back().is_good = true;
    const SnapshotTotals& totals = (*reader)->totals();
    line(file.path,
         fmt::format("through entry {} of term {}: {} records in {} blocks, {} bytes{}{}",
                     file.index.value, header.term.value, totals.records, totals.blocks,
                     file.file_bytes, header.packing == Packing::kZstd ? ", zstd" : "",
                     sealed(header)));
  }

  void look_at(FolderSegment file) {
    if (file.is_void) {
      line(file.path, "void: replaced by later segments");
      survey_.void_segments.push_back(std::move(file));
      return;
    }
    SurveyedSegment segment{std::move(file), {}, true};
    const FileHeader& header = segment.file.header;
    const std::string& path = segment.file.path;
    if (!is_beyond_us(segment.file)) {
      segment.scan = scan_segment(files_, segment.file, keys_, LogIndex{0});
      const SegmentScan& scan = segment.scan;
      const SurveyedSegment* before = survey_.segments.empty() ? nullptr : &survey_.segments.back();
      if (before != nullptr && before->is_good() && before->scan.last.term != header.term) {
        segment.fits = false;
        damage(path, 0,
               fmt::format("follows an entry of term {}, but the one before it is of term {}",
                           header.term.value, before->scan.last.term.value));
      }
      if (scan.end == SegmentEnd::kCorrupt) {
        damage(path, scan.offset, scan.problem);
      } else if (scan.end == SegmentEnd::kFailed || scan.end == SegmentEnd::kNoKey) {
        obstacle(scan.problem);
      } else {
        describe(segment);
      }
    } else {
      segment.fits = false;
    }
    survey_.segments.push_back(std::move(segment));
  }

  void describe(const SurveyedSegment& segment) {
    const SegmentScan& scan = segment.scan;
    const FileHeader& header = segment.file.header;
    const std::string range =
        scan.last.index < header.index
            ? fmt::format("no entries (before {})", header.index.value)
            : fmt::format("entries {} to {}, through term {}", header.index.value,
                          scan.last.index.value, scan.last.term.value);
    std::string text = fmt::format("{}, {} bytes, log_fsync {}{}", range, scan.file_bytes,
                                   name_of(header.fsync_mode), sealed(header));
    if (scan.end == SegmentEnd::kTorn) {
      text += fmt::format("; torn tail at offset {}, {} bytes, never synced ({})", scan.offset,
                          scan.file_bytes - scan.good_bytes, scan.problem);
    }
    line(segment.file.path, text);
  }

  // Snapshot and log must reach each other.
  void look_at_joint() {
    if (survey_.segments.empty() || !survey_.obstacles.empty()) return;
    const SurveyedSegment& oldest = survey_.segments.front();
    const LogIndex base = survey_.base();
    if (oldest.file.state != HeaderState::kGood) return;
    const LogIndex first = oldest.file.header.index;
    const SurveyedSegment& newest = survey_.segments.back();
    const bool is_behind = newest.is_good() && newest.scan.last.index < base;
    if (first.value > base.value + 1 && !is_behind) {
      damage(oldest.file.path, std::nullopt,
             fmt::format("the log begins at entry {}, but the newest good snapshot ends at {}",
                         first.value, base.value));
    }
  }

  FileSystem& files_;
  const std::string& folder_;
  const KeyRing& keys_;
  FolderSurvey survey_;
};

}  // namespace

LogIndex FolderSurvey::base() const {
  for (const SurveyedSnapshot& snapshot : snapshots)
    if (snapshot.is_good) return snapshot.file.index;
  return LogIndex{0};
}

FolderSurvey survey_folder(FileSystem& files, const std::string& folder, const KeyRing& keys) {
  return Surveyor(files, folder, keys).run();
}

}  // namespace holdfast::log
