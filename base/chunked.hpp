// Chunked is a long byte string in reference-counted chunks, for values of 64 KB and more: it is
// received, stored, changed and sent without ever being one contiguous block, so that no operation
// on it costs more than a chunk at a time.
//
// Copies of a Chunked share chunks; a chunk is written only while nobody else holds it (see
// writable_chunk), otherwise it is copied first. All chunks but the last hold exactly kChunkBytes;
// the last holds 1..kChunkBytes (an empty Chunked has none), so a position is found by division.
// Reference counts are not atomic: one thread, or hand over whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

inline constexpr std::size_t kChunkBytes = 64 * 1024;
// Arguments and string values of at least this many bytes are chunked.
inline constexpr std::size_t kChunkedBytesMin = 64 * 1024;

// One reference-counted block of kChunkBytes. A ChunkRef keeps it alive.
class ChunkRef {
 public:
  ChunkRef() = default;
  static ChunkRef allocate();
  ChunkRef(const ChunkRef& other);
  ChunkRef(ChunkRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  ChunkRef& operator=(ChunkRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~ChunkRef();

  char* data();
  const char* data() const;
  bool shared() const;
  explicit operator bool() const { return block_ != nullptr; }

 private:
  struct Block;
  Block* block_ = nullptr;
};

class Chunked {
 public:
  Chunked() = default;
  explicit Chunked(std::string_view bytes) { append(bytes); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t chunk_count() const { return chunks_.size(); }
  std::string_view chunk(std::size_t index) const;
  const ChunkRef& chunk_ref(std::size_t index) const { return chunks_[index]; }

  void append(std::string_view bytes);
  // Shares the chunk. REQUIRES: size() is a multiple of kChunkBytes, 0 < byte_count <= kChunkBytes.
  void append_chunk(ChunkRef chunk, std::size_t byte_count);
  // Room at the end for up to kChunkBytes, to be filled by the caller (a socket read) and then
  // claimed with `commit_tail(n)`, n <= tail.second. The room is never empty.
  std::pair<char*, std::size_t> tail();
  void commit_tail(std::size_t byte_count);

  // Replaces bytes from `offset` on, growing with zero bytes as needed; shared chunks are copied
  // first.
  void overwrite(std::size_t offset, std::string_view bytes);
  void resize_zero_filled(std::size_t size);

  // Copies [offset, offset + length) out; the range must lie inside.
  void copy_out(std::size_t offset, std::size_t length, char* to) const;
  std::string str() const;
  bool equals(std::string_view bytes) const;

  // Drops up to `count` chunks from the end: freeing in slices. True when nothing is left.
  bool drop_chunks(std::size_t count);
  std::size_t memory_bytes() const {
    return chunks_.size() * (kChunkBytes + 16) + chunks_.capacity() * 8;
  }

 private:
  char* writable_chunk(std::size_t index);

  std::vector<ChunkRef> chunks_;
  std::size_t size_ = 0;
};

}  // namespace holdfast
