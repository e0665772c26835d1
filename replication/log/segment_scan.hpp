// The pass of recovery and check over one segment: reads its entries, keeps none but those that
// were not synced, and judges how the segment ends. Only reads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "replication/log/cipher.hpp"
#include "replication/log/data_folder.hpp"
#include "replication/log/entry.hpp"
#include "replication/log/segment_reader.hpp"

namespace holdfast::log {

enum class SegmentEnd : std::uint8_t {
  kComplete,  // all entries that count are there
  kTorn,      // of the last segment only: it ends within what was never synced
  kCorrupt,   // something that was synced, or that no crash can explain, is bad
  kNoKey,     // its key was not given
  kFailed,    // the file could not be read
};

struct PlaceInLog {
  LogIndex index;
  Term term;
  UnixMs time = 0;
};

struct SegmentScan {
  SegmentEnd end = SegmentEnd::kComplete;
  // Names no file; for kNoKey and kFailed whole sentences that do.
  std::string problem;
  std::uint64_t offset = 0;  // of the entry that is bad, with kTorn and kCorrupt
  LogIndex bad_index;        // its index

  PlaceInLog last;    // the last entry that is good and counts, or what lies before the segment
  PlaceInLog synced;  // what is vouched for by a mark, or by the next segment
  std::uint64_t good_bytes = 0;  // where `last` (or marks behind it) ends
  std::uint64_t file_bytes = 0;
  std::uint64_t marks = 0;  // bytes that marks vouch for
  std::vector<EntryPosition> positions;
  std::vector<Entry> unsynced;  // above `synced`
  // With kTorn: what is dropped may have been written whole, and so acknowledged.
  bool may_be_complete = false;
  std::optional<Term> watched_term;  // of the entry `watch`, if it was met
};

// `segment` is not void and its header is good.
SegmentScan scan_segment(FileSystem& files, const FolderSegment& segment, const KeyRing& keys,
                         LogIndex watch);

}  // namespace holdfast::log
