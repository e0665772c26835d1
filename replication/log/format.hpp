// The files of the log, stated once. Version 1.
//
//   segment  := header record*       records are entries and marks          log-<sequence>.hfl
//   snapshot := header record*       records are blocks, then one trailer   snapshot-<index>.hfs
//
//   header   := magic[8] version:u16 header_bytes:u16 flags:u32 log_id[16]
//               number:u64 index:u64 term:u64 time:i64 seed:u64
//               mode:u8 cipher:u8 reserved[6] key_id[8] salt[32] crc:u32
//     crc    CRC-32C of all before it
//                      segment                                  snapshot
//     magic            "HFLOG\r\n\x1a"                          "HFSNAP\n\x1a"
//     flags            bit 0: follows a snapshot, older         0
//                      segments are void
//                      bit 1: and all snapshots but that one
//     number           sequence number of the segment           0
//     index            of its first entry                       that it holds the data of
//     term             of the entry before the first            of the entry at index
//     time             of the entry before the first            of the entry at index
//     seed             0                                        of the digest of the data, 0 if
//     none mode             fsync mode it is written with            packing: 0 plain, 1 zstd
//     cipher           0 none, 1 AES-256-GCM
//
//   record   := length:u32 crc:u32 type:u8 body[length]
//     crc    CRC-32C of salt, the record's offset in the file as u64, length, type, body: a record
//            that lies in another place or file than where it was written is not valid
//     body   with a cipher: the plain body sealed, then a tag of 16 bytes. The key is
//            HKDF-SHA-256(master key, salt, info = header without its crc), the nonce 0:u32
//            offset:u64, the associated data length and type
//
//   entry    (type 1) := fragment:u8 kind:u8 term:u64 index:u64 time:i64 payload
//   mark     (type 2) := offset:u64 index:u64
//     all bytes of this file before offset were synced, and with them the entries through index
//   block    (type 3) := fragment:u8 packing:u8 plain_length:u32 content
//     content: mutations one after the other, packed as said; opaque here
//   trailer  (type 4) := blocks:u64 records:u64 plain_bytes:u64 crcs:u32
//     crcs   CRC-32C of the crc of each block's record, in order
//
//   fragment: bit 0 first, bit 1 last. What is longer than kFragmentBytesMax is cut; the parts
//   follow one another (with marks between), each with the same kind, term, index and time.
//
// All numbers are little-endian. An unknown version, flag, mode, cipher, type or kind is refused.
//
// What holds between the files:
//   - A file is written from front to end in one life of the process and never appended to later:
//     after a restart, a truncation or a failed write a new segment begins. No nonce is used twice.
//   - Segments follow by sequence number. A segment that begins at index i voids all entries from i
//     on in the segments before it; one that follows a snapshot voids all of them. So truncation
//     and the repair of a torn tail are one act: the creation of the next file. A segment that
//     voids one that followed a snapshot follows it, too: files are removed in any order.
//   - Before a segment's header is written, all entries before its first index are synced: the
//     header vouches for them like a mark.
//   - Bit 1 is set while a snapshot is installed that older than others of the folder is, or none
//   at
//     all (index 0): it counts as long as the segment is the last one. The next one begins, without
//     it, once the void snapshots are gone.
//   - A segment is written under another name (.tmp), with its header and the entries that it takes
//     over from a former one, and renamed when these are synced. A snapshot likewise, when it is
//     complete. So a file under its own name has a whole header, or is damaged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace holdfast::log {

inline constexpr std::uint16_t kFormatVersion = 1;
inline constexpr std::size_t kSaltBytes = 32;
inline constexpr std::size_t kLogIdBytes = 16;
inline constexpr std::size_t kKeyIdBytes = 8;
inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kHeaderBytes =
    8 + 2 + 2 + 4 + kLogIdBytes + 5 * 8 + 2 + 6 + kKeyIdBytes + kSaltBytes + 4;

inline constexpr std::size_t kFrameBytes = 9;  // of a record before its body
inline constexpr std::size_t kEntryHeadBytes = 26;
inline constexpr std::size_t kMarkBytes = 16;
inline constexpr std::size_t kBlockHeadBytes = 6;
inline constexpr std::size_t kTrailerBytes = 28;
inline constexpr std::size_t kFragmentBytesMax = 1 << 20;
inline constexpr std::size_t kBodyBytesMax = kFragmentBytesMax + 64 + kTagBytes;
static_assert(kEntryHeadBytes <= 64 && kBlockHeadBytes <= 64 && kTrailerBytes <= 64);

// Names one history of the log: members that share entries share it.
using LogId = std::array<std::uint8_t, kLogIdBytes>;
using Salt = std::array<std::uint8_t, kSaltBytes>;
using KeyId = std::array<std::uint8_t, kKeyIdBytes>;

// The numbers are part of the format.
enum class FsyncMode : std::uint8_t { kNo = 0, kEverySecond = 1, kAlways = 2 };
enum class Packing : std::uint8_t { kPlain = 0, kZstd = 1 };
enum class FileKind : std::uint8_t { kSegment, kSnapshot };
enum class RecordType : std::uint8_t { kEntry = 1, kMark = 2, kBlock = 3, kTrailer = 4 };

inline constexpr std::uint8_t kFirstFragment = 1;
inline constexpr std::uint8_t kLastFragment = 2;
inline constexpr std::uint8_t kWhole = kFirstFragment | kLastFragment;

struct FileHeader {
  FileKind kind = FileKind::kSegment;
  bool follows_snapshot = false;  // segments
  bool voids_snapshots = false;   // segments that follow a snapshot
  LogId log_id{};
  std::uint64_t sequence = 0;  // segments
  LogIndex index;              // segments: of the first entry; snapshots: what they hold
  Term term;                   // segments: of the entry before the first; 0 if there is none
  UnixMs time = 0;
  std::uint64_t digest_seed = 0;                   // snapshots
  FsyncMode fsync_mode = FsyncMode::kEverySecond;  // segments
  Packing packing = Packing::kPlain;               // snapshots
  bool encrypted = false;
  KeyId key_id{};
  Salt salt{};
};

// kHeaderBytes of them.
std::string encode(const FileHeader& header);
enum class HeaderState : std::uint8_t {
  kGood,
  kForeign,  // of a format that this program does not know
  kDamaged,
};
// `bytes` is the beginning of a file. `problem` says what is wrong, not where.
HeaderState decode_header(std::string_view bytes, FileKind expected, FileHeader& header,
                          std::string& problem);

// Names in the data folder; they sort as their numbers. `parse_` gives false for a foreign name.
std::string segment_name(std::uint64_t sequence);
std::string snapshot_name(LogIndex index);
bool parse_segment_name(std::string_view name, std::uint64_t& sequence);
bool parse_snapshot_name(std::string_view name, LogIndex& index);
inline constexpr std::string_view kTemporarySuffix = ".tmp";
// A snapshot that comes from a peer, until it is installed: always with the suffix.
inline constexpr std::string_view kIncomingName = "incoming.hfs";

std::string to_hex(const std::uint8_t* bytes, std::size_t count);
std::string_view name_of(FsyncMode mode);

}  // namespace holdfast::log
