#include "replication/log/durable_record.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/crc32c.hpp"

namespace holdfast::log {

namespace {

constexpr std::string_view kMagic("HFMEMB\n\x1a", 8);
constexpr std::size_t kSlotHeadBytes = 8 + 2 + 4 + 4;
constexpr std::size_t kSlots = 2;

struct Slot {
  DurableRecord record;
  std::uint64_t sequence = 0;
};

std::uint32_t slot_crc(std::string_view body) {
  char length[4];
  put_u32(length, static_cast<std::uint32_t>(body.size()));
  return crc32c(body, crc32c({length, sizeof length}));
}

// Of numbers that begin anew behind the highest (RFC 1982).
bool is_older(std::uint64_t sequence, std::uint64_t than) {
  return static_cast<std::int64_t>(sequence - than) < 0;
}

std::uint8_t number(ByteReader& reader, std::uint8_t highest) {
  const std::uint8_t value = reader.u8();
  if (value > highest) reader.fail();
  return value;
}

std::uint8_t recovering_byte(const DurableRecord& record) {
  if (!record.recovering) return 0;
  return record.is_log_partial ? 2 : 1;
}

std::optional<Slot> decode_body(std::string_view body) {
  Slot slot;
  DurableRecord& record = slot.record;
  ByteReader reader(body);
  slot.sequence = reader.u64();
  const std::string_view log_id = reader.bytes(kLogIdBytes);
  if (log_id.size() == kLogIdBytes) std::memcpy(record.log_id.data(), log_id.data(), kLogIdBytes);
  record.incarnation = reader.u64();
  record.generation = reader.u64();
  const std::uint8_t mode = reader.u8();
  if (mode > static_cast<std::uint8_t>(FsyncMode::kAlways)) return std::nullopt;
  record.fsync_mode = static_cast<FsyncMode>(mode);
  record.running = number(reader, 1) != 0;
  const std::uint8_t recovering = number(reader, 2);
  record.recovering = recovering != 0;
  record.is_log_partial = recovering == 2;
  record.term = Term{reader.u64()};
  record.voted_for = reader.u64();
  record.promise_ms_max = reader.u64();
  record.boot_id = reader.string();
  record.cluster_id = reader.string();
  const std::uint64_t members = reader.varint();
  for (std::uint64_t i = 0; i < members && reader.ok(); ++i)
    record.members.emplace_back(reader.string());
  if (reader.ok() && !reader.at_end()) record.node = reader.string();
  if (reader.ok() && !reader.at_end()) record.voted_generation = reader.u64();
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return slot;
}

enum class SlotState { kValid, kEmpty, kDamaged, kUnknownVersion };

SlotState decode_slot(std::string_view bytes, Slot& slot) {
  if (std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; }))
    return SlotState::kEmpty;
  ByteReader reader(bytes);
  if (reader.bytes(kMagic.size()) != kMagic) return SlotState::kDamaged;
  const unsigned version = reader.u16();
  const std::uint32_t length = reader.u32();
  const std::uint32_t crc = reader.u32();
  const std::string_view body = reader.bytes(length);
  if (!reader.ok() || slot_crc(body) != crc) return SlotState::kDamaged;
  if (version != kFormatVersion) return SlotState::kUnknownVersion;
  auto decoded = decode_body(body);
  if (!decoded) return SlotState::kDamaged;
  slot = std::move(*decoded);
  return SlotState::kValid;
}

}  // namespace

std::string encode_slot(const DurableRecord& record, std::uint64_t sequence) {
  ByteWriter body;
  body.u64(sequence);
  body.bytes({reinterpret_cast<const char*>(record.log_id.data()), kLogIdBytes});
  body.u64(record.incarnation);
  body.u64(record.generation);
  body.u8(static_cast<std::uint8_t>(record.fsync_mode));
  body.u8(record.running ? 1 : 0);
  body.u8(recovering_byte(record));
  body.u64(record.term.value);
  body.u64(record.voted_for);
  body.u64(record.promise_ms_max);
  body.string(record.boot_id);
  body.string(record.cluster_id);
  body.varint(record.members.size());
  for (const std::string& member : record.members) body.string(member);
  // A record without them stays as it is.
  if (!record.node.empty() || record.voted_generation != 0) body.string(record.node);
  if (record.voted_generation != 0) body.u64(record.voted_generation);
  HF_CHECK(body.str().size() + kSlotHeadBytes <= kSlotBytes);
  ByteWriter slot;
  slot.bytes(kMagic);
  slot.u16(kFormatVersion);
  slot.u32(static_cast<std::uint32_t>(body.str().size()));
  slot.u32(slot_crc(body.str()));
  slot.bytes(body.str());
  std::string bytes = slot.take();
  bytes.resize(kSlotBytes, '\0');
  return bytes;
}

Result<DurableRecordFile::Loaded> DurableRecordFile::read(FileSystem& files,
                                                          const std::string& folder) {
  const std::string path = join_path(folder, kDurableRecordName);
  Loaded loaded;
  loaded.file.reset(new DurableRecordFile(files, folder));
  auto bytes = read_whole(files, path, kSlots * kSlotBytes);
  if (!bytes && bytes.error().kind == FileErrorKind::kNotFound) {
    loaded.is_new = true;
    return loaded;
  }
  if (!bytes) return tl::unexpected(to_error(bytes.error()));
  bool is_valid = false;
  for (std::size_t i = 0; i < kSlots; ++i) {
    Slot slot;
    const std::size_t begin = std::min(i * kSlotBytes, bytes->size());
    const SlotState state = decode_slot(std::string_view(*bytes).substr(begin, kSlotBytes), slot);
    if (state == SlotState::kUnknownVersion) {
      return fail(
          fmt::format("{}: of a format that this program does not know (it reads version {})", path,
                      kFormatVersion));
    }
    if (state == SlotState::kDamaged) loaded.damaged_slot = true;
    if (state != SlotState::kValid || (is_valid && is_older(slot.sequence, loaded.file->sequence_)))
      continue;
    is_valid = true;
    loaded.record = std::move(slot.record);
    loaded.file->sequence_ = slot.sequence;
    loaded.file->valid_slot_ = i;
  }
  if (!is_valid) {
    return fail(
        fmt::format("{}: holds no valid record: this member's votes and identity are lost; "
                    "empty its data folder so that it joins anew",
                    path));
  }
  return loaded;
}

Result<DurableRecordFile::Loaded> DurableRecordFile::inspect(FileSystem& files,
                                                             const std::string& folder) {
  auto loaded = read(files, folder);
  if (loaded) loaded->file = nullptr;
  return loaded;
}

Result<DurableRecordFile::Loaded> DurableRecordFile::load(FileSystem& files,
                                                          const std::string& folder) {
  auto loaded = read(files, folder);
  if (!loaded || loaded->is_new) return loaded;
  DurableRecordFile& self = *loaded->file;
  auto file = files.open(join_path(folder, kDurableRecordName), OpenMode::kWrite);
  if (!file) return tl::unexpected(to_error(file.error()));
  self.file_ = std::move(*file);
  // The same bytes in the same place: whatever of them reaches the disk, the other slot stays.
  auto done = write_all_at(*self.file_, self.valid_slot_ * kSlotBytes,
                           encode_slot(loaded->record, self.sequence_));
  if (done) done = self.file_->sync();
  if (!done) return tl::unexpected(to_error(done.error()));
  return loaded;
}

FileStatus DurableRecordFile::create(const DurableRecord& record) {
  const std::string path = join_path(folder_, kDurableRecordName);
  const std::string temporary = path + std::string(kTemporarySuffix);
  auto removed = files_.remove(temporary);
  if (!removed && removed.error().kind != FileErrorKind::kNotFound) return removed;
  auto file = files_.open(temporary, OpenMode::kCreate);
  if (!file) return tl::unexpected(std::move(file.error()));
  std::string bytes = encode_slot(record, 1);
  bytes.resize(kSlots * kSlotBytes, '\0');
  auto done = append_all(**file, bytes);
  if (done) done = (*file)->sync();
  if (done) done = files_.rename(temporary, path);
  if (done) done = files_.sync_dir(folder_);
  if (!done) return done;
  file_ = std::move(*file);
  sequence_ = 1;
  valid_slot_ = 0;
  return {};
}

FileStatus DurableRecordFile::save(const DurableRecord& record) {
  if (file_ == nullptr) return create(record);
  const std::size_t slot = 1 - valid_slot_;
  auto done = write_all_at(*file_, slot * kSlotBytes, encode_slot(record, sequence_ + 1));
  if (done) done = file_->sync();
  if (!done) return done;
  valid_slot_ = slot;
  ++sequence_;
  return {};
}

}  // namespace holdfast::log
