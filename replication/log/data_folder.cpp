#include "replication/log/data_folder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "replication/log/durable_record.hpp"
#include "replication/log/segment_reader.hpp"

namespace holdfast::log {

namespace {

Result<void> read_header(FileSystem& files, FileKind kind, FolderFile& into) {
  auto opened = open_and_read_header(files, into.path, kind);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  into.file_bytes = opened->file_bytes;
  into.state = opened->state;
  into.header = opened->header;
  into.problem = std::move(opened->problem);
  return {};
}

// Under its own name a file has the header that it was created with.
void check_name(FolderFile& file, std::uint64_t by_name, std::uint64_t by_header) {
  if (file.state != HeaderState::kGood || by_name == by_header) return;
  file.state = HeaderState::kDamaged;
  file.problem = fmt::format("its header says number {}: was it renamed?", by_header);
}

void mark_void(std::vector<FolderSegment>& segments) {
  std::optional<LogIndex> next_first;
  bool all_void = false;
  for (std::size_t i = segments.size(); i > 0; --i) {
    FolderSegment& segment = segments[i - 1];
    segment.last = next_first ? std::optional(LogIndex{next_first->value - 1}) : std::nullopt;
    segment.is_void = all_void;
    if (segment.state != HeaderState::kGood) continue;
    all_void = all_void || segment.header.follows_snapshot;
    if (next_first && segment.header.index >= *next_first) segment.is_void = true;
    if (!segment.is_void) next_first = segment.header.index;
  }
}

// The last segment may say so (format.hpp, "What holds between the files").
void part_void_snapshots(DataFolder& found) {
  if (found.segments.empty()) return;
  const FolderSegment& last = found.segments.back();
  if (last.state != HeaderState::kGood || !last.header.voids_snapshots) return;
  const LogIndex base{last.header.index.value - 1};
  const auto first_void =
      std::stable_partition(found.snapshots.begin(), found.snapshots.end(),
                            [&](const FolderSnapshot& snapshot) { return snapshot.index == base; });
  for (auto at = first_void; at != found.snapshots.end(); ++at)
    found.void_snapshots.push_back(std::move(at->path));
  found.snapshots.erase(first_void, found.snapshots.end());
}

// As one word of a shell's command line.
std::string shell_word(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+@%:,-";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(text);
  std::string word = "'";
  for (const char c : text) {
    if (c == '\'') word += "'\\'";
    word += c;
  }
  return word + "'";
}

bool is_ours(std::string_view name) {
  std::uint64_t sequence = 0;
  LogIndex index;
  return parse_segment_name(name, sequence) || parse_snapshot_name(name, index) ||
         name == kDurableRecordName || name == kIncomingName;
}

}  // namespace

Result<DataFolder> read_data_folder(FileSystem& files, const std::string& folder) {
  auto names = files.list(folder);
  if (!names) return tl::unexpected(to_error(names.error()));
  DataFolder found;
  for (const std::string& name : *names) {
    FolderSegment segment;
    FolderSnapshot snapshot;
    if (parse_segment_name(name, segment.sequence)) {
      segment.path = join_path(folder, name);
      found.segments.push_back(std::move(segment));
    } else if (parse_snapshot_name(name, snapshot.index)) {
      snapshot.path = join_path(folder, name);
      found.snapshots.push_back(std::move(snapshot));
    } else if (name.ends_with(kTemporarySuffix)) {
      const auto stem = std::string_view(name).substr(0, name.size() - kTemporarySuffix.size());
      if (!is_ours(stem)) continue;
      found.leftovers.push_back(join_path(folder, name));
      if (parse_segment_name(stem, segment.sequence))
        found.next_sequence = std::max(found.next_sequence, segment.sequence + 1);
    }
  }
  std::sort(found.leftovers.begin(), found.leftovers.end());
  std::sort(found.segments.begin(), found.segments.end(),
            [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
  std::sort(found.snapshots.begin(), found.snapshots.end(),
            [](const auto& a, const auto& b) { return a.index > b.index; });
  for (FolderSegment& segment : found.segments) {
    auto read = read_header(files, FileKind::kSegment, segment);
    if (!read) return tl::unexpected(std::move(read.error()));
    check_name(segment, segment.sequence, segment.header.sequence);
    found.next_sequence = std::max(found.next_sequence, segment.sequence + 1);
  }
  for (FolderSnapshot& snapshot : found.snapshots) {
    auto read = read_header(files, FileKind::kSnapshot, snapshot);
    if (!read) return tl::unexpected(std::move(read.error()));
    check_name(snapshot, snapshot.index.value, snapshot.header.index.value);
  }
  mark_void(found.segments);
  part_void_snapshots(found);
  return found;
}

Result<std::string> check_snapshot_end(FileSystem& files, const FolderSnapshot& snapshot,
                                       const KeyRing& keys) {
  auto seal = seal_for(snapshot.header, snapshot.path, keys);
  if (!seal) return std::move(seal.error().message);
  auto file = files.open(snapshot.path, OpenMode::kRead);
  if (!file) return tl::unexpected(to_error(file.error()));
  const std::uint64_t trailer_bytes =
      kFrameBytes + kTrailerBytes + (snapshot.header.encrypted ? kTagBytes : 0);
  if (snapshot.file_bytes >= kHeaderBytes + trailer_bytes) {
    RecordReader reader(**file, **seal, snapshot.file_bytes - trailer_bytes, snapshot.file_bytes);
    Record record;
    const ReadStatus status = reader.next(record);
    if (status == ReadStatus::kFailed) return fail(reader.problem());
    if (status == ReadStatus::kRecord && record.type == RecordType::kTrailer) return std::string();
  }
  return fmt::format("{}: does not end with a snapshot's trailer: it is cut off or damaged",
                     snapshot.path);
}

std::string unread_snapshot(std::string_view problem) {
  return fmt::format(
      "{}. This says nothing of what the snapshot holds, and it stays as it is: see the kernel's "
      "log and the limit of open files (ulimit -n), then start again",
      problem);
}

std::string way_out(std::string_view folder, const KeyRing& keys) {
  return fmt::format(
      "If other members hold the data, empty {0} and start this one: it copies everything from "
      "them. Else `holdfast check {1}` shows the damage, and `holdfast check --repair {1}` gives "
      "up what cannot be read (keep a copy of the folder first){2}.",
      folder, shell_word(folder),
      keys.empty() ? "" : "; both need the server's encryption keys, given as to the server");
}

}  // namespace holdfast::log
