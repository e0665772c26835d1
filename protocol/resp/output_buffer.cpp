#include "protocol/resp/output_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace holdfast::resp {

namespace {
constexpr std::size_t kFirstBlockBytes = 4 * 1024;
// A block beyond this is sealed and sent, not doubled: growing never copies more than this.
constexpr std::size_t kBlockBytesMax = 64 * 1024;
}  // namespace

void OutputBuffer::seal() {
  if (begin_ == end_) return;
  segments_.push_back({std::move(block_), {}, begin_, end_, capacity_});
  segment_bytes_ += capacity_;
  block_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

void OutputBuffer::grow(std::size_t byte_count) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (capacity_ - end_ >= byte_count) return;
  const std::size_t kept = end_ - begin_;
  if (kept + byte_count > kBlockBytesMax) {
    seal();
    const std::size_t capacity = std::max(byte_count, kBlockBytesMax);
    block_ = std::make_unique_for_overwrite<char[]>(capacity);
    capacity_ = capacity;
    begin_ = end_ = 0;
    return;
  }
  const std::size_t capacity =
      std::min(kBlockBytesMax, std::max({kFirstBlockBytes, capacity_ * 2, kept + byte_count}));
  auto fresh = std::make_unique_for_overwrite<char[]>(capacity);
  if (kept > 0) std::memcpy(fresh.get(), block_.get() + begin_, kept);
  block_ = std::move(fresh);
  capacity_ = capacity;
  begin_ = 0;
  end_ = kept;
}

void OutputBuffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
  advance(bytes.size());
}

void OutputBuffer::append_chunked(const Chunked& chunked, std::size_t offset, std::size_t length) {
  while (length > 0) {
    const std::size_t index = offset / kChunkBytes;
    const std::size_t within = offset % kChunkBytes;
    const std::size_t count = std::min(chunked.chunk(index).size() - within, length);
    seal();
    segments_.push_back({nullptr, chunked.chunk_ref(index), within, within + count, kChunkBytes});
    segment_bytes_ += kChunkBytes;
    appended_ += count;
    offset += count;
    length -= count;
  }
}

void OutputBuffer::depend_on(std::size_t begin, const GatePoint& awaited) {
  if (watermarks_.empty()) {
    last_awaited_ = awaited;
  } else {
    if (last_awaited_.covers(awaited)) return;
    // What lies in front holds it up anyway, so both grow from mark to mark.
    last_awaited_.index = std::max(last_awaited_.index, awaited.index);
    last_awaited_.round = std::max(last_awaited_.round, awaited.round);
  }
  watermarks_.push_back({begin, last_awaited_});
}

std::size_t OutputBuffer::sendable_bytes(const GatePoint& open) {
  while (!watermarks_.empty() && open.covers(watermarks_.front().awaited)) watermarks_.pop_front();
  if (watermarks_.empty()) return appended_ - consumed_;
  return std::max(watermarks_.front().begin, consumed_) - consumed_;
}

std::size_t OutputBuffer::gather(std::string_view* parts, std::size_t max,
                                 std::size_t limit) const {
  std::size_t count = 0;
  for (const Segment& segment : segments_) {
    if (count == max || limit == 0) return count;
    const std::size_t bytes = std::min(segment.end - segment.begin, limit);
    const char* data = segment.bytes != nullptr ? segment.bytes.get() : segment.chunk.data();
    parts[count++] = {data + segment.begin, bytes};
    limit -= bytes;
  }
  if (count < max && limit > 0 && begin_ < end_) {
    parts[count++] = {block_.get() + begin_, std::min(end_ - begin_, limit)};
  }
  return count;
}

void OutputBuffer::consume(std::size_t byte_count) {
  consumed_ += byte_count;
  HF_CHECK(consumed_ <= appended_);
  while (byte_count > 0 && !segments_.empty()) {
    Segment& segment = segments_.front();
    const std::size_t count = std::min(segment.end - segment.begin, byte_count);
    segment.begin += count;
    byte_count -= count;
    if (segment.begin < segment.end) continue;
    segment_bytes_ -= segment.capacity;
    segments_.pop_front();
  }
  begin_ += byte_count;
  if (begin_ == end_) begin_ = end_ = 0;
}

std::size_t OutputBuffer::memory_bytes() const {
  return capacity_ + segment_bytes_ + segments_.size() * sizeof(Segment) +
         watermarks_.size() * sizeof(Watermark);
}

void OutputBuffer::release_if_empty() {
  if (pending_bytes() > 0) return;
  block_.reset();
  capacity_ = begin_ = end_ = 0;
}

void OutputBuffer::move_to(OutputBuffer& other) {
  std::string_view part;
  while (gather(&part, 1, pending_bytes()) > 0) {
    other.append(part);
    consume(part.size());
  }
  clear();
}

void OutputBuffer::clear() {
  segments_.clear();
  segment_bytes_ = 0;
  while (!watermarks_.empty()) watermarks_.pop_front();
  consumed_ = appended_;
  block_.reset();
  capacity_ = begin_ = end_ = 0;
}

}  // namespace holdfast::resp
