// Rope is an immutable byte string in shared pieces: what was encoded once and is then read by the
// log, the links to peers and the backlog without another copy. RopeArena builds ropes: small ones
// of a turn lie one behind the other in the same reference-counted block, so that a rope costs no
// allocation of its own; large values come along by reference to their chunks.
//
// A rope of one piece, the common case, is 32 bytes and a count. Reference counts are not atomic:
// copying and dropping belong to one thread; another thread may read the bytes of a rope that the
// first one keeps, while the arena goes on filling the rest of the block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/chunked.hpp"

namespace holdfast {

// One reference-counted block of bytes of any capacity; never null in a BlockRef that was
// allocated.
class BlockRef {
 public:
  BlockRef() = default;
  static BlockRef allocate(std::size_t capacity);
  BlockRef(const BlockRef& other) : block_(other.block_) {
    if (block_ != nullptr) ++block_->references;
  }
  BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef() {
    if (block_ != nullptr && --block_->references == 0) release();
  }

  char* data() const { return reinterpret_cast<char*>(block_ + 1); }
  std::size_t capacity() const { return block_ != nullptr ? block_->capacity : 0; }
  bool shared() const { return block_->references > 1; }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  struct Block {
    std::uint64_t capacity;
    std::uint64_t references;
  };
  void release();

  Block* block_ = nullptr;
};

class Rope {
 public:
  // A piece lies in a block or in a chunk, which it keeps alive.
  struct Piece {
    std::string_view bytes;
    BlockRef block;
    ChunkRef chunk;
  };

  Rope() = default;
  // Copies; for tests and for what is rare.
  static Rope copy_of(std::string_view bytes);
  // Shares `block`, in which `bytes` lie.
  Rope(BlockRef block, std::string_view bytes)
      : block_(std::move(block)), data_(bytes.data()), size_(bytes.size()) {}
  explicit Rope(std::vector<Piece> pieces);
  Rope(const Rope& other);
  Rope(Rope&& other) noexcept
      : block_(std::move(other.block_)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        pieces_(std::exchange(other.pieces_, nullptr)) {}
  Rope& operator=(Rope other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(pieces_, other.pieces_);
    return *this;
  }
  ~Rope() {
    if (pieces_ != nullptr) drop_pieces();
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t piece_count() const;
  std::string_view piece(std::size_t index) const;
  // Null if the piece lies in no chunk, or does not begin where its chunk begins.
  const ChunkRef* chunk_of_piece(std::size_t index) const;
  // REQUIRES: at most one piece.
  std::string_view flat() const {
    return pieces_ == nullptr ? std::string_view(data_, size_) : only_piece();
  }
  std::string str() const;

 private:
  struct Pieces {
    std::uint64_t references;
    std::vector<Piece> list;
  };
  void drop_pieces();
  std::string_view only_piece() const;

  BlockRef block_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  Pieces* pieces_ = nullptr;  // then block_ and data_ are null
};

// Builds one rope after the other. What is reserved at once stays in one piece.
class RopeArena {
 public:
  explicit RopeArena(std::size_t block_bytes = 64 * 1024) : block_bytes_(block_bytes) {}

  // Room for `byte_count` at the end of the rope that is being built; what was written is then
  // claimed with `commit(end)`, the end of the written bytes.
  char* reserve(std::size_t byte_count) {
    if (static_cast<std::size_t>(limit_ - end_) < byte_count) [[unlikely]]
      next_block(byte_count);
    return end_;
  }
  void commit(char* end) { end_ = end; }
  void append(std::string_view bytes);
  // By reference: the chunk must not change any more while it is shared (Chunked copies it then).
  void append_chunk(const ChunkRef& chunk, std::size_t byte_count);
  // All chunks of `value`.
  void append_chunks(const Chunked& value);

  std::size_t size() const { return pieces_bytes_ + static_cast<std::size_t>(end_ - begin_); }
  bool empty() const { return size() == 0; }
  // The rope that was built since the last take; the next one begins.
  Rope take() {
    if (pieces_.empty()) [[likely]] {
      Rope rope(block_, {begin_, static_cast<std::size_t>(end_ - begin_)});
      begin_ = end_;
      return rope;
    }
    return take_pieces();
  }
  void discard();

 private:
  void next_block(std::size_t byte_count);
  void close_piece();
  Rope take_pieces();

  std::size_t block_bytes_;
  BlockRef block_;
  // Of the current block: where the open piece begins and ends, and where the block ends.
  char* begin_ = nullptr;
  char* end_ = nullptr;
  char* limit_ = nullptr;
  std::vector<Rope::Piece> pieces_;  // of the rope that is being built, before the open one
  std::size_t pieces_bytes_ = 0;
};

// Reads a rope (or one view) from front to end, whatever the pieces. The rope outlives the reader
// and what it gave out; what had to be put together from two pieces lives until `forget`.
// Bounds-checked: a read beyond the end fails, gives zeros from then on and never touches foreign
// memory.
class RopeReader {
 public:
  explicit RopeReader(const Rope& rope);
  explicit RopeReader(std::string_view bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()), remaining_(bytes.size()) {}

  bool ok() const { return ok_; }
  void fail() {
    ok_ = false;
    at_ = end_;
    remaining_ = 0;
  }
  std::size_t remaining() const { return remaining_; }

  std::uint8_t u8() { return fixed<std::uint8_t>(); }
  std::uint32_t u32() { return fixed<std::uint32_t>(); }
  std::uint64_t u64() { return fixed<std::uint64_t>(); }
  std::int64_t i64() { return static_cast<std::int64_t>(fixed<std::uint64_t>()); }
  std::uint64_t varint();
  // Contiguous, if need be by a copy.
  std::string_view bytes(std::size_t byte_count) {
    if (static_cast<std::size_t>(end_ - at_) < byte_count) [[unlikely]]
      return joined(byte_count);
    const std::string_view view(at_, byte_count);
    advance(byte_count);
    return view;
  }
  // As much as lies in one piece, at most `byte_count_max`; empty at the end.
  std::string_view some(std::size_t byte_count_max);
  // Appends `byte_count` bytes to `out`, whole chunks by reference.
  void chunks(std::size_t byte_count, Chunked& out);
  void forget() { joined_.clear(); }

 private:
  template <typename T>
  T fixed() {
    const std::string_view view = bytes(sizeof(T));
    T value = 0;
    if (view.size() == sizeof(T)) std::memcpy(&value, view.data(), sizeof(T));
    return value;
  }
  void advance(std::size_t byte_count) {
    at_ += byte_count;
    remaining_ -= byte_count;
  }
  bool next_piece();
  std::string_view joined(std::size_t byte_count);

  const Rope* rope_ = nullptr;
  std::size_t piece_ = 0;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::size_t remaining_ = 0;
  bool ok_ = true;
  std::vector<std::unique_ptr<char[]>> joined_;
};

}  // namespace holdfast
