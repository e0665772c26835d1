#include "protocol/wire/codec.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/crc32c.hpp"

namespace holdfast::wire {

namespace {

// Payload pieces from here on come along by reference if they lie in a chunk.
constexpr std::size_t kSharedBytesMin = 4096;

// Appends fields to a rope that is being built.
class Encoder {
 public:
  explicit Encoder(RopeArena& arena) : arena_(arena) {}

  void u8(std::uint8_t value) { arena_.commit(put_u8(arena_.reserve(1), value)); }
  void flag(bool value) { u8(value ? 1 : 0); }
  void u64(std::uint64_t value) { arena_.commit(put_u64(arena_.reserve(8), value)); }
  void i64(std::int64_t value) { arena_.commit(put_i64(arena_.reserve(8), value)); }
  void varint(std::uint64_t value) {
    arena_.commit(put_varint(arena_.reserve(kVarintBytesMax), value));
  }
  template <typename Tag>
  void id(Id<Tag> value) {
    varint(value.value);
  }
  void rope(const Rope& rope) {
    varint(rope.size());
    for (std::size_t i = 0; i < rope.piece_count(); ++i) {
      const std::string_view piece = rope.piece(i);
      const ChunkRef* chunk = rope.chunk_of_piece(i);
      if (chunk != nullptr && piece.size() >= kSharedBytesMin) {
        arena_.append_chunk(*chunk, piece.size());
      } else {
        arena_.append(piece);
      }
    }
  }
  void head(const Entry& entry) {
    id(entry.term);
    id(entry.index);
    i64(entry.time);
    u8(entry.kind);
  }

  void fields(const VoteRequest& m) {
    u8(static_cast<std::uint8_t>(m.kind));
    id(m.for_term);
    id(m.last_index);
    id(m.last_term);
    varint(m.new_generation);
  }
  void fields(const VoteReply& m) {
    u8(static_cast<std::uint8_t>(m.kind));
    id(m.for_term);
    flag(m.granted);
    u8(static_cast<std::uint8_t>(m.reason));
  }
  void fields(const Heartbeat& m) {
    varint(m.round);
    varint(m.lease_us);
    id(m.commit);
    id(m.last_index);
    id(m.acknowledged);
  }
  void fields(const HeartbeatReply& m) {
    varint(m.round);
    id(m.received);
    id(m.persisted);
    u8(static_cast<std::uint8_t>(m.claim));
    flag(m.is_unfit);
  }
  void fields(const AppendEntries& m) {
    HF_CHECK(m.entries.size() <= kEntriesMax);
    id(m.prev_index);
    id(m.prev_term);
    id(m.commit);
    varint(m.entries.size());
    for (const Entry& entry : m.entries) {
      head(entry);
      rope(entry.payload);
    }
  }
  void fields(const AppendFragment& m) {
    id(m.prev_index);
    id(m.prev_term);
    id(m.commit);
    head(m.entry);
    varint(m.total_bytes);
    varint(m.offset);
    rope(m.bytes);
  }
  void fields(const AppendReply& m) {
    flag(m.accepted);
    id(m.received);
    id(m.persisted);
    id(m.hint_index);
    id(m.hint_term);
    varint(m.fragment_bytes);
    u8(static_cast<std::uint8_t>(m.claim));
  }
  void fields(const Busy&) {}
  void fields(const Release& m) { varint(m.round); }
  void fields(const TakeOver& m) {
    id(m.last_index);
    varint(m.round);
  }
  void fields(const StatusRequest& m) { u64(m.nonce); }
  void fields(const StatusReply& m) {
    u64(m.nonce);
    u8(static_cast<std::uint8_t>(m.claim));
    id(m.last_index);
    id(m.last_term);
    varint(m.promise_us_max);
    flag(m.hears_primary);
    flag(m.is_log_partial);
    varint(m.voted_generation);
  }
  void fields(const SnapshotChunk& m) {
    id(m.snapshot.index);
    id(m.snapshot.term);
    i64(m.time);
    varint(m.offset);
    flag(m.is_last);
    rope(m.bytes);
  }
  void fields(const SnapshotReply& m) {
    id(m.snapshot.index);
    id(m.snapshot.term);
    varint(m.received_bytes);
    flag(m.is_installed);
    flag(m.store_failed);
  }

 private:
  RopeArena& arena_;
};

class Decoder {
 public:
  Decoder(const BlockRef& block, std::string_view bytes) : block_(block), in_(bytes) {}

  bool is_whole() const { return in_.ok() && in_.at_end(); }
  std::uint8_t u8() { return in_.u8(); }
  std::uint64_t varint() { return in_.varint(); }

  template <typename T>
  void number(T& value, std::uint8_t max) {
    const std::uint8_t byte = in_.u8();
    if (byte > max) return in_.fail();
    value = static_cast<T>(byte);
  }
  template <typename Tag>
  void id(Id<Tag>& value) {
    value.value = in_.varint();
    // Room to count on from any number that came in.
    if (value.value >> 62 != 0) in_.fail();
  }
  void rope(Rope& value, std::uint64_t bytes_max) {
    const std::uint64_t length = in_.varint();
    if (length > bytes_max || length > in_.remaining()) return in_.fail();
    if (length > 0) value = Rope(block_, in_.bytes(static_cast<std::size_t>(length)));
  }
  void head(Entry& entry) {
    id(entry.term);
    id(entry.index);
    entry.time = in_.i64();
    entry.kind = in_.u8();
  }

  void fields(VoteRequest& m) {
    number(m.kind, 3);
    id(m.for_term);
    id(m.last_index);
    id(m.last_term);
    m.new_generation = in_.varint();
  }
  void fields(VoteReply& m) {
    number(m.kind, 3);
    id(m.for_term);
    number(m.granted, 1);
    number(m.reason, 6);
  }
  void fields(Heartbeat& m) {
    m.round = in_.varint();
    m.lease_us = in_.varint();
    id(m.commit);
    id(m.last_index);
    id(m.acknowledged);
  }
  void fields(HeartbeatReply& m) {
    m.round = in_.varint();
    id(m.received);
    id(m.persisted);
    number(m.claim, 2);
    number(m.is_unfit, 1);
  }
  void fields(AppendEntries& m) {
    id(m.prev_index);
    id(m.prev_term);
    id(m.commit);
    const std::uint64_t count = in_.varint();
    if (count > kEntriesMax) return in_.fail();
    std::uint64_t payload_bytes = 0;
    LogIndex at = m.prev_index;
    for (std::uint64_t i = 0; i < count && in_.ok(); ++i) {
      Entry entry;
      head(entry);
      rope(entry.payload, kPayloadBytesMax - payload_bytes);
      payload_bytes += entry.payload.size();
      if (entry.index.value != ++at.value) return in_.fail();
      m.entries.push_back(std::move(entry));
    }
  }
  void fields(AppendFragment& m) {
    id(m.prev_index);
    id(m.prev_term);
    id(m.commit);
    head(m.entry);
    m.total_bytes = in_.varint();
    m.offset = in_.varint();
    rope(m.bytes, kPayloadBytesMax);
    if (m.entry.index.value != m.prev_index.value + 1 || m.bytes.empty() ||
        m.total_bytes > kEntryBytesMax || m.offset > m.total_bytes ||
        m.bytes.size() > m.total_bytes - m.offset)
      in_.fail();
  }
  void fields(AppendReply& m) {
    number(m.accepted, 1);
    id(m.received);
    id(m.persisted);
    id(m.hint_index);
    id(m.hint_term);
    m.fragment_bytes = in_.varint();
    number(m.claim, 2);
  }
  void fields(Busy&) {}
  void fields(Release& m) { m.round = in_.varint(); }
  void fields(TakeOver& m) {
    id(m.last_index);
    m.round = in_.varint();
  }
  void fields(StatusRequest& m) { m.nonce = in_.u64(); }
  void fields(StatusReply& m) {
    m.nonce = in_.u64();
    number(m.claim, 2);
    id(m.last_index);
    id(m.last_term);
    m.promise_us_max = in_.varint();
    number(m.hears_primary, 1);
    number(m.is_log_partial, 1);
    m.voted_generation = in_.varint();
  }
  void fields(SnapshotChunk& m) {
    id(m.snapshot.index);
    id(m.snapshot.term);
    m.time = in_.i64();
    m.offset = in_.varint();
    number(m.is_last, 1);
    rope(m.bytes, kPayloadBytesMax);
    if (m.offset >> 62 != 0) in_.fail();
  }
  void fields(SnapshotReply& m) {
    id(m.snapshot.index);
    id(m.snapshot.term);
    m.received_bytes = in_.varint();
    number(m.is_installed, 1);
    number(m.store_failed, 1);
  }

 private:
  const BlockRef& block_;
  ByteReader in_;
};

// Makes body number `type`, counted from 0. False: there is none.
template <std::size_t kAt = 0>
bool decode_fields(std::uint8_t type, Decoder& in, Body& body) {
  if constexpr (kAt < std::variant_size_v<Body>) {
    if (type != kAt) return decode_fields<kAt + 1>(type, in, body);
    in.fields(body.emplace<kAt>());
    return true;
  } else {
    return false;
  }
}

}  // namespace

Rope encode_frame(const Message& message, RopeArena& arena) {
  HF_CHECK(arena.empty());
  arena.commit(arena.reserve(kFrameHeadBytes) + kFrameHeadBytes);
  Encoder out(arena);
  out.u8(static_cast<std::uint8_t>(message.body.index() + 1));
  out.id(message.term);
  out.varint(message.generation);
  std::visit([&](const auto& body) { out.fields(body); }, message.body);
  Rope frame = arena.take();
  const std::size_t body_bytes = frame.size() - kFrameHeadBytes;
  HF_CHECK(body_bytes <= kFrameBytesMax);
  char head[kFrameHeadBytes];
  put_u16(put_u32(head, static_cast<std::uint32_t>(body_bytes)), kWireVersion);
  std::uint32_t crc = crc32c({head + 4, 2});
  for (std::size_t i = 0; i < frame.piece_count(); ++i)
    crc = crc32c(frame.piece(i).substr(i == 0 ? kFrameHeadBytes : 0), crc);
  put_u32(head + 6, crc);
  // The head was reserved in one piece, at the beginning of memory that only this rope holds.
  std::memcpy(const_cast<char*>(frame.piece(0).data()), head, kFrameHeadBytes);
  return frame;
}

Result<Message> decode_body(const BlockRef& block, std::string_view bytes) {
  Decoder in(block, bytes);
  Message message;
  const std::uint8_t type = in.u8();
  in.id(message.term);
  message.generation = in.varint();
  if (type == 0 || !decode_fields(static_cast<std::uint8_t>(type - 1), in, message.body))
    return fail(fmt::format("unknown peer message type {}", type));
  if (!in.is_whole()) return fail(fmt::format("malformed peer message of type {}", type));
  return message;
}

std::pair<char*, std::size_t> FrameReader::read_room() {
  constexpr std::size_t kRoomBytesMin = 64 * 1024;
  if (buffer_ && begin_ == end_ && !buffer_.shared()) begin_ = end_ = 0;
  if (!buffer_ || buffer_.capacity() - end_ == 0 || buffer_.capacity() - begin_ < wanted_) {
    // Decoded messages keep the old block; what is not cut yet moves on to the new one.
    BlockRef next = BlockRef::allocate(std::max(wanted_, kRoomBytesMin));
    const std::size_t left = end_ - begin_;
    if (left > 0) std::memcpy(next.data(), buffer_.data() + begin_, left);
    buffer_ = std::move(next);
    begin_ = 0;
    end_ = left;
  }
  return {buffer_.data() + end_, buffer_.capacity() - end_};
}

void FrameReader::commit(std::size_t byte_count) {
  HF_CHECK(byte_count <= buffer_.capacity() - end_);
  end_ += byte_count;
}

Result<bool> FrameReader::parse_head() {
  ByteReader head({buffer_.data() + begin_, kFrameHeadBytes});
  const std::uint32_t length = head.u32();
  const std::uint16_t version = head.u16();
  if (version != kWireVersion)
    return fail(fmt::format("peer frame of version {}, not {}", version, kWireVersion));
  if (length > kFrameBytesMax)
    return fail(fmt::format("peer frame of {} bytes, more than {}", length, kFrameBytesMax));
  wanted_ = kFrameHeadBytes + length;
  return true;
}

Result<bool> FrameReader::next(Message& message) {
  if (failed_) return fail("the link has failed");
  if (end_ - begin_ < kFrameHeadBytes) {
    wanted_ = kFrameHeadBytes;
    return false;
  }
  if (const Result<bool> parsed = parse_head(); !parsed) {
    failed_ = true;
    return parsed;
  }
  if (end_ - begin_ < wanted_) return false;
  const char* const head = buffer_.data() + begin_;
  const std::string_view body(head + kFrameHeadBytes, wanted_ - kFrameHeadBytes);
  begin_ += wanted_;
  wanted_ = kFrameHeadBytes;
  ByteReader crc({head + 6, 4});
  if (crc.u32() != crc32c(body, crc32c({head + 4, 2}))) {
    failed_ = true;
    return fail("peer frame with a bad checksum");
  }
  Result<Message> decoded = decode_body(buffer_, body);
  if (!decoded) {
    failed_ = true;
    return tl::unexpected<Error>(decoded.error());
  }
  message = std::move(*decoded);
  return true;
}

}  // namespace holdfast::wire
