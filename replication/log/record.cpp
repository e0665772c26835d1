#include "replication/log/record.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/crc32c.hpp"

namespace holdfast::log {

namespace {

// Longer parts are cheaper to write from where they lie than to copy.
constexpr std::size_t kCopiedBytesMax = 16 * 1024;
constexpr std::size_t kReadBytes = 1 << 20;
// A batch that grew beyond this gives its memory back.
constexpr std::size_t kKeptBytesMax = 4 << 20;

std::string_view view_of(const Salt& salt) {
  return {reinterpret_cast<const char*>(salt.data()), salt.size()};
}

bool is_record_type(std::uint8_t number) {
  return number >= static_cast<std::uint8_t>(RecordType::kEntry) &&
         number <= static_cast<std::uint8_t>(RecordType::kTrailer);
}

// Length and type as they are checked and authenticated.
struct LengthAndType {
  LengthAndType(std::size_t length, std::uint8_t type) {
    put_u8(put_u32(bytes, static_cast<std::uint32_t>(length)), type);
  }
  operator std::string_view() const { return {bytes, sizeof bytes}; }
  char bytes[5];
};

}  // namespace

FileSeal::FileSeal(const FileHeader& header, const MasterKey* master)
    : salt_crc_(crc32c(view_of(header.salt))) {
  HF_CHECK(header.encrypted == (master != nullptr));
  if (master == nullptr) return;
  const std::string bytes = encode(header);
  cipher_ = std::make_unique<FileCipher>(*master, header.salt,
                                         std::string_view(bytes).substr(0, bytes.size() - 4));
}

std::uint32_t FileSeal::crc(std::uint64_t offset, std::string_view length_and_type) const {
  char place[8 + 5];
  HF_CHECK(length_and_type.size() == 5);
  std::memcpy(put_u64(place, offset), length_and_type.data(), 5);
  return crc32c({place, sizeof place}, salt_crc_);
}

void RecordBatch::begin(const FileSeal& seal, std::uint64_t offset) {
  seal_ = &seal;
  begin_offset_ = offset;
  end_offset_ = offset;
  used_ = 0;
  parts_.clear();
  if (buffer_.size() > kKeptBytesMax) buffer_ = {};
}

char* RecordBatch::room(std::size_t byte_count) {
  if (buffer_.size() - used_ < byte_count)
    buffer_.resize(std::max(buffer_.size() * 2, used_ + byte_count));
  return buffer_.data() + used_;
}

void RecordBatch::own(std::size_t byte_count) {
  if (!parts_.empty() && parts_.back().foreign == nullptr) {
    parts_.back().size += byte_count;
  } else {
    parts_.push_back({nullptr, used_, byte_count});
  }
  used_ += byte_count;
}

std::uint32_t RecordBatch::add(RecordType type, std::string_view head,
                               std::span<const std::string_view> parts) {
  FileCipher* const cipher = seal_->cipher();
  std::size_t plain_bytes = head.size();
  for (const std::string_view part : parts) plain_bytes += part.size();
  const std::size_t body_bytes = plain_bytes + (cipher != nullptr ? kTagBytes : 0);
  HF_CHECK(plain_bytes > 0 && body_bytes <= kBodyBytesMax);
  const LengthAndType associated(body_bytes, static_cast<std::uint8_t>(type));
  std::uint32_t crc = seal_->crc(end_offset_, associated);

  const bool is_copied = cipher != nullptr || plain_bytes <= kCopiedBytesMax;
  const std::size_t frame_at = used_;
  char* to = room(kFrameBytes + (is_copied ? body_bytes : head.size())) + kFrameBytes;
  char* const body = to;
  to = put_bytes(to, head);
  if (is_copied) {
    for (const std::string_view part : parts) to = put_bytes(to, part);
    if (cipher != nullptr) cipher->seal(end_offset_, associated, {body, plain_bytes}, body);
    crc = crc32c({body, body_bytes}, crc);
    own(kFrameBytes + body_bytes);
  } else {
    crc = crc32c(head, crc);
    own(kFrameBytes + head.size());
    for (const std::string_view part : parts) {
      if (part.empty()) continue;
      crc = crc32c(part, crc);
      parts_.push_back({part.data(), 0, part.size()});
    }
  }
  char* frame = buffer_.data() + frame_at;
  frame = put_u32(frame, static_cast<std::uint32_t>(body_bytes));
  frame = put_u32(frame, crc);
  put_u8(frame, static_cast<std::uint8_t>(type));
  end_offset_ += kFrameBytes + body_bytes;
  return crc;
}

std::span<const std::string_view> RecordBatch::pieces() {
  pieces_.clear();
  for (const Part& part : parts_) {
    const char* data = part.foreign != nullptr ? part.foreign : buffer_.data() + part.begin;
    pieces_.emplace_back(data, part.size);
  }
  return pieces_;
}

const char* RecordReader::fill(std::uint64_t offset, std::size_t byte_count) {
  HF_CHECK(offset + byte_count <= file_bytes_);
  if (offset >= block_offset_ && offset + byte_count <= block_offset_ + block_filled_)
    return block_.data() + (offset - block_offset_);
  // What of the old block is still wanted moves to the front of the new one.
  std::string_view kept;
  if (offset >= block_offset_ && offset < block_offset_ + block_filled_)
    kept = {block_.data() + (offset - block_offset_),
            static_cast<std::size_t>(block_offset_ + block_filled_ - offset)};
  const std::uint64_t rest = file_bytes_ - offset;
  const auto wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(rest, std::max(byte_count, kReadBytes)));
  if (block_ && !block_.shared() && block_.capacity() >= wanted) {
    if (!kept.empty()) std::memmove(block_.data(), kept.data(), kept.size());
  } else {
    BlockRef block = BlockRef::allocate(wanted);
    put_bytes(block.data(), kept);
    block_ = std::move(block);
  }
  block_offset_ = offset;
  block_filled_ = kept.size();
  while (block_filled_ < wanted) {
    auto count = file_.read_at(offset + block_filled_,
                               {block_.data() + block_filled_, wanted - block_filled_});
    if (!count) {
      failure_ = count.error().text();
      return nullptr;
    }
    if (*count == 0) {
      failure_ = fmt::format("read {}: the file became shorter", file_.path());
      return nullptr;
    }
    block_filled_ += *count;
  }
  return block_.data();
}

ReadStatus RecordReader::read_at(std::uint64_t offset, Record& record) {
  const std::uint64_t rest = file_bytes_ - offset;
  if (rest == 0) return ReadStatus::kEnd;
  if (rest < kFrameBytes) return ReadStatus::kCut;
  const char* frame = fill(offset, kFrameBytes);
  if (frame == nullptr) return ReadStatus::kFailed;
  ByteReader reader({frame, kFrameBytes});
  const std::uint32_t length = reader.u32();
  const std::uint32_t crc = reader.u32();
  const std::uint8_t type = reader.u8();
  const std::size_t length_min = 1 + (seal_.cipher() != nullptr ? kTagBytes : 0);
  if (length < length_min || length > kBodyBytesMax) return damaged("no record has such a length");
  if (!is_record_type(type)) return damaged("a record of unknown type");
  if (length > rest - kFrameBytes) return ReadStatus::kCut;
  frame = fill(offset, kFrameBytes + length);
  if (frame == nullptr) return ReadStatus::kFailed;
  const std::string_view body(frame + kFrameBytes, length);
  const LengthAndType associated(length, type);
  if (crc32c(body, seal_.crc(offset, associated)) != crc)
    return damaged("a record's checksum is wrong");

  record.type = static_cast<RecordType>(type);
  record.offset = offset;
  record.end_offset = offset + kFrameBytes + length;
  record.crc = crc;
  if (seal_.cipher() == nullptr) {
    record.body = body;
    record.block = block_;
    return ReadStatus::kRecord;
  }
  const std::size_t plain_bytes = length - kTagBytes;
  if (!record.block || record.block.shared() || record.block.capacity() < plain_bytes ||
      record.block.data() == block_.data())
    record.block = BlockRef::allocate(plain_bytes);
  if (!seal_.cipher()->open(offset, associated, body, record.block.data())) {
    problem_ = "a record was not written with this key, or was changed on purpose";
    return ReadStatus::kForged;
  }
  record.body = {record.block.data(), plain_bytes};
  return ReadStatus::kRecord;
}

ReadStatus RecordReader::next(Record& record) {
  record.body = {};
  if (seal_.cipher() == nullptr) record.block = {};  // else fill() would have to allocate
  const ReadStatus status = read_at(offset_, record);
  if (status == ReadStatus::kRecord) offset_ = record.end_offset;
  return status;
}

ReadStatus RecordReader::find(std::uint64_t from, Wanted wanted, Record& record) {
  const std::size_t mark_bytes = kMarkBytes + (seal_.cipher() != nullptr ? kTagBytes : 0);
  const LengthAndType mark(mark_bytes, static_cast<std::uint8_t>(RecordType::kMark));
  for (std::uint64_t offset = from; offset < file_bytes_; ++offset) {
    if (wanted == Wanted::kMarks) {
      if (file_bytes_ - offset < kFrameBytes + mark_bytes) break;
      const char* frame = fill(offset, kFrameBytes);
      if (frame == nullptr) return ReadStatus::kFailed;
      if (std::memcmp(frame, mark.bytes, 4) != 0 || frame[kFrameBytes - 1] != mark.bytes[4])
        continue;
    }
    const ReadStatus status = read_at(offset, record);
    if (status == ReadStatus::kRecord || status == ReadStatus::kFailed ||
        status == ReadStatus::kForged)
      return status;
  }
  return ReadStatus::kEnd;
}

void RecordReader::release() {
  if (!block_ || !block_.shared()) return;
  const std::uint64_t end = block_offset_ + block_filled_;
  const auto rest = static_cast<std::size_t>(end - std::min(end, std::max(offset_, block_offset_)));
  const auto wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(file_bytes_ - (end - rest), kReadBytes));
  BlockRef block = BlockRef::allocate(std::max(rest, wanted));
  put_bytes(block.data(), {block_.data() + (block_filled_ - rest), rest});
  block_ = std::move(block);
  block_offset_ = end - rest;
  block_filled_ = rest;
}

}  // namespace holdfast::log
