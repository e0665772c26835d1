// The stream in which a snapshot goes from one member to another, and from storage to the loop that
// reloads it. It is not the file: members have keys, packing and a log id of their own, so the
// stream holds the plain mutations and each side seals and packs for itself. Version 1.
//
//   stream := head part* end
//   head   := magic[8] version:u16 head_bytes:u16
//             index:u64 term:u64 time:i64 seed:u64 origin:u64 crc:u32
//     magic   "HFSTRM\n\x1a"
//     index, term, time, seed   as in the header of a snapshot file (format.hpp)
//     origin  eight bytes of the salt of the file that the stream was made of
//     crc     CRC-32C of all before it
//   part   := length:u32 crc:u32 fragment:u8 mutations[length]    1 to kFragmentBytesMax of them
//   end    := length:u32 crc:u32 4:u8 parts:u64 records:u64 bytes:u64 crcs:u32
//     crc     CRC-32C of origin, the frame's offset in the stream as u64, length and all behind the
//             crc: a frame of another file, or from another place, is not valid
//     crcs    CRC-32C of the crc of each part, in order
//   fragment: bit 0 first, bit 1 last of a block: what is longer than kFragmentBytesMax is cut. A
//             block is what was given to SnapshotWriter::add at once; no mutation goes across two.
//
// All numbers are little-endian. Of one file it is always the same stream, byte by byte, also after
// a restart: who received a part of it goes on where he stopped. (Of two files of the same index
// and term it is not; `origin` tells.)
//
// Neither class is thread-safe. The decoder only reads the bytes that it is given: it keeps no
// reference to them and does not touch their counts. What it gives out lies in blocks of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/rope.hpp"
#include "base/time.hpp"
#include "replication/log/format.hpp"
#include "replication/log/snapshot_file.hpp"

namespace holdfast::log {

inline constexpr std::uint16_t kStreamVersion = 1;
inline constexpr std::size_t kStreamHeadBytes = 8 + 2 + 2 + 5 * 8 + 4;
inline constexpr std::size_t kStreamFrameBytes = 9;  // of a part or the end, before its body
inline constexpr std::size_t kStreamEndBytes = 28;
static_assert(kStreamEndBytes <= kFragmentBytesMax);

struct SnapshotStreamHead {
  LogIndex index;
  Term term;
  UnixMs time = 0;
  std::uint64_t digest_seed = 0;
  std::uint64_t origin = 0;
};

// What the end says; blocks are counted in parts.
struct SnapshotStreamTotals {
  std::uint64_t parts = 0;
  std::uint64_t records = 0;
  std::uint64_t plain_bytes = 0;
  std::uint32_t crcs = 0;
};

class SnapshotStreamEncoder {
 public:
  // `reader` stands at its beginning.
  explicit SnapshotStreamEncoder(std::unique_ptr<SnapshotReader> reader);
  SnapshotStreamEncoder(const SnapshotStreamEncoder&) = delete;
  SnapshotStreamEncoder& operator=(const SnapshotStreamEncoder&) = delete;

  LogIndex index() const { return reader_->header().index; }
  Term term() const { return reader_->header().term; }
  UnixMs time() const { return reader_->header().time; }
  std::uint64_t offset() const { return offset_; }  // of the next byte
  bool is_at_end() const { return has_ended_ && pieces_.empty(); }
  std::uint64_t file_bytes() const { return reader_->file_bytes(); }
  std::uint64_t file_bytes_read() const { return reader_->offset(); }

  // The next bytes: `bytes_max`, or less at the end. In one block, to be handed over whole. After
  // an error (the file is damaged, or has_failed) it is of no use any more. REQUIRES: bytes_max >
  // 0.
  Result<Rope> read(std::size_t bytes_max);
  // Reads over so many bytes, or to the end.
  Result<void> skip(std::uint64_t bytes);
  // To offset 0. The file is the same, also if it has been removed meanwhile.
  void rewind();
  // After an error: the file could not be read, so that nothing is known about it.
  bool has_failed() const { return reader_->has_failed(); }

 private:
  Result<void> next_frame();
  void put_head();
  void put_frame(std::uint8_t kind, std::size_t length);
  void put_part();
  void put_end();

  std::unique_ptr<SnapshotReader> reader_;
  std::uint64_t offset_ = 0;
  Rope block_;                      // being sent
  std::optional<RopeReader> rest_;  // of it
  bool is_first_part_ = false;
  std::string frame_;                    // head, or the beginning of a frame
  std::deque<std::string_view> pieces_;  // of the current frame, that are not given out yet
  std::vector<std::string_view> body_;   // scratch
  std::uint64_t frames_end_ = 0;         // where the next frame begins
  SnapshotStreamTotals totals_;
  bool has_begun_ = false;
  bool has_ended_ = false;
};

class SnapshotStreamDecoder {
 public:
  // The next bytes of the stream, however they are cut. Takes all of them; blocks that they
  // complete wait for `next`. An error says what is wrong with the stream, and is said again from
  // then on. What is in memory grows with what came, not with what a length promises.
  Result<void> add(const Rope& bytes);
  Result<void> add(std::string_view bytes);
  // A block of mutations, as it was added to the snapshot; nothing: more bytes are needed.
  std::optional<Rope> next();

  // Once it has come.
  const std::optional<SnapshotStreamHead>& head() const { return head_; }
  // The end was read and agrees with all that came: only now is the snapshot known to be whole.
  bool is_complete() const { return is_complete_; }
  // Through the end: of what it says; before: of what came.
  const SnapshotStreamTotals& totals() const { return totals_; }

 private:
  enum class Expects : std::uint8_t { kHead, kFrame, kBody, kNothing };

  void take(std::string_view& bytes);
  bool collect(std::string_view& bytes, std::size_t byte_count);
  void on_head();
  void on_frame();
  void on_body();
  void on_end(std::string_view body);
  void bad(std::string_view why);

  Expects expects_ = Expects::kHead;
  std::string fixed_;  // of a head or a frame's beginning, as far as it came
  std::uint64_t offset_ = 0;
  std::uint64_t frame_offset_ = 0;
  std::uint32_t length_ = 0;
  std::uint32_t crc_ = 0;
  std::uint8_t kind_ = 0;
  BlockRef body_;
  std::size_t body_bytes_ = 0;  // of it that came
  std::vector<Rope::Piece> parts_;
  bool is_collecting_ = false;  // a block of which parts are missing
  std::deque<Rope> blocks_;
  std::optional<SnapshotStreamHead> head_;
  SnapshotStreamTotals totals_;
  bool is_complete_ = false;
  std::string problem_;
};

}  // namespace holdfast::log
