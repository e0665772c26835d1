// WriteMarks knows, for each key, the log index of the last entry that wrote it: what a reply about
// the key depends on. A fixed array by key hash: keys that share a place delay each other's replies
// and do nothing worse. Entries that change whole databases count for every key. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/ids.hpp"

namespace holdfast::keyspace {

class WriteMarks {
 public:
  WriteMarks() : marks_(kPlaces) {}

  void note(std::uint64_t hash, LogIndex index) { marks_[hash >> kShift] = index; }
  void note_all(LogIndex index) { all_ = index; }
  // All entries up to now are void, or committed up to `index`.
  void begin_anew(LogIndex index) {
    std::fill(marks_.begin(), marks_.end(), LogIndex{});
    all_ = index;
  }
  // At or above the index of the last entry that wrote a key of this hash.
  LogIndex last_write(std::uint64_t hash) const { return std::max(marks_[hash >> kShift], all_); }

 private:
  static constexpr std::size_t kPlaces = 65536;
  static constexpr int kShift = 48;

  std::vector<LogIndex> marks_;
  LogIndex all_;
};

}  // namespace holdfast::keyspace
