#include "replication/log/segment_scan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"

namespace holdfast::log {

namespace {

void pass_marked(SegmentScan& scan, LogIndex marked) {
  std::size_t count = 0;
  while (count < scan.unsynced.size() && scan.unsynced[count].index <= marked) ++count;
  if (count == 0) return;
  const Entry& last = scan.unsynced[count - 1];
  scan.synced = {last.index, last.term, last.time};
  scan.unsynced.erase(scan.unsynced.begin(),
                      scan.unsynced.begin() + static_cast<std::ptrdiff_t>(count));
}

void judge_tail(SegmentReader& reader, SegmentScan& scan) {
  const SegmentReader::Tail tail = reader.inspect_tail();
  scan.may_be_complete = tail.may_be_complete;
  if (!tail.failure.empty()) {
    scan.end = SegmentEnd::kFailed;
    scan.problem = tail.failure;
  } else if (tail.is_forged) {
    scan.end = SegmentEnd::kCorrupt;
    scan.problem += ", and what follows was not written with this key, or was changed on purpose";
  } else if (tail.marked_offset > tail.bad_offset) {
    scan.end = SegmentEnd::kCorrupt;
    scan.problem +=
        fmt::format(", although a mark says that everything before offset {} was safe on disk",
                    tail.marked_offset);
  } else {
    scan.end = SegmentEnd::kTorn;
  }
}

}  // namespace

SegmentScan scan_segment(FileSystem& files, const FolderSegment& segment, const KeyRing& keys,
                         LogIndex watch) {
  SegmentScan scan;
  scan.file_bytes = segment.file_bytes;
  scan.last = {LogIndex{segment.header.index.value - 1}, segment.header.term, segment.header.time};
  scan.synced = scan.last;
  scan.good_bytes = kHeaderBytes;
  if (segment.header.encrypted && keys.find(segment.header.key_id) == nullptr) {
    scan.end = SegmentEnd::kNoKey;
    scan.problem = seal_for(segment.header, segment.path, keys).error().message;
    return scan;
  }
  auto opened = SegmentReader::open(files, segment.path, keys);
  if (!opened) {
    scan.end = SegmentEnd::kFailed;
    scan.problem = opened.error().message;
    return scan;
  }
  SegmentReader& reader = **opened;
  scan.file_bytes = reader.file_bytes();
  if (scan.last.index == watch) scan.watched_term = scan.last.term;
  const bool is_last = !segment.last.has_value();
  while (is_last || scan.last.index < *segment.last) {
    Entry entry;
    const SegmentStatus status = reader.next(entry);
    scan.marks = reader.marked_offset();
    if (is_last) pass_marked(scan, reader.marked_index());
    if (status == SegmentStatus::kEntry) {
      if (scan.positions.empty() ||
          reader.offset() - scan.positions.back().offset >= kPositionEveryBytes)
        scan.positions.push_back({entry.index, reader.offset()});
      scan.last = {entry.index, entry.term, entry.time};
      scan.good_bytes = reader.good_bytes();
      if (entry.index == watch) scan.watched_term = entry.term;
      if (is_last) scan.unsynced.push_back(std::move(entry));
      continue;
    }
    scan.good_bytes = reader.good_bytes();
    scan.offset = reader.offset();
    scan.bad_index = LogIndex{scan.last.index.value + 1};
    scan.problem = reader.problem();
    switch (status) {
      case SegmentStatus::kEnd:
        if (is_last) return scan;
        scan.end = SegmentEnd::kCorrupt;
        scan.problem = fmt::format(
            "the segment ends before entry {}, although the next one says that everything through "
            "entry {} was safe on disk",
            scan.bad_index.value, segment.last->value);
        scan.offset = reader.file_bytes();
        return scan;
      case SegmentStatus::kTorn:
        if (is_last) {
          judge_tail(reader, scan);
          return scan;
        }
        scan.end = SegmentEnd::kCorrupt;
        scan.problem += fmt::format(
            ", although the next segment says that everything through entry {} was safe on disk",
            segment.last->value);
        return scan;
      case SegmentStatus::kInvalid:
        scan.end = SegmentEnd::kCorrupt;
        return scan;
      case SegmentStatus::kFailed:
        scan.end = SegmentEnd::kFailed;
        return scan;
      case SegmentStatus::kEntry:
        break;
    }
    HF_CHECK(false && "not an entry, and nothing else");
  }
  scan.synced = scan.last;
  return scan;
}

}  // namespace holdfast::log
