// SegmentReader reads the entries of one segment in order and says exactly how it ends. It judges
// only what it sees in this file; what an end means is decided by recovery and by the store.
// Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "replication/log/entry.hpp"
#include "replication/log/record.hpp"

namespace holdfast::log {

// Where in a file an entry begins.
struct EntryPosition {
  LogIndex index;
  std::uint64_t offset = 0;
};

// A position is kept every so many bytes of a segment.
inline constexpr std::uint64_t kPositionEveryBytes = 256 * 1024;

enum class SegmentStatus : std::uint8_t {
  kEntry,
  kEnd,      // all bytes were read, all entries are whole
  kTorn,     // what follows at offset() is cut off or damaged, or an entry misses its last part
  kInvalid,  // a record whose checksum is right says what cannot be: corruption or a bug
  kFailed,   // the file could not be read
};

class SegmentReader {
 public:
  // The error names the file.
  static Result<std::unique_ptr<SegmentReader>> open(FileSystem& files, const std::string& path,
                                                     const KeyRing& keys);
  // From the beginning of an entry, which is `from`; the default is the whole file.
  void start_at(EntryPosition from);

  const FileHeader& header() const { return header_; }
  const std::string& path() const { return path_; }
  std::uint64_t file_bytes() const { return file_bytes_; }

  // Payloads share the reader's blocks.
  SegmentStatus next(Entry& entry);
  // Of the entry that `next` gave last; with kTorn and kInvalid, of what is bad.
  std::uint64_t offset() const { return offset_; }
  // Where the last whole entry (or mark behind it) ends.
  std::uint64_t good_bytes() const { return good_bytes_; }
  std::string problem() const { return problem_; }
  // Parts with the entries that were given out, so that they can be handed to another thread.
  void release() { records_->release(); }
  // What the marks so far vouch for.
  std::uint64_t marked_offset() const { return marked_offset_; }
  LogIndex marked_index() const { return marked_index_; }

  // After kTorn: looks at all that follows.
  struct Tail {
    bool may_be_complete = false;     // a record there may have been written whole
    std::uint64_t bad_offset = 0;     // of the bad record itself
    std::uint64_t marked_offset = 0;  // the furthest that a valid mark there vouches for
    bool is_forged = false;
    std::string failure;  // not empty: the file could not be read
  };
  Tail inspect_tail();

 private:
  SegmentReader() = default;
  SegmentStatus torn(std::string why);
  SegmentStatus invalid(std::string why);
  SegmentStatus on_entry(const Record& record, Entry& entry, bool& is_whole);
  SegmentStatus on_mark(const Record& record);

  std::string path_;
  std::unique_ptr<File> file_;
  FileHeader header_;
  std::unique_ptr<FileSeal> seal_;
  std::unique_ptr<RecordReader> records_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t good_bytes_ = 0;
  LogIndex next_index_;
  Term last_term_;
  std::uint64_t marked_offset_ = 0;
  LogIndex marked_index_;
  ReadStatus bad_ = ReadStatus::kEnd;  // why the records ended
  std::string problem_;
  // Of the entry whose parts are being collected:
  bool is_collecting_ = false;
  Entry collected_;
  std::vector<Rope::Piece> parts_;
};

// Opens a file and reads its header. An error means that the file could not be read.
struct OpenedFile {
  std::unique_ptr<File> file;
  std::uint64_t file_bytes = 0;
  HeaderState state = HeaderState::kGood;
  FileHeader header;    // with kGood
  std::string problem;  // otherwise
};
Result<OpenedFile> open_and_read_header(FileSystem& files, const std::string& path, FileKind kind);
// The seal of a file by its header. The error names the file and the keys.
Result<std::unique_ptr<FileSeal>> seal_for(const FileHeader& header, const std::string& path,
                                           const KeyRing& keys);

}  // namespace holdfast::log
