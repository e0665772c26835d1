#include "base/chunked.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/check.hpp"

namespace holdfast {

struct ChunkRef::Block {
  std::uint32_t references;
  std::uint32_t unused;
  char bytes[kChunkBytes];
};

ChunkRef ChunkRef::allocate() {
  auto* block = static_cast<Block*>(std::malloc(sizeof(Block)));
  if (block == nullptr) throw std::bad_alloc();
  block->references = 1;
  ChunkRef ref;
  ref.block_ = block;
  return ref;
}

ChunkRef::ChunkRef(const ChunkRef& other) : block_(other.block_) {
  if (block_ != nullptr) ++block_->references;
}

ChunkRef::~ChunkRef() {
  if (block_ != nullptr && --block_->references == 0) std::free(block_);
}

char* ChunkRef::data() {
  return block_->bytes;
}
const char* ChunkRef::data() const {
  return block_->bytes;
}
bool ChunkRef::shared() const {
  return block_->references > 1;
}

std::string_view Chunked::chunk(std::size_t index) const {
  const std::size_t begin = index * kChunkBytes;
  return {chunks_[index].data(), std::min(kChunkBytes, size_ - begin)};
}

char* Chunked::writable_chunk(std::size_t index) {
  ChunkRef& ref = chunks_[index];
  if (ref.shared()) {
    ChunkRef copy = ChunkRef::allocate();
    const std::string_view old = chunk(index);
    std::memcpy(copy.data(), old.data(), old.size());
    ref = std::move(copy);
  }
  return ref.data();
}

std::pair<char*, std::size_t> Chunked::tail() {
  const std::size_t used = size_ % kChunkBytes;
  if (size_ == chunks_.size() * kChunkBytes) {
    chunks_.push_back(ChunkRef::allocate());
    return {chunks_.back().data(), kChunkBytes};
  }
  return {writable_chunk(chunks_.size() - 1) + used, kChunkBytes - used};
}

void Chunked::commit_tail(std::size_t byte_count) {
  size_ += byte_count;
  HF_CHECK(size_ <= chunks_.size() * kChunkBytes);
  if (byte_count == 0 && size_ + kChunkBytes == chunks_.size() * kChunkBytes) chunks_.pop_back();
}

void Chunked::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto [room, room_bytes] = tail();
    const std::size_t count = std::min(room_bytes, bytes.size());
    std::memcpy(room, bytes.data(), count);
    commit_tail(count);
    bytes.remove_prefix(count);
  }
}

void Chunked::append_chunk(ChunkRef chunk, std::size_t byte_count) {
  HF_CHECK(size_ == chunks_.size() * kChunkBytes && byte_count > 0 && byte_count <= kChunkBytes);
  chunks_.push_back(std::move(chunk));
  size_ += byte_count;
}

void Chunked::resize_zero_filled(std::size_t size) {
  HF_CHECK(size >= size_);
  while (size_ < size) {
    const auto [room, room_bytes] = tail();
    const std::size_t count = std::min(room_bytes, size - size_);
    std::memset(room, 0, count);
    commit_tail(count);
  }
}

void Chunked::overwrite(std::size_t offset, std::string_view bytes) {
  if (offset > size_) resize_zero_filled(offset);
  while (!bytes.empty() && offset < size_) {
    const std::size_t index = offset / kChunkBytes;
    const std::size_t within = offset % kChunkBytes;
    const std::size_t count = std::min(chunk(index).size() - within, bytes.size());
    std::memcpy(writable_chunk(index) + within, bytes.data(), count);
    offset += count;
    bytes.remove_prefix(count);
  }
  append(bytes);
}

void Chunked::copy_out(std::size_t offset, std::size_t length, char* to) const {
  HF_CHECK(offset <= size_ && length <= size_ - offset);
  while (length > 0) {
    const std::string_view part = chunk(offset / kChunkBytes).substr(offset % kChunkBytes, length);
    std::memcpy(to, part.data(), part.size());
    to += part.size();
    offset += part.size();
    length -= part.size();
  }
}

std::string Chunked::str() const {
  std::string whole(size_, '\0');
  copy_out(0, size_, whole.data());
  return whole;
}

bool Chunked::equals(std::string_view bytes) const {
  if (bytes.size() != size_) return false;
  for (std::size_t index = 0; index < chunks_.size(); ++index) {
    const std::string_view part = chunk(index);
    if (std::memcmp(part.data(), bytes.data() + index * kChunkBytes, part.size()) != 0)
      return false;
  }
  return true;
}

bool Chunked::drop_chunks(std::size_t count) {
  while (count-- > 0 && !chunks_.empty()) {
    chunks_.pop_back();
    size_ = std::min(size_, chunks_.size() * kChunkBytes);
  }
  return chunks_.empty();
}

}  // namespace holdfast
