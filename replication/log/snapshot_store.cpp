#include "replication/log/snapshot_store.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace holdfast::log {

SnapshotStore::SnapshotStore(FileSystem& files, SnapshotStoreOptions options,
                             std::vector<LogIndex> indices)
    : files_(files), options_(std::move(options)), indices_(std::move(indices)) {
  HF_CHECK(options_.kept >= 1);
  std::sort(indices_.begin(), indices_.end());
}

std::string SnapshotStore::path_of(LogIndex index) const {
  return join_path(options_.folder, snapshot_name(index));
}

FileStatus SnapshotStore::give_up(FileError error) {
  abandon();
  return unexpected(std::move(error));
}

FileStatus SnapshotStore::begin(FileHeader header, const KeyRing& keys) {
  HF_CHECK(writer_ == nullptr);
  temporary_ = path_of(header.index) + std::string(kTemporarySuffix);
  auto removed = files_.remove(temporary_);  // of an earlier attempt
  if (!removed && removed.error().kind != FileErrorKind::kNotFound) return removed;
  auto writer = SnapshotWriter::create(files_, temporary_, std::move(header), keys);
  if (!writer) return give_up(std::move(writer.error()));
  writer_ = std::move(*writer);
  synced_bytes_ = 0;
  return {};
}

FileStatus SnapshotStore::add(const Rope& mutations, std::uint64_t record_count) {
  HF_CHECK(writer_ != nullptr);
  auto done = writer_->add(mutations, record_count);
  if (done && writer_->file_bytes() - synced_bytes_ >= options_.sync_bytes) {
    done = writer_->sync();
    synced_bytes_ = writer_->file_bytes();
  }
  if (!done) return give_up(std::move(done.error()));
  return done;
}

FileResult<SnapshotStore::Finished> SnapshotStore::finish() {
  HF_CHECK(writer_ != nullptr);
  const LogIndex index = writer_->header().index;
  auto done = writer_->finish();
  if (done) done = files_.rename(temporary_, path_of(index));
  if (!done) return tl::unexpected(std::move(give_up(std::move(done.error())).error()));
  const Finished finished{index, writer_->file_bytes(), writer_->totals().records};
  writer_ = nullptr;
  // Without this the file is whole but may be gone after a loss of power: it stays and does not
  // count.
  done = files_.sync_dir(options_.folder);
  if (!done) return tl::unexpected(std::move(done.error()));
  const auto at = std::lower_bound(indices_.begin(), indices_.end(), index);
  if (at == indices_.end() || *at != index) indices_.insert(at, index);
  return finished;
}

void SnapshotStore::abandon() {
  writer_ = nullptr;
  if (!temporary_.empty()) (void)files_.remove(temporary_);  // or recovery does
  temporary_.clear();
}

FileStatus SnapshotStore::remove_old() {
  while (indices_.size() > options_.kept) {
    auto removed = files_.remove(path_of(indices_.front()));
    if (!removed && removed.error().kind != FileErrorKind::kNotFound) return removed;
    indices_.erase(indices_.begin());
  }
  return {};
}

FileStatus SnapshotStore::set_aside(LogIndex index) {
  std::erase(indices_, index);
  return files_.rename(path_of(index), path_of(index) + std::string(kDamagedSuffix));
}

std::optional<LogIndex> SnapshotStore::oldest() const {
  if (indices_.empty()) return std::nullopt;
  return indices_.front();
}

}  // namespace holdfast::log
