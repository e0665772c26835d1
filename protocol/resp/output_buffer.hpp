// OutputBuffer holds what one connection is still to be sent: bytes, shared chunks of large values,
// and the reply gate's watermarks.
//
// A watermark {begin, awaited} says: the bytes from stream position `begin` on may leave only when
// a log index is committed and a round of reads confirmed. `sendable_bytes` is what may leave now;
// the sender gathers it with `gather` into one write and claims it with `consume`. Positions count
// all bytes ever appended, so they never shift. Small replies go into one contiguous block that is
// kept between turns: the steady state allocates nothing. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>

#include "base/block_queue.hpp"
#include "base/chunked.hpp"
#include "base/ids.hpp"

namespace holdfast::resp {

// How far the gate is open: entries are committed and rounds confirmed up to here. As a reply's:
// what it waits for.
struct GatePoint {
  LogIndex index{};
  ReadRound round{};

  bool covers(const GatePoint& awaited) const {
    return index >= awaited.index && round >= awaited.round;
  }
  friend bool operator==(const GatePoint&, const GatePoint&) = default;
};

class OutputBuffer {
 public:
  // Room for `byte_count` contiguous bytes at the end; what was written is claimed with `advance`.
  char* reserve(std::size_t byte_count) {
    if (capacity_ - end_ < byte_count) [[unlikely]]
      grow(byte_count);
    return block_.get() + end_;
  }
  void advance(std::size_t byte_count) {
    end_ += byte_count;
    appended_ += byte_count;
  }
  void append(std::string_view bytes);
  // Shares the chunks; [offset, offset + length) must lie inside.
  void append_chunked(const Chunked& chunked, std::size_t offset, std::size_t length);

  // The bytes from stream position `begin` on wait for `awaited`. Call it in stream order.
  void depend_on(std::size_t begin, const GatePoint& awaited);

  // Bytes appended and not yet consumed.
  std::size_t pending_bytes() const { return appended_ - consumed_; }
  // What `open` covers waits for nothing from then on: it is never to be wider than the gate.
  std::size_t sendable_bytes(const GatePoint& open);
  // Fills up to `max` parts with the first `limit` bytes; returns the number of parts.
  std::size_t gather(std::string_view* parts, std::size_t max, std::size_t limit) const;
  void consume(std::size_t byte_count);
  // Appends all of it to `other`, without watermarks, and is empty then.
  void move_to(OutputBuffer& other);

  // Stream position of the next byte.
  std::size_t position() const { return appended_; }
  // What is kept for the pending bytes; a chunk that others hold too counts in full.
  std::size_t memory_bytes() const;
  void release_if_empty();
  void clear();

 private:
  struct Segment {
    std::unique_ptr<char[]> bytes;  // either bytes ...
    ChunkRef chunk;                 // ... or a part of a chunk
    std::size_t begin;
    std::size_t end;
    std::size_t capacity;  // of the bytes or the chunk
  };
  struct Watermark {
    std::size_t begin;
    GatePoint awaited;
  };

  void grow(std::size_t byte_count);
  void seal();

  std::deque<Segment> segments_;   // before the open block, in order
  std::size_t segment_bytes_ = 0;  // their capacities
  std::unique_ptr<char[]> block_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t appended_ = 0;
  std::size_t consumed_ = 0;
  BlockQueue<Watermark, 64> watermarks_;
  GatePoint last_awaited_;  // of the last watermark, if there is one
};

}  // namespace holdfast::resp
