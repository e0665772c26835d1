// Every byte of a data folder, judged file by file: what check prints and repair plans by. Only
// reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "replication/log/check.hpp"
#include "replication/log/data_folder.hpp"
#include "replication/log/durable_record.hpp"
#include "replication/log/segment_scan.hpp"

namespace holdfast::log {

struct SurveyedSegment {
  FolderSegment file;
  SegmentScan scan;  // if the header is good
  bool fits = true;  // it begins where the one before it ends
  bool is_good() const {
    return file.state == HeaderState::kGood && fits &&
           (scan.end == SegmentEnd::kComplete || scan.end == SegmentEnd::kTorn);
  }
};

struct SurveyedSnapshot {
  FolderSnapshot file;
  bool is_good = false;
};

struct FolderSurvey {
  std::optional<DurableRecord> record;
  bool is_new = false;
  std::vector<SurveyedSegment> segments;  // that are not void, by sequence
  std::vector<FolderSegment> void_segments;
  std::vector<SurveyedSnapshot> snapshots;  // newest first
  std::vector<std::string> lines;
  std::vector<Damage> damages;
  std::vector<std::string> obstacles;  // why nothing can be said

  // Of the newest good snapshot; 0 if there is none.
  LogIndex base() const;
};

FolderSurvey survey_folder(FileSystem& files, const std::string& folder, const KeyRing& keys);

}  // namespace holdfast::log
