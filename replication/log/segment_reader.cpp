#include "replication/log/segment_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace holdfast::log {

Result<OpenedFile> open_and_read_header(FileSystem& files, const std::string& path, FileKind kind) {
  OpenedFile opened;
  auto file = files.open(path, OpenMode::kRead);
  if (!file) return tl::unexpected(to_error(file.error()));
  opened.file = std::move(*file);
  auto size = opened.file->size();
  if (!size) return tl::unexpected(to_error(size.error()));
  opened.file_bytes = *size;
  char bytes[kHeaderBytes];
  std::size_t filled = 0;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(*size, kHeaderBytes));
  while (filled < wanted) {
    auto count = opened.file->read_at(filled, {bytes + filled, wanted - filled});
    if (!count) return tl::unexpected(to_error(count.error()));
    if (*count == 0) break;
    filled += *count;
  }
  opened.state = decode_header({bytes, filled}, kind, opened.header, opened.problem);
  return opened;
}

Result<std::unique_ptr<FileSeal>> seal_for(const FileHeader& header, const std::string& path,
                                           const KeyRing& keys) {
  if (!header.encrypted) return std::make_unique<FileSeal>(header, nullptr);
  const MasterKey* key = keys.find(header.key_id);
  if (key != nullptr) return std::make_unique<FileSeal>(header, key);
  const std::string id = to_hex(header.key_id.data(), header.key_id.size());
  if (keys.empty())
    return fail(fmt::format("{}: is encrypted with key {}, and no key was given", path, id));
  return fail(fmt::format("{}: is encrypted with key {}; given: {}", path, id, keys.ids()));
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::open(FileSystem& files,
                                                           const std::string& path,
                                                           const KeyRing& keys) {
  auto opened = open_and_read_header(files, path, FileKind::kSegment);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  if (opened->state != HeaderState::kGood)
    return fail(fmt::format("{}: {}", path, opened->problem));
  auto seal = seal_for(opened->header, path, keys);
  if (!seal) return tl::unexpected(std::move(seal.error()));
  std::unique_ptr<SegmentReader> reader(new SegmentReader);
  reader->path_ = path;
  reader->file_ = std::move(opened->file);
  reader->header_ = opened->header;
  reader->seal_ = std::move(*seal);
  reader->file_bytes_ = opened->file_bytes;
  reader->start_at({opened->header.index, kHeaderBytes});
  reader->last_term_ = opened->header.term;
  return reader;
}

void SegmentReader::start_at(EntryPosition from) {
  records_ = std::make_unique<RecordReader>(*file_, *seal_, from.offset, file_bytes_);
  next_index_ = from.index;
  last_term_ = Term{0};
  offset_ = from.offset;
  good_bytes_ = from.offset;
  marked_offset_ = kHeaderBytes;
  marked_index_ = LogIndex{header_.index.value - 1};
  is_collecting_ = false;
}

SegmentStatus SegmentReader::torn(std::string why) {
  problem_ = std::move(why);
  return SegmentStatus::kTorn;
}

SegmentStatus SegmentReader::invalid(std::string why) {
  problem_ = std::move(why);
  return SegmentStatus::kInvalid;
}

SegmentStatus SegmentReader::next(Entry& entry) {
  entry.payload = {};
  for (;;) {
    Record record;
    const ReadStatus status = records_->next(record);
    if (status == ReadStatus::kRecord) {
      bool is_whole = false;
      if (record.type == RecordType::kEntry) {
        const SegmentStatus step = on_entry(record, entry, is_whole);
        if (step != SegmentStatus::kEntry) return step;
        if (is_whole) return step;
      } else if (record.type == RecordType::kMark) {
        const SegmentStatus step = on_mark(record);
        if (step != SegmentStatus::kEntry) return step;
      } else {
        offset_ = record.offset;
        return invalid("a record that does not belong into a log segment");
      }
      continue;
    }
    bad_ = status;
    if (status == ReadStatus::kEnd) {
      if (!is_collecting_) return SegmentStatus::kEnd;
      return torn(fmt::format("entry {} misses its last part", collected_.index.value));
    }
    if (!is_collecting_) offset_ = records_->offset();
    if (status == ReadStatus::kCut) return torn("a record is cut off");
    if (status == ReadStatus::kDamaged) return torn(records_->problem());
    if (status == ReadStatus::kForged) return invalid(records_->problem());
    problem_ = records_->problem();
    return SegmentStatus::kFailed;
  }
}

SegmentStatus SegmentReader::on_entry(const Record& record, Entry& entry, bool& is_whole) {
  if (!is_collecting_) offset_ = record.offset;
  ByteReader reader(record.body);
  const std::uint8_t fragment = reader.u8();
  const std::uint8_t kind = reader.u8();
  Entry part;
  part.term = Term{reader.u64()};
  part.index = LogIndex{reader.u64()};
  part.time = reader.i64();
  if (!reader.ok()) return invalid("an entry shorter than its head");
  if (fragment > kWhole || !is_entry_kind(kind)) {
    return invalid(fmt::format("an entry of kind {}, fragment {}: written by a newer version?",
                               kind, fragment));
  }
  part.kind = static_cast<EntryKind>(kind);
  const std::string_view payload = reader.bytes(reader.remaining());
  const bool is_first = (fragment & kFirstFragment) != 0;
  if (part.index != next_index_) {
    return invalid(fmt::format("entry {} where {} belongs", part.index.value, next_index_.value));
  }
  if (part.term < last_term_)
    return invalid(fmt::format("entry {} of term {} after term {}", part.index.value,
                               part.term.value, last_term_.value));
  if (is_first == is_collecting_)
    return invalid(fmt::format("the parts of entry {} are out of order", part.index.value));
  if (is_collecting_ && (part.term != collected_.term || part.kind != collected_.kind ||
                         part.time != collected_.time))
    return invalid(fmt::format("the parts of entry {} differ", part.index.value));

  is_whole = (fragment & kLastFragment) != 0;
  if (is_first && is_whole) {
    entry = std::move(part);
    if (!payload.empty()) entry.payload = Rope(record.block, payload);
  } else {
    if (is_first) {
      collected_ = std::move(part);
      parts_.clear();
      is_collecting_ = true;
    }
    if (!payload.empty()) parts_.push_back({payload, record.block, {}});
    if (!is_whole) return SegmentStatus::kEntry;
    entry = collected_;
    entry.payload = Rope(std::move(parts_));
    parts_ = {};
    is_collecting_ = false;
  }
  next_index_ = LogIndex{entry.index.value + 1};
  last_term_ = entry.term;
  good_bytes_ = record.end_offset;
  return SegmentStatus::kEntry;
}

SegmentStatus SegmentReader::on_mark(const Record& record) {
  ByteReader reader(record.body);
  const std::uint64_t offset = reader.u64();
  const LogIndex index{reader.u64()};
  if (!reader.ok() || !reader.at_end() || offset > record.offset || index >= next_index_ ||
      offset < marked_offset_ || index < marked_index_) {
    offset_ = record.offset;
    return invalid("a sync mark that vouches for what cannot be");
  }
  marked_offset_ = offset;
  marked_index_ = index;
  if (!is_collecting_) good_bytes_ = record.end_offset;
  return SegmentStatus::kEntry;
}

SegmentReader::Tail SegmentReader::inspect_tail() {
  Tail tail;
  tail.bad_offset = records_->offset();
  if (bad_ == ReadStatus::kEnd) return tail;  // parts of an entry that was never whole
  // A record that the end of the file cuts off was not written whole, if its length is true: then
  // nothing follows it. Anything else may have been.
  tail.may_be_complete = bad_ != ReadStatus::kCut;
  for (std::uint64_t from = tail.bad_offset + 1;;) {
    Record record;
    const auto wanted =
        tail.may_be_complete ? RecordReader::Wanted::kMarks : RecordReader::Wanted::kAnyRecord;
    const ReadStatus status = records_->find(from, wanted, record);
    if (status == ReadStatus::kFailed) tail.failure = records_->problem();
    if (status == ReadStatus::kForged) tail.is_forged = true;
    if (status != ReadStatus::kRecord) return tail;
    tail.may_be_complete = true;
    from = record.end_offset;
    if (record.type != RecordType::kMark) continue;
    ByteReader reader(record.body);
    tail.marked_offset = std::max(tail.marked_offset, reader.u64());
  }
}

}  // namespace holdfast::log
