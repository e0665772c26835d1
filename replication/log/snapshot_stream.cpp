#include "replication/log/snapshot_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/crc32c.hpp"

namespace holdfast::log {

namespace {

constexpr std::string_view kStreamMagic("HFSTRM\n\x1a", 8);
constexpr std::uint8_t kEnd = 4;  // kinds below it are fragments
static_assert(kWhole < kEnd);

std::uint32_t begin_crc(std::uint64_t origin, std::uint64_t offset, std::uint32_t length,
                        std::uint8_t kind) {
  char bytes[8 + 8 + 4 + 1];
  char* to = put_u64(bytes, origin);
  to = put_u64(to, offset);
  to = put_u32(to, length);
  put_u8(to, kind);
  return crc32c({bytes, sizeof bytes});
}

std::uint32_t with_crc(std::uint32_t crcs, std::uint32_t crc) {
  char bytes[4];
  put_u32(bytes, crc);
  return crc32c({bytes, sizeof bytes}, crcs);
}

std::uint64_t origin_of(const Salt& salt) {
  std::uint64_t origin = 0;
  std::memcpy(&origin, salt.data(), sizeof origin);
  return origin;
}

}  // namespace

// --- encoder

SnapshotStreamEncoder::SnapshotStreamEncoder(std::unique_ptr<SnapshotReader> reader)
    : reader_(std::move(reader)) {
  HF_CHECK(reader_ != nullptr);
}

void SnapshotStreamEncoder::rewind() {
  reader_->restart();
  offset_ = frames_end_ = 0;
  rest_.reset();
  block_ = {};
  frame_.clear();
  pieces_.clear();
  totals_ = {};
  has_begun_ = has_ended_ = false;
}

void SnapshotStreamEncoder::put_head() {
  const FileHeader& header = reader_->header();
  ByteWriter writer;
  writer.bytes(kStreamMagic);
  writer.u16(kStreamVersion);
  writer.u16(static_cast<std::uint16_t>(kStreamHeadBytes));
  writer.u64(header.index.value);
  writer.u64(header.term.value);
  writer.i64(header.time);
  writer.u64(header.digest_seed);
  writer.u64(origin_of(header.salt));
  writer.u32(crc32c(writer.str()));
  HF_CHECK(writer.str().size() == kStreamHeadBytes);
  frame_ = writer.take();
  pieces_.push_back(frame_);
  frames_end_ = frame_.size();
}

// A frame of what is in body_.
void SnapshotStreamEncoder::put_frame(std::uint8_t kind, std::size_t length) {
  const auto length32 = static_cast<std::uint32_t>(length);
  std::uint32_t crc = begin_crc(origin_of(reader_->header().salt), frames_end_, length32, kind);
  for (const std::string_view piece : body_) crc = crc32c(piece, crc);
  if (kind != kEnd) totals_.crcs = with_crc(totals_.crcs, crc);
  char head[kStreamFrameBytes];
  char* to = put_u32(head, length32);
  to = put_u32(to, crc);
  put_u8(to, kind);
  frame_.insert(0, head, sizeof head);  // before the end's totals
  frames_end_ += kStreamFrameBytes + length;
}

void SnapshotStreamEncoder::put_part() {
  body_.clear();
  frame_.clear();
  std::size_t length = 0;
  while (length < kFragmentBytesMax && rest_->remaining() > 0) {
    body_.push_back(rest_->some(kFragmentBytesMax - length));
    length += body_.back().size();
  }
  std::uint8_t fragment = is_first_part_ ? kFirstFragment : 0;
  if (rest_->remaining() == 0) fragment |= kLastFragment;
  is_first_part_ = false;
  ++totals_.parts;
  totals_.plain_bytes += length;
  put_frame(fragment, length);
  pieces_.push_back(frame_);
  pieces_.insert(pieces_.end(), body_.begin(), body_.end());
}

void SnapshotStreamEncoder::put_end() {
  totals_.records = reader_->totals().records;
  ByteWriter writer;
  writer.u64(totals_.parts);
  writer.u64(totals_.records);
  writer.u64(totals_.plain_bytes);
  writer.u32(totals_.crcs);
  HF_CHECK(writer.str().size() == kStreamEndBytes);
  const std::string body = writer.take();
  body_.assign(1, body);
  frame_ = body;
  put_frame(kEnd, body.size());
  body_.clear();
  pieces_.push_back(frame_);
  has_ended_ = true;
}

Result<void> SnapshotStreamEncoder::next_frame() {
  if (!has_begun_) {
    put_head();
    has_begun_ = true;
    return {};
  }
  if (!rest_ || rest_->remaining() == 0) {
    rest_.reset();
    auto is_block = reader_->next(block_);
    if (!is_block) return tl::unexpected(std::move(is_block.error()));
    if (!*is_block) {
      put_end();
      return {};
    }
    rest_.emplace(block_);
    is_first_part_ = true;
  }
  put_part();
  return {};
}

Result<Rope> SnapshotStreamEncoder::read(std::size_t bytes_max) {
  HF_CHECK(bytes_max > 0);
  const BlockRef block = BlockRef::allocate(bytes_max);
  std::size_t count = 0;
  while (count < bytes_max && !is_at_end()) {
    if (pieces_.empty()) {
      auto done = next_frame();
      if (!done) return tl::unexpected(std::move(done.error()));
    }
    std::string_view& piece = pieces_.front();
    const std::size_t some = std::min(piece.size(), bytes_max - count);
    std::memcpy(block.data() + count, piece.data(), some);
    count += some;
    piece.remove_prefix(some);
    if (piece.empty()) pieces_.pop_front();
  }
  offset_ += count;
  return Rope(block, {block.data(), count});
}

Result<void> SnapshotStreamEncoder::skip(std::uint64_t bytes) {
  while (bytes > 0 && !is_at_end()) {
    if (pieces_.empty()) {
      auto done = next_frame();
      if (!done) return done;
    }
    std::string_view& piece = pieces_.front();
    const std::size_t some = static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), bytes));
    bytes -= some;
    offset_ += some;
    piece.remove_prefix(some);
    if (piece.empty()) pieces_.pop_front();
  }
  return {};
}

// --- decoder

void SnapshotStreamDecoder::bad(std::string_view why) {
  problem_ = fmt::format("the snapshot's stream at offset {}: {}", frame_offset_, why);
  expects_ = Expects::kNothing;
  is_complete_ = false;
}

Result<void> SnapshotStreamDecoder::add(const Rope& bytes) {
  for (std::size_t i = 0; i < bytes.piece_count(); ++i) {
    auto done = add(bytes.piece(i));
    if (!done) return done;
  }
  if (!problem_.empty()) return fail(problem_);
  return {};
}

Result<void> SnapshotStreamDecoder::add(std::string_view bytes) {
  while (!bytes.empty() && problem_.empty()) take(bytes);
  if (!problem_.empty()) return fail(problem_);
  return {};
}

std::optional<Rope> SnapshotStreamDecoder::next() {
  if (blocks_.empty()) return std::nullopt;
  Rope block = std::move(blocks_.front());
  blocks_.pop_front();
  return block;
}

void SnapshotStreamDecoder::take(std::string_view& bytes) {
  switch (expects_) {
    case Expects::kHead:
      if (collect(bytes, kStreamHeadBytes)) on_head();
      return;
    case Expects::kFrame:
      if (collect(bytes, kStreamFrameBytes)) on_frame();
      return;
    case Expects::kBody: {
      const std::size_t some = std::min<std::size_t>(bytes.size(), length_ - body_bytes_);
      std::memcpy(body_.data() + body_bytes_, bytes.data(), some);
      bytes.remove_prefix(some);
      body_bytes_ += some;
      offset_ += some;
      if (body_bytes_ == length_) on_body();
      return;
    }
    case Expects::kNothing:
      frame_offset_ = offset_;
      return bad("something follows the end");
  }
}

bool SnapshotStreamDecoder::collect(std::string_view& bytes, std::size_t byte_count) {
  if (fixed_.empty()) frame_offset_ = offset_;
  const std::size_t some = std::min(bytes.size(), byte_count - fixed_.size());
  fixed_.append(bytes.substr(0, some));
  bytes.remove_prefix(some);
  offset_ += some;
  return fixed_.size() == byte_count;
}

void SnapshotStreamDecoder::on_head() {
  ByteReader reader(fixed_);
  if (reader.bytes(kStreamMagic.size()) != kStreamMagic) return bad("is no snapshot of Holdfast");
  const unsigned version = reader.u16();
  if (version != kStreamVersion) {
    return bad(
        fmt::format("is of version {}; this program reads version {}: let the members run "
                    "versions of Holdfast that know each other's",
                    version, kStreamVersion));
  }
  const unsigned head_bytes = reader.u16();
  SnapshotStreamHead head;
  head.index = LogIndex{reader.u64()};
  head.term = Term{reader.u64()};
  head.time = reader.i64();
  head.digest_seed = reader.u64();
  head.origin = reader.u64();
  const std::uint32_t crc = reader.u32();
  if (head_bytes != kStreamHeadBytes ||
      crc != crc32c(std::string_view(fixed_).substr(0, kStreamHeadBytes - sizeof(std::uint32_t))))
    return bad("the head's checksum is wrong");
  if (head.index.value == 0) return bad("the head names no entry");
  head_ = head;
  fixed_.clear();
  expects_ = Expects::kFrame;
}

void SnapshotStreamDecoder::on_frame() {
  ByteReader reader(fixed_);
  length_ = reader.u32();
  crc_ = reader.u32();
  kind_ = reader.u8();
  fixed_.clear();
  if (kind_ > kEnd || length_ == 0 || length_ > kFragmentBytesMax ||
      (kind_ == kEnd && length_ != kStreamEndBytes))
    return bad("a frame that cannot be");
  const bool is_first = (kind_ & kFirstFragment) != 0;
  if (kind_ != kEnd && is_first == is_collecting_)
    return bad("a part of a block that is not where it belongs");
  body_ = BlockRef::allocate(length_);
  body_bytes_ = 0;
  expects_ = Expects::kBody;
}

void SnapshotStreamDecoder::on_body() {
  const std::string_view body(body_.data(), length_);
  if (crc32c(body, begin_crc(head_->origin, frame_offset_, length_, kind_)) != crc_)
    return bad("the checksum is wrong");
  expects_ = Expects::kFrame;
  if (kind_ == kEnd) return on_end(body);
  ++totals_.parts;
  totals_.plain_bytes += length_;
  totals_.crcs = with_crc(totals_.crcs, crc_);
  parts_.push_back({body, std::move(body_), {}});
  body_ = {};
  is_collecting_ = (kind_ & kLastFragment) == 0;
  if (is_collecting_) return;
  if (parts_.size() == 1) {
    blocks_.emplace_back(std::move(parts_.front().block), parts_.front().bytes);
  } else {
    blocks_.emplace_back(std::move(parts_));
  }
  parts_ = {};
}

void SnapshotStreamDecoder::on_end(std::string_view body) {
  ByteReader reader(body);
  const std::uint64_t parts = reader.u64();
  totals_.records = reader.u64();
  const std::uint64_t plain_bytes = reader.u64();
  const std::uint32_t crcs = reader.u32();
  if (is_collecting_ || parts != totals_.parts || plain_bytes != totals_.plain_bytes ||
      crcs != totals_.crcs)
    return bad("the end does not agree with what came before it");
  body_ = {};
  is_complete_ = true;
  expects_ = Expects::kNothing;
}

}  // namespace holdfast::log
