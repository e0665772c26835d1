#include "replication/log/snapshot_file.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/crc32c.hpp"
#include "replication/log/segment_reader.hpp"

namespace holdfast::log {

namespace {

constexpr int kPackingLevel = 1;

std::uint32_t with_crc(std::uint32_t crcs, std::uint32_t crc) {
  char bytes[4];
  put_u32(bytes, crc);
  return crc32c({bytes, sizeof bytes}, crcs);
}

}  // namespace

FileResult<std::unique_ptr<SnapshotWriter>> SnapshotWriter::create(FileSystem& files,
                                                                   const std::string& path,
                                                                   FileHeader header,
                                                                   const KeyRing& keys) {
  HF_CHECK(header.kind == FileKind::kSnapshot);
  header.encrypted = !keys.empty();
  header.key_id = keys.empty() ? KeyId{} : key_id(keys.writing());
  auto file = files.open(path, OpenMode::kCreate);
  if (!file) return tl::unexpected(std::move(file.error()));
  std::unique_ptr<SnapshotWriter> writer(new SnapshotWriter);
  writer->header_ = header;
  writer->file_ = std::move(*file);
  writer->seal_ = std::make_unique<FileSeal>(header, keys.empty() ? nullptr : &keys.writing());
  if (header.packing == Packing::kZstd) {
    writer->packer_ = ZSTD_createCCtx();
    HF_CHECK(writer->packer_ != nullptr);
    ZSTD_CCtx_setParameter(writer->packer_, ZSTD_c_compressionLevel, kPackingLevel);
  }
  writer->batch_.begin(*writer->seal_, kHeaderBytes);
  auto written = append_all(*writer->file_, encode(header));
  if (!written) return tl::unexpected(std::move(written.error()));
  return writer;
}

SnapshotWriter::~SnapshotWriter() {
  ZSTD_freeCCtx(packer_);
}

FileStatus SnapshotWriter::write() {
  auto written = append_all(*file_, batch_.pieces());
  batch_.begin(*seal_, batch_.end_offset());
  return written;
}

FileStatus SnapshotWriter::add(const Rope& mutations, std::uint64_t record_count) {
  totals_.records += record_count;
  RopeReader reader(mutations);
  std::vector<std::string_view> parts;
  std::uint8_t fragment = kFirstFragment;
  while (reader.remaining() > 0) {
    parts.clear();
    std::size_t byte_count = 0;
    while (byte_count < kFragmentBytesMax && reader.remaining() > 0) {
      parts.push_back(reader.some(kFragmentBytesMax - byte_count));
      byte_count += parts.back().size();
    }
    if (reader.remaining() == 0) fragment |= kLastFragment;
    add_part(fragment, parts, byte_count);
    auto written = write();
    if (!written) return written;
    fragment = 0;
  }
  return {};
}

void SnapshotWriter::add_part(std::uint8_t fragment, std::span<const std::string_view> parts,
                              std::size_t byte_count) {
  std::string_view content;
  if (packer_ != nullptr) {
    plain_.clear();
    for (const std::string_view part : parts) plain_.append(part);
    packed_.resize(ZSTD_compressBound(plain_.size()));
    const std::size_t packed_bytes =
        ZSTD_compress2(packer_, packed_.data(), packed_.size(), plain_.data(), plain_.size());
    HF_CHECK(ZSTD_isError(packed_bytes) == 0);
    if (packed_bytes < plain_.size()) content = {packed_.data(), packed_bytes};
  }
  const bool is_packed = !content.empty();
  char head[kBlockHeadBytes];
  char* to = put_u8(head, fragment);
  to = put_u8(to, static_cast<std::uint8_t>(is_packed ? Packing::kZstd : Packing::kPlain));
  put_u32(to, static_cast<std::uint32_t>(byte_count));
  const std::string_view head_view(head, sizeof head);
  const std::uint32_t crc = is_packed ? batch_.add(RecordType::kBlock, head_view, {&content, 1})
                                      : batch_.add(RecordType::kBlock, head_view, parts);
  ++totals_.blocks;
  totals_.plain_bytes += byte_count;
  totals_.crcs = with_crc(totals_.crcs, crc);
}

FileStatus SnapshotWriter::finish() {
  char bytes[kTrailerBytes];
  char* to = put_u64(bytes, totals_.blocks);
  to = put_u64(to, totals_.records);
  to = put_u64(to, totals_.plain_bytes);
  put_u32(to, totals_.crcs);
  batch_.add(RecordType::kTrailer, {bytes, sizeof bytes}, {});
  auto written = write();
  if (!written) return written;
  return file_->sync();
}

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open(FileSystem& files,
                                                             const std::string& path,
                                                             const KeyRing& keys) {
  auto opened = open_and_read_header(files, path, FileKind::kSnapshot);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  if (opened->state != HeaderState::kGood)
    return fail(fmt::format("{}: {}", path, opened->problem));
  auto seal = seal_for(opened->header, path, keys);
  if (!seal) return tl::unexpected(std::move(seal.error()));
  std::unique_ptr<SnapshotReader> reader(new SnapshotReader);
  reader->path_ = path;
  reader->file_ = std::move(opened->file);
  reader->header_ = opened->header;
  reader->file_bytes_ = opened->file_bytes;
  reader->seal_ = std::move(*seal);
  reader->restart();
  reader->unpacker_ = ZSTD_createDCtx();
  HF_CHECK(reader->unpacker_ != nullptr);
  return reader;
}

void SnapshotReader::restart() {
  records_ = std::make_unique<RecordReader>(*file_, *seal_, kHeaderBytes, file_bytes_);
  totals_ = {};
  is_collecting_ = false;
  parts_.clear();
  problem_.clear();
  has_failed_ = false;
}

SnapshotReader::~SnapshotReader() {
  ZSTD_freeDCtx(unpacker_);
}

tl::unexpected<Error> SnapshotReader::bad(std::string why) {
  problem_ = std::move(why);
  return fail(fmt::format("{}: offset {}: {}", path_, records_->offset(), problem_));
}

Result<bool> SnapshotReader::next(Rope& mutations) {
  mutations = {};
  for (;;) {
    Record record;
    switch (records_->next(record)) {
      case ReadStatus::kRecord:
        break;
      case ReadStatus::kEnd:
        return bad("the snapshot has no trailer: it was never completed");
      case ReadStatus::kCut:
        return bad("the file is cut off");
      case ReadStatus::kDamaged:
      case ReadStatus::kForged:
        return bad(records_->problem());
      case ReadStatus::kFailed:
        has_failed_ = true;
        return fail(records_->problem());
    }
    if (record.type == RecordType::kTrailer) return on_trailer(record);
    if (record.type != RecordType::kBlock)
      return bad("a record that does not belong into a snapshot");
    auto is_whole = on_block(record, mutations);
    if (!is_whole || *is_whole) return is_whole;
  }
}

Result<bool> SnapshotReader::on_block(const Record& record, Rope& mutations) {
  ByteReader reader(record.body);
  const std::uint8_t fragment = reader.u8();
  const std::uint8_t packing = reader.u8();
  const std::uint32_t plain_bytes = reader.u32();
  const std::string_view content = reader.bytes(reader.remaining());
  const bool is_first = (fragment & kFirstFragment) != 0;
  if (!reader.ok() || fragment > kWhole || packing > static_cast<std::uint8_t>(Packing::kZstd) ||
      plain_bytes == 0 || plain_bytes > kFragmentBytesMax || is_first == is_collecting_)
    return bad("a block that cannot be");
  if (is_first) parts_.clear();
  if (packing == static_cast<std::uint8_t>(Packing::kPlain)) {
    if (content.size() != plain_bytes) return bad("a block of another size than it says");
    // A copy: the reader's own block must not be shared with whom this is given to.
    BlockRef block = BlockRef::allocate(plain_bytes);
    put_bytes(block.data(), content);
    parts_.push_back({{block.data(), plain_bytes}, block, {}});
  } else {
    BlockRef block = BlockRef::allocate(plain_bytes);
    const std::size_t count =
        ZSTD_decompressDCtx(unpacker_, block.data(), plain_bytes, content.data(), content.size());
    if (ZSTD_isError(count) != 0 || count != plain_bytes)
      return bad("a block that does not unpack to what it says");
    parts_.push_back({{block.data(), plain_bytes}, block, {}});
  }
  ++totals_.blocks;
  totals_.plain_bytes += plain_bytes;
  totals_.crcs = with_crc(totals_.crcs, record.crc);
  is_collecting_ = (fragment & kLastFragment) == 0;
  if (is_collecting_) return false;
  if (parts_.size() == 1) {
    mutations = Rope(std::move(parts_.front().block), parts_.front().bytes);
  } else {
    mutations = Rope(std::move(parts_));
  }
  parts_ = {};
  return true;
}

Result<bool> SnapshotReader::on_trailer(const Record& record) {
  ByteReader reader(record.body);
  const std::uint64_t blocks = reader.u64();
  totals_.records = reader.u64();
  const std::uint64_t plain_bytes = reader.u64();
  const std::uint32_t crcs = reader.u32();
  if (!reader.ok() || !reader.at_end() || is_collecting_ || blocks != totals_.blocks ||
      plain_bytes != totals_.plain_bytes || crcs != totals_.crcs)
    return bad("the trailer does not agree with the blocks");
  if (record.end_offset != file_bytes_) return bad("something follows the trailer");
  return false;
}

}  // namespace holdfast::log
