// The bytes of peer messages, and the frames that carry them. Version 1.
//
//   frame    := length:u32 version:u16 crc:u32 body[length]
//     length   of body, at most kFrameBytesMax; crc: CRC-32C of version, body
//   body     := type:u8 term:varint generation:varint fields
//   fields   (type = position in wire::Body, from 1)
//     1 vote request   kind:u8 for_term:varint last_index:varint last_term:varint new_gen:varint
//     2 vote reply     kind:u8 for_term:varint granted:u8 reason:u8
//     3 heartbeat      round:varint lease_us:varint commit:varint last:varint acknowledged:varint
//     4 its reply      round:varint received:varint persisted:varint claim:u8 is_unfit:u8
//     5 append         prev_index:varint prev_term:varint commit:varint count:varint {entry}
//     6 fragment       prev_index:varint prev_term:varint commit:varint head total:varint
//                      offset:varint string
//     7 append reply   accepted:u8 received:varint persisted:varint hint_index:varint
//                      hint_term:varint fragment_bytes:varint claim:u8
//     8 busy           -
//     9 release        round:varint
//    10 take over      last_index:varint round:varint
//    11 status request nonce:u64
//    12 status reply   nonce:u64 claim:u8 last_index:varint last_term:varint promise:varint
//                      hears_primary:u8 is_log_partial:u8 voted_generation:varint
//    13 snapshot chunk index:varint term:varint time:i64 offset:varint is_last:u8 string
//    14 its reply      index:varint term:varint received:varint is_installed:u8
//                      store_failed:u8
//   entry    := head string
//   head     := term:varint index:varint time:i64 kind:u8
//
// Decoding takes any garbage: what is not exactly one message (an unknown type, kind or flag, a
// number beyond its range, bytes left over, entries that do not follow one another, a fragment
// beyond its total) is an error, and the link that brought it is to be closed. Payloads of decoded
// messages share the frame's one block. Little-endian; varint and string as in base/bytes.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "base/rope.hpp"
#include "protocol/wire/message.hpp"

namespace holdfast::wire {

inline constexpr std::uint16_t kWireVersion = 1;
inline constexpr std::size_t kFrameHeadBytes = 10;
// A message carries at most so many payload bytes; a larger entry travels in fragments.
inline constexpr std::size_t kPayloadBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kEntriesMax = 4096;
// Head of an entry plus the length of its payload.
inline constexpr std::size_t kEntryHeadBytesMax = 3 * 10 + 8 + 1;
inline constexpr std::size_t kFrameBytesMax =
    kPayloadBytesMax + kEntriesMax * kEntryHeadBytesMax + 256;
// An entry's payload in fragments: what a peer may make us put together.
inline constexpr std::uint64_t kEntryBytesMax = std::uint64_t{1} << 32;
static_assert(kFrameBytesMax <= std::size_t{2} << 20, "a frame must not hold up heartbeats");

// The whole frame. Large payloads come along by reference to their chunks, the rest is copied.
// REQUIRES: the limits above hold.
Rope encode_frame(const Message& message, RopeArena& arena);

// `bytes` lie in `block`, which payloads then share.
Result<Message> decode_body(const BlockRef& block, std::string_view bytes);

// Cuts a stream of bytes into messages. After an error it stays failed.
class FrameReader {
 public:
  // Where the next bytes are to be read to; never empty. Then `commit` what was read.
  std::pair<char*, std::size_t> read_room();
  void commit(std::size_t byte_count);
  // True: `message` is the next one. False: more bytes are needed. An error: close the link.
  Result<bool> next(Message& message);

 private:
  Result<bool> parse_head();

  BlockRef buffer_;
  std::size_t begin_ = 0;  // of the frame that comes next
  std::size_t end_ = 0;    // of what was read
  std::size_t wanted_ = kFrameHeadBytes;
  bool failed_ = false;
};

}  // namespace holdfast::wire
