// LogReader streams the entries of a log from an index to its end, in blocks, checking each: how a
// restarting member loads what lies behind its snapshot. (LogStore::read serves peers: any place,
// a few entries at a time.)
//
// The segments are those of a LogState or of an open LogStore; while the reader lives, the log may
// grow but must not be truncated, and LogStore::open, which may remove files, must have happened
// before or happen after. Not thread-safe. Blocks are handed over whole: the reader keeps no
// reference to what it gave out.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/entry.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/log_store.hpp"
#include "replication/log/segment_reader.hpp"

namespace holdfast::log {

class LogReader {
 public:
  // Gives the entries behind `after` through `last`, which the segments hold. `after_term` is the
  // term of the entry at `after` (of the snapshot), 0 with index 0: the log must agree.
  LogReader(FileSystem& files, KeyRing keys, std::vector<Segment> segments, LogIndex after,
            Term after_term, LogIndex last);

  // The next entries, some `payload_bytes_max` of them but at least one; none at the end. The error
  // names file and offset.
  Result<std::vector<Entry>> next(std::size_t payload_bytes_max);

  // Of the files that are to be read, for progress.
  std::uint64_t bytes_total() const { return bytes_total_; }
  std::uint64_t bytes_read() const;

 private:
  Result<void> open_segment();
  Result<void> check_term(Term found) const;

  FileSystem& files_;
  KeyRing keys_;
  std::vector<Segment> segments_;
  std::size_t segment_ = 0;  // that `reader_` reads, or that comes next
  std::unique_ptr<SegmentReader> reader_;
  LogIndex before_;  // the entry before the next one
  Term before_term_;
  LogIndex last_;
  std::uint64_t bytes_total_ = 0;
  std::uint64_t bytes_of_past_segments_ = 0;
};

}  // namespace holdfast::log
