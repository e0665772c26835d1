// Writing and reading one snapshot file (format.hpp). Its content is mutations, opaque here, in
// blocks of the caller's making; a block is given back as it was added.
//
// A writer or reader belongs to one thread. The writer does not touch the reference counts of what
// it is given.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/rope.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"
#include "replication/log/record.hpp"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace holdfast::log {

// What the trailer says.
struct SnapshotTotals {
  std::uint64_t blocks = 0;       // records of the file, not calls of `add`
  std::uint64_t records = 0;      // mutations, as the caller counted them
  std::uint64_t plain_bytes = 0;  // before packing
  std::uint32_t crcs = 0;
};

class SnapshotWriter {
 public:
  // `header.encrypted` and `key_id` are set from the keys. The file must not exist.
  static FileResult<std::unique_ptr<SnapshotWriter>> create(FileSystem& files,
                                                            const std::string& path,
                                                            FileHeader header, const KeyRing& keys);
  ~SnapshotWriter();

  // Blocks of some 256 KB pack well; longer ones are cut and put together again in reading. After
  // an error the file is of no use.
  FileStatus add(const Rope& mutations, std::uint64_t record_count);
  // Mutations of blocks that were added without their number.
  void count_records(std::uint64_t record_count) { totals_.records += record_count; }
  // So that the sync at the end is short.
  FileStatus sync() { return file_->sync(); }
  // Writes the trailer and syncs: from then on the file is a valid snapshot.
  FileStatus finish();

  std::uint64_t file_bytes() const { return batch_.end_offset(); }
  const SnapshotTotals& totals() const { return totals_; }
  const FileHeader& header() const { return header_; }

 private:
  SnapshotWriter() = default;
  void add_part(std::uint8_t fragment, std::span<const std::string_view> parts,
                std::size_t byte_count);
  FileStatus write();

  FileHeader header_;
  std::unique_ptr<File> file_;
  std::unique_ptr<FileSeal> seal_;
  ZSTD_CCtx_s* packer_ = nullptr;
  RecordBatch batch_;
  SnapshotTotals totals_;
  std::string plain_;
  std::vector<char> packed_;
};

class SnapshotReader {
 public:
  // Errors name file and offset.
  static Result<std::unique_ptr<SnapshotReader>> open(FileSystem& files, const std::string& path,
                                                      const KeyRing& keys);
  ~SnapshotReader();

  const FileHeader& header() const { return header_; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  std::uint64_t offset() const { return records_->offset(); }
  // After an error of `next`: what is wrong, without file and offset; and whether the file could
  // not be read, so that nothing is known about it.
  const std::string& problem() const { return problem_; }
  bool has_failed() const { return has_failed_; }

  // True: a block as it was added, to be handed over whole. False: all blocks were given and the
  // trailer agrees with them; only now is the snapshot known to be whole.
  Result<bool> next(Rope& mutations);
  // Begins again with the first block, also of a file that has been removed meanwhile.
  void restart();
  // After the last block.
  const SnapshotTotals& totals() const { return totals_; }

 private:
  SnapshotReader() = default;
  tl::unexpected<Error> bad(std::string why);
  Result<bool> on_block(const Record& record, Rope& mutations);
  Result<bool> on_trailer(const Record& record);

  std::string path_;
  std::unique_ptr<File> file_;
  FileHeader header_;
  std::unique_ptr<FileSeal> seal_;
  std::unique_ptr<RecordReader> records_;
  std::uint64_t file_bytes_ = 0;
  ZSTD_DCtx_s* unpacker_ = nullptr;
  SnapshotTotals totals_;
  bool is_collecting_ = false;
  std::vector<Rope::Piece> parts_;
  std::string problem_;
  bool has_failed_ = false;
};

}  // namespace holdfast::log
