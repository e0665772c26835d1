// Records as they lie in segments and snapshots (format.hpp): putting them together for one
// gathered write, and reading them back one after the other.
//
// Neither knows what the records mean. Not thread-safe. Nothing here touches the reference counts
// of what is written, so the log thread may write what the loop keeps.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rope.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/format.hpp"

namespace holdfast::log {

// What a file's records are checked and sealed with.
class FileSeal {
 public:
  // `master` is null for a plain file.
  FileSeal(const FileHeader& header, const MasterKey* master);

  std::uint32_t crc(std::uint64_t offset, std::string_view length_and_type) const;
  FileCipher* cipher() const { return cipher_.get(); }

 private:
  std::uint32_t salt_crc_;
  std::unique_ptr<FileCipher> cipher_;
};

// Collects records that will be written behind each other. Small bodies are copied into one buffer,
// long parts of plain ones are written from where they lie.
class RecordBatch {
 public:
  void begin(const FileSeal& seal, std::uint64_t offset);
  // The body is `head` and then `parts`, which must stay where they are until the batch is written.
  // Gives the record's crc.
  std::uint32_t add(RecordType type, std::string_view head,
                    std::span<const std::string_view> parts);

  bool empty() const { return end_offset_ == begin_offset_; }
  std::uint64_t end_offset() const { return end_offset_; }
  // What is to be written; valid until the next add.
  std::span<const std::string_view> pieces();

 private:
  struct Part {
    const char* foreign;  // null: at `begin` in the buffer
    std::size_t begin;
    std::size_t size;
  };
  char* room(std::size_t byte_count);
  void own(std::size_t byte_count);

  const FileSeal* seal_ = nullptr;
  std::uint64_t begin_offset_ = 0;
  std::uint64_t end_offset_ = 0;
  std::vector<char> buffer_;
  std::size_t used_ = 0;
  std::vector<Part> parts_;
  std::vector<std::string_view> pieces_;
};

struct Record {
  RecordType type = RecordType::kEntry;
  std::uint64_t offset = 0;
  std::uint64_t end_offset = 0;
  std::uint32_t crc = 0;
  std::string_view body;  // plain
  BlockRef block;         // keeps `body` alive
};

enum class ReadStatus : std::uint8_t {
  kRecord,
  kEnd,      // of the file
  kCut,      // the file ends within the record that begins here
  kDamaged,  // what lies here is no valid record
  kForged,   // valid by its checksum but not sealed with this key: never a torn write
  kFailed,   // the file could not be read
};

class RecordReader {
 public:
  // `file` and `seal` outlive the reader. Bytes at `file_bytes` and beyond are not looked at.
  RecordReader(File& file, const FileSeal& seal, std::uint64_t offset, std::uint64_t file_bytes)
      : file_(file), seal_(seal), offset_(offset), file_bytes_(file_bytes) {}

  // After anything but kRecord the reader stays where it is.
  ReadStatus next(Record& record);
  // The first valid record that begins at `from` or behind it, in search after a bad one: any, at a
  // cost that grows with what clients stored there, or only marks, at one look a byte.
  enum class Wanted : std::uint8_t { kAnyRecord, kMarks };
  ReadStatus find(std::uint64_t from, Wanted wanted, Record& record);
  // Parts with what was given out, so that it can be handed to another thread.
  void release();

  std::uint64_t offset() const { return offset_; }
  std::uint64_t file_bytes() const { return file_bytes_; }
  // With kDamaged, kForged and kFailed: what is wrong.
  std::string problem() const { return failure_.empty() ? problem_ : failure_; }

 private:
  // The bytes from `offset` on, at least `byte_count` of them; null if reading failed.
  const char* fill(std::uint64_t offset, std::size_t byte_count);
  ReadStatus read_at(std::uint64_t offset, Record& record);
  // A literal: damage is met at every byte of a search.
  ReadStatus damaged(const char* why) {
    problem_ = why;
    return ReadStatus::kDamaged;
  }

  File& file_;
  const FileSeal& seal_;
  std::uint64_t offset_;
  std::uint64_t file_bytes_;
  BlockRef block_;
  std::uint64_t block_offset_ = 0;
  std::size_t block_filled_ = 0;
  const char* problem_ = "";
  std::string failure_;
};

}  // namespace holdfast::log
