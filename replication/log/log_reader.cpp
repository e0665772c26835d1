#include "replication/log/log_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"

namespace holdfast::log {

LogReader::LogReader(FileSystem& files, KeyRing keys, std::vector<Segment> segments, LogIndex after,
                     Term after_term, LogIndex last)
    : files_(files),
      keys_(std::move(keys)),
      segments_(std::move(segments)),
      before_(after),
      before_term_(after_term),
      last_(last) {
  std::erase_if(segments_, [&](const Segment& segment) {
    return segment.last <= after || segment.first > last;
  });
  HF_CHECK(after >= last ||
           (!segments_.empty() && segments_.front().first.value <= after.value + 1 &&
            segments_.back().last >= last));
  for (const Segment& segment : segments_) bytes_total_ += segment.file_bytes;
}

Result<void> LogReader::open_segment() {
  const Segment& segment = segments_[segment_];
  auto reader = SegmentReader::open(files_, segment.path, keys_);
  if (!reader) return tl::unexpected(std::move(reader.error()));
  reader_ = std::move(*reader);
  // The entry before the first one wanted comes too, for its term.
  const auto behind =
      std::upper_bound(segment.positions.begin(), segment.positions.end(), before_,
                       [](LogIndex index, const EntryPosition& at) { return index < at.index; });
  if (behind != segment.positions.begin()) reader_->start_at(*(behind - 1));
  if (segment.first.value == before_.value + 1) return check_term(segment.previous_term);
  return {};
}

Result<void> LogReader::check_term(Term found) const {
  if (found == before_term_) return {};
  return fail(fmt::format(
      "{}: offset {}: entry {} is of term {} here, but of term {} in the snapshot or segment "
      "before: they do not belong together",
      reader_->path(), reader_->offset(), before_.value, found.value, before_term_.value));
}

Result<std::vector<Entry>> LogReader::next(std::size_t payload_bytes_max) {
  std::vector<Entry> entries;
  std::size_t byte_count = 0;
  while (before_ < last_ && (entries.empty() || byte_count < payload_bytes_max)) {
    if (reader_ == nullptr) {
      auto opened = open_segment();
      if (!opened) return tl::unexpected(std::move(opened.error()));
    }
    Entry entry;
    const SegmentStatus status = reader_->next(entry);
    if (status != SegmentStatus::kEntry) {
      const std::string why =
          status == SegmentStatus::kEnd ? "the segment ends before it" : reader_->problem();
      return fail(fmt::format("{}: offset {}: entry {} cannot be read: {}", reader_->path(),
                              reader_->offset(), before_.value + 1, why));
    }
    if (entry.index == before_) {
      auto good = check_term(entry.term);
      if (!good) return tl::unexpected(std::move(good.error()));
    }
    if (entry.index <= before_) continue;
    before_ = entry.index;
    before_term_ = entry.term;
    byte_count += entry.payload.size();
    entries.push_back(std::move(entry));
    if (before_ == segments_[segment_].last) {
      bytes_of_past_segments_ += segments_[segment_].file_bytes;
      reader_ = nullptr;
      ++segment_;
    }
  }
  if (reader_ != nullptr) reader_->release();
  return entries;
}

std::uint64_t LogReader::bytes_read() const {
  const std::uint64_t here = reader_ != nullptr ? reader_->good_bytes() : 0;
  return bytes_of_past_segments_ + here;
}

}  // namespace holdfast::log
