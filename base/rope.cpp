#include "base/rope.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "base/check.hpp"

namespace holdfast {

static_assert(std::endian::native == std::endian::little);

namespace {

// What an open piece may hold to be copied into the next block, so that the rope stays in one
// piece.
constexpr std::size_t kMovedBytesMax = 4096;
// A read this long is put together only by `chunks`, in pieces.
constexpr std::size_t kJoinedBytesMax = std::size_t{1} << 32;

}  // namespace

BlockRef BlockRef::allocate(std::size_t capacity) {
  auto* block = static_cast<Block*>(std::malloc(sizeof(Block) + capacity));
  if (block == nullptr) throw std::bad_alloc();
  block->capacity = capacity;
  block->references = 1;
  BlockRef ref;
  ref.block_ = block;
  return ref;
}

void BlockRef::release() {
  std::free(block_);
}

Rope Rope::copy_of(std::string_view bytes) {
  if (bytes.empty()) return {};
  BlockRef block = BlockRef::allocate(bytes.size());
  std::memcpy(block.data(), bytes.data(), bytes.size());
  const std::string_view view(block.data(), bytes.size());
  return Rope(std::move(block), view);
}

Rope::Rope(std::vector<Piece> pieces) {
  for (const Piece& piece : pieces) size_ += piece.bytes.size();
  pieces_ = new Pieces{1, std::move(pieces)};
}

Rope::Rope(const Rope& other)
    : block_(other.block_), data_(other.data_), size_(other.size_), pieces_(other.pieces_) {
  if (pieces_ != nullptr) ++pieces_->references;
}

void Rope::drop_pieces() {
  if (--pieces_->references == 0) delete pieces_;
}

std::size_t Rope::piece_count() const {
  if (pieces_ != nullptr) return pieces_->list.size();
  return size_ > 0 ? 1 : 0;
}

std::string_view Rope::only_piece() const {
  HF_CHECK(pieces_->list.size() == 1);
  return pieces_->list.front().bytes;
}

std::string_view Rope::piece(std::size_t index) const {
  if (pieces_ != nullptr) return pieces_->list[index].bytes;
  return {data_, size_};
}

const ChunkRef* Rope::chunk_of_piece(std::size_t index) const {
  if (pieces_ == nullptr) return nullptr;
  const Piece& piece = pieces_->list[index];
  return piece.chunk && piece.bytes.data() == piece.chunk.data() ? &piece.chunk : nullptr;
}

std::string Rope::str() const {
  std::string whole;
  whole.reserve(size_);
  for (std::size_t i = 0; i < piece_count(); ++i) whole.append(piece(i));
  return whole;
}

void RopeArena::close_piece() {
  if (end_ == begin_) return;
  const std::string_view bytes(begin_, static_cast<std::size_t>(end_ - begin_));
  pieces_.push_back({bytes, block_, {}});
  pieces_bytes_ += bytes.size();
  begin_ = end_;
}

void RopeArena::next_block(std::size_t byte_count) {
  const auto open_bytes = static_cast<std::size_t>(end_ - begin_);
  const bool move = open_bytes <= kMovedBytesMax;
  if (!move) close_piece();
  BlockRef block = BlockRef::allocate(std::max(block_bytes_, byte_count + (move ? open_bytes : 0)));
  char* data = block.data();
  end_ = data;
  if (move && open_bytes > 0) {
    std::memcpy(data, begin_, open_bytes);
    end_ += open_bytes;
  }
  begin_ = data;
  limit_ = data + block.capacity();
  block_ = std::move(block);
}

void RopeArena::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), block_bytes_);
    char* to = reserve(count);
    std::memcpy(to, bytes.data(), count);
    commit(to + count);
    bytes.remove_prefix(count);
  }
}

void RopeArena::append_chunk(const ChunkRef& chunk, std::size_t byte_count) {
  HF_CHECK(byte_count <= kChunkBytes);
  if (byte_count == 0) return;
  close_piece();
  pieces_.push_back({{chunk.data(), byte_count}, {}, chunk});
  pieces_bytes_ += byte_count;
}

void RopeArena::append_chunks(const Chunked& value) {
  for (std::size_t i = 0; i < value.chunk_count(); ++i)
    append_chunk(value.chunk_ref(i), value.chunk(i).size());
}

Rope RopeArena::take_pieces() {
  close_piece();
  pieces_bytes_ = 0;
  return Rope(std::exchange(pieces_, {}));
}

void RopeArena::discard() {
  end_ = begin_;
  pieces_.clear();
  pieces_bytes_ = 0;
}

RopeReader::RopeReader(const Rope& rope) : rope_(&rope), remaining_(rope.size()) {
  if (rope.piece_count() == 0) return;
  const std::string_view first = rope.piece(0);
  at_ = first.data();
  end_ = first.data() + first.size();
}

bool RopeReader::next_piece() {
  if (remaining_ == 0 || rope_ == nullptr) return false;
  const std::string_view piece = rope_->piece(++piece_);
  at_ = piece.data();
  end_ = piece.data() + piece.size();
  return true;
}

std::string_view RopeReader::some(std::size_t byte_count_max) {
  while (at_ == end_ && next_piece()) {
  }
  const std::size_t count = std::min(byte_count_max, static_cast<std::size_t>(end_ - at_));
  const std::string_view view(at_, count);
  advance(count);
  return view;
}

std::string_view RopeReader::joined(std::size_t byte_count) {
  if (byte_count > remaining_ || byte_count > kJoinedBytesMax) {
    fail();
    return {};
  }
  while (at_ == end_ && next_piece()) {
  }
  if (static_cast<std::size_t>(end_ - at_) >= byte_count) return bytes(byte_count);
  joined_.push_back(std::make_unique<char[]>(byte_count));
  char* const whole = joined_.back().get();
  for (std::size_t done = 0; done < byte_count;) {
    const std::string_view part = some(byte_count - done);
    std::memcpy(whole + done, part.data(), part.size());
    done += part.size();
  }
  return {whole, byte_count};
}

std::uint64_t RopeReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = u8();
    const std::uint64_t bits = byte & 0x7F;
    if (shift == 63 && bits > 1) break;
    value |= bits << shift;
    if ((byte & 0x80) == 0) return ok_ ? value : 0;
  }
  fail();
  return 0;
}

void RopeReader::chunks(std::size_t byte_count, Chunked& out) {
  if (byte_count > remaining_) return fail();
  while (byte_count > 0) {
    while (at_ == end_ && next_piece()) {
    }
    const ChunkRef* chunk = rope_ != nullptr ? rope_->chunk_of_piece(piece_) : nullptr;
    const bool at_begin = chunk != nullptr && at_ == chunk->data();
    const std::string_view part = some(byte_count);
    const bool fills = part.size() == kChunkBytes || part.size() == byte_count;
    if (at_begin && fills && out.size() % kChunkBytes == 0) {
      out.append_chunk(*chunk, part.size());
    } else {
      out.append(part);
    }
    byte_count -= part.size();
  }
}

}  // namespace holdfast
