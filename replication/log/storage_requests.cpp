#include "replication/log/storage_requests.hpp"

#include <fmt/format.h>

namespace holdfast::log {

bool can_wait(const Request& request) {
  return std::holds_alternative<BeginSnapshotRequest>(request) ||
         std::holds_alternative<SnapshotBlockRequest>(request) ||
         std::holds_alternative<FinishSnapshotRequest>(request) ||
         std::holds_alternative<AbandonSnapshotRequest>(request) ||
         std::holds_alternative<ReadRequest>(request) ||
         std::holds_alternative<ReadSnapshotRequest>(request) ||
         std::holds_alternative<EndSnapshotReadRequest>(request) ||
         std::holds_alternative<StoreSnapshotRequest>(request) ||
         std::holds_alternative<DiscardSnapshotRequest>(request);
}

std::uint64_t payload_bytes(const Request& request) {
  std::uint64_t sum = 0;
  if (const auto* append = std::get_if<AppendRequest>(&request)) {
    for (const Entry& entry : append->entries) sum += entry.payload.size();
  } else if (const auto* block = std::get_if<SnapshotBlockRequest>(&request)) {
    sum = block->mutations.size();
  } else if (const auto* stored = std::get_if<StoreSnapshotRequest>(&request)) {
    sum = stored->bytes.size();
  }
  return sum;
}

void spend(Request& request, StorageEvents& out) {
  if (auto* append = std::get_if<AppendRequest>(&request)) {
    if (!append->entries.empty()) out.spent_entries.push_back(std::move(append->entries));
  } else if (auto* block = std::get_if<SnapshotBlockRequest>(&request)) {
    out.spent_ropes.push_back(std::move(block->mutations));
  } else if (auto* stored = std::get_if<StoreSnapshotRequest>(&request)) {
    out.spent_ropes.push_back(std::move(stored->bytes));
  } else if (const auto* read = std::get_if<ReadRequest>(&request)) {
    out.events.push_back(EntriesRead{read->number, {}, "storage has ended"});
  } else if (const auto* part = std::get_if<ReadSnapshotRequest>(&request)) {
    SnapshotPart answer;
    answer.reader = part->reader;
    answer.index = part->index;
    answer.term = part->term;
    answer.offset = part->offset;
    answer.number = part->number;
    answer.error = "not looked for: storage ends, or installs another snapshot";
    answer.is_unread = true;
    out.events.push_back(std::move(answer));
  }
}

std::string remedy(const FileError& error, std::string_view folder) {
  switch (error.kind) {
    case FileErrorKind::kNoSpace:
      return fmt::format("free space on the volume of {}, or raise its quota", folder);
    case FileErrorKind::kIo:
      return "the device fails: see the kernel's log, and replace it";
    case FileErrorKind::kReadOnly:
      return fmt::format("the file system of {} is read-only: mount it writable", folder);
    case FileErrorKind::kPermission:
      return fmt::format("give the server's user the right to read and write {} and what is in it",
                         folder);
    case FileErrorKind::kLocked:
      return "stop the other server, or give this one a data folder of its own";
    case FileErrorKind::kNotFound:
      return fmt::format("put back what was removed from {}, or restart the server", folder);
    case FileErrorKind::kExists:
    case FileErrorKind::kOther:
      break;
  }
  return fmt::format("see what is wrong with the volume of {}", folder);
}

FileStatus check_writable(FileSystem& files, const std::string& folder) {
  const std::string path = join_path(folder, "probe.tmp");
  auto probe = files.open(path, OpenMode::kCreate);
  if (!probe && probe.error().kind != FileErrorKind::kExists) {
    if (probe.error().kind == FileErrorKind::kNoSpace) return {};
    return tl::unexpected(std::move(probe.error()));
  }
  return files.remove(path);
}

}  // namespace holdfast::log
