#include "replication/log/format.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/crc32c.hpp"

namespace holdfast::log {

namespace {

constexpr std::string_view kSegmentMagic("HFLOG\r\n\x1a", 8);
constexpr std::string_view kSnapshotMagic("HFSNAP\n\x1a", 8);
constexpr std::string_view kReserved("\0\0\0\0\0\0", 6);
constexpr std::uint32_t kFollowsSnapshot = 1;
constexpr std::uint32_t kVoidsSnapshots = 2;
constexpr std::string_view kSegmentPrefix = "log-";
constexpr std::string_view kSegmentSuffix = ".hfl";
constexpr std::string_view kSnapshotPrefix = "snapshot-";
constexpr std::string_view kSnapshotSuffix = ".hfs";
constexpr std::size_t kNumberDigits = 20;

template <std::size_t N>
std::string_view view_of(const std::array<std::uint8_t, N>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), N};
}

template <std::size_t N>
void take(ByteReader& reader, std::array<std::uint8_t, N>& into) {
  const std::string_view bytes = reader.bytes(N);
  if (bytes.size() == N) std::memcpy(into.data(), bytes.data(), N);
}

bool parse_name(std::string_view name, std::string_view prefix, std::string_view suffix,
                std::uint64_t& number) {
  if (name.size() != prefix.size() + kNumberDigits + suffix.size()) return false;
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return false;
  const char* begin = name.data() + prefix.size();
  const auto [end, error] = std::from_chars(begin, begin + kNumberDigits, number);
  return error == std::errc{} && end == begin + kNumberDigits;
}

}  // namespace

std::string encode(const FileHeader& header) {
  const bool is_segment = header.kind == FileKind::kSegment;
  ByteWriter writer;
  writer.bytes(is_segment ? kSegmentMagic : kSnapshotMagic);
  writer.u16(kFormatVersion);
  writer.u16(static_cast<std::uint16_t>(kHeaderBytes));
  HF_CHECK(header.follows_snapshot || !header.voids_snapshots);
  writer.u32((header.follows_snapshot ? kFollowsSnapshot : 0) |
             (header.voids_snapshots ? kVoidsSnapshots : 0));
  writer.bytes(view_of(header.log_id));
  writer.u64(header.sequence);
  writer.u64(header.index.value);
  writer.u64(header.term.value);
  writer.i64(header.time);
  writer.u64(header.digest_seed);
  writer.u8(is_segment ? static_cast<std::uint8_t>(header.fsync_mode)
                       : static_cast<std::uint8_t>(header.packing));
  writer.u8(header.encrypted ? 1 : 0);
  writer.bytes(kReserved);
  writer.bytes(view_of(header.key_id));
  writer.bytes(view_of(header.salt));
  writer.u32(crc32c(writer.str()));
  HF_CHECK(writer.str().size() == kHeaderBytes);
  return writer.take();
}

HeaderState decode_header(std::string_view bytes, FileKind expected, FileHeader& header,
                          std::string& problem) {
  const bool is_segment = expected == FileKind::kSegment;
  const char* const what = is_segment ? "log segment" : "snapshot";
  const auto damaged = [&](std::string why) {
    problem = std::move(why);
    return HeaderState::kDamaged;
  };
  ByteReader reader(bytes);
  if (reader.bytes(8) != (is_segment ? kSegmentMagic : kSnapshotMagic))
    return damaged(fmt::format("is no {} of Holdfast", what));
  const unsigned version = reader.u16();
  const unsigned header_bytes = reader.u16();
  if (!reader.ok()) return damaged("the header is cut off");
  if (version != kFormatVersion) {
    problem = fmt::format(
        "{} of format version {}; this program reads version {}: use the version of Holdfast that "
        "wrote it, or a newer one",
        what, version, kFormatVersion);
    return HeaderState::kForeign;
  }
  if (header_bytes != kHeaderBytes || bytes.size() < kHeaderBytes)
    return damaged("the header is cut off");
  if (crc32c(bytes.substr(0, kHeaderBytes - 4)) !=
      ByteReader(bytes.substr(kHeaderBytes - 4, 4)).u32())
    return damaged("the header's checksum is wrong");

  header = {};
  header.kind = expected;
  const std::uint32_t flags = reader.u32();
  header.follows_snapshot = (flags & kFollowsSnapshot) != 0;
  header.voids_snapshots = (flags & kVoidsSnapshots) != 0;
  take(reader, header.log_id);
  header.sequence = reader.u64();
  header.index = LogIndex{reader.u64()};
  header.term = Term{reader.u64()};
  header.time = reader.i64();
  header.digest_seed = reader.u64();
  const unsigned mode = reader.u8();
  const unsigned cipher = reader.u8();
  const std::string_view reserved = reader.bytes(kReserved.size());
  take(reader, header.key_id);
  take(reader, header.salt);
  const unsigned mode_max =
      static_cast<unsigned>(is_segment ? static_cast<std::uint8_t>(FsyncMode::kAlways)
                                       : static_cast<std::uint8_t>(Packing::kZstd));
  const bool knows_flags =
      is_segment ? flags <= (kFollowsSnapshot | kVoidsSnapshots) && flags != kVoidsSnapshots
                 : flags == 0;
  if (!knows_flags || mode > mode_max || cipher > 1 || reserved != kReserved) {
    problem =
        "the header says things that this program does not know: use the version of Holdfast that "
        "wrote it, or a newer one";
    return HeaderState::kForeign;
  }
  if (is_segment) {
    header.fsync_mode = static_cast<FsyncMode>(mode);
    if (header.index.value == 0) return damaged("the header names no first index");
    if (header.index.value == 1 && header.term.value != 0)
      return damaged("the header names a term for the entry before the first one of all");
  } else {
    header.packing = static_cast<Packing>(mode);
  }
  header.encrypted = cipher != 0;
  return HeaderState::kGood;
}

std::string segment_name(std::uint64_t sequence) {
  return fmt::format("{}{:020}{}", kSegmentPrefix, sequence, kSegmentSuffix);
}

std::string snapshot_name(LogIndex index) {
  return fmt::format("{}{:020}{}", kSnapshotPrefix, index.value, kSnapshotSuffix);
}

bool parse_segment_name(std::string_view name, std::uint64_t& sequence) {
  return parse_name(name, kSegmentPrefix, kSegmentSuffix, sequence);
}

bool parse_snapshot_name(std::string_view name, LogIndex& index) {
  return parse_name(name, kSnapshotPrefix, kSnapshotSuffix, index.value);
}

std::string to_hex(const std::uint8_t* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string_view name_of(FsyncMode mode) {
  switch (mode) {
    case FsyncMode::kNo:
      return "no";
    case FsyncMode::kEverySecond:
      return "everysec";
    case FsyncMode::kAlways:
      return "always";
  }
  HF_CHECK(false && "an unknown fsync mode");
}

}  // namespace holdfast::log
