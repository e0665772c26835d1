#include "replication/log/snapshot_draft.hpp"

#include <utility>

#include "base/check.hpp"

namespace holdfast::log {

FileStatus SnapshotDraft::give_up(FileError error) {
  abandon();
  return unexpected(std::move(error));
}

FileStatus SnapshotDraft::begin(std::string path, FileHeader header, const KeyRing& keys) {
  HF_CHECK(writer_ == nullptr);
  path_ = std::move(path);
  auto removed = files_.remove(path_);
  if (!removed && removed.error().kind != FileErrorKind::kNotFound) return removed;
  auto writer = SnapshotWriter::create(files_, path_, std::move(header), keys);
  if (!writer) return give_up(std::move(writer.error()));
  writer_ = std::move(*writer);
  synced_bytes_ = 0;
  return {};
}

FileStatus SnapshotDraft::add(const Rope& mutations, std::uint64_t record_count) {
  HF_CHECK(writer_ != nullptr);
  auto done = writer_->add(mutations, record_count);
  if (done && writer_->file_bytes() - synced_bytes_ >= sync_bytes_) {
    done = writer_->sync();
    synced_bytes_ = writer_->file_bytes();
  }
  if (!done) return give_up(std::move(done.error()));
  return done;
}

FileStatus SnapshotDraft::finish() {
  HF_CHECK(writer_ != nullptr);
  auto done = writer_->finish();
  if (!done) return give_up(std::move(done.error()));
  return done;
}

void SnapshotDraft::release() {
  writer_ = nullptr;
  path_.clear();
}

void SnapshotDraft::abandon() {
  writer_ = nullptr;
  if (!path_.empty()) (void)files_.remove(path_);
  path_.clear();
}

}  // namespace holdfast::log
