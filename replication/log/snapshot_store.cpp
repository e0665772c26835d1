#include "replication/log/snapshot_store.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "replication/log/segment_reader.hpp"

namespace holdfast::log {

SnapshotStore::SnapshotStore(FileSystem& files, SnapshotStoreOptions options,
                             std::vector<Kept> kept)
    : files_(files),
      options_(std::move(options)),
      kept_(std::move(kept)),
      draft_(files, options_.sync_bytes) {
  HF_CHECK(options_.kept >= 1);
  std::sort(kept_.begin(), kept_.end(),
            [](const Kept& a, const Kept& b) { return a.index < b.index; });
}

std::string SnapshotStore::path_of(LogIndex index) const {
  return join_path(options_.folder, snapshot_name(index));
}

FileStatus SnapshotStore::begin(FileHeader header, const KeyRing& keys) {
  std::string path = path_of(header.index) + std::string(kTemporarySuffix);
  return draft_.begin(std::move(path), std::move(header), keys);
}

FileStatus SnapshotStore::add(const Rope& mutations, std::uint64_t record_count) {
  return draft_.add(mutations, record_count);
}

FileResult<SnapshotStore::Finished> SnapshotStore::finish() {
  const Kept snapshot{draft_.header().index, draft_.header().term};
  auto done = draft_.finish();
  if (done) {
    done = files_.rename(draft_.path(), path_of(snapshot.index));
    if (!done) draft_.abandon();
  }
  if (!done) return tl::unexpected(std::move(done.error()));
  const Finished finished{snapshot.index, draft_.file_bytes(), draft_.totals().records};
  draft_.release();
  // Without this the file is whole but may be gone after a loss of power: it stays and does not
  // count.
  done = files_.sync_dir(options_.folder);
  if (!done) return tl::unexpected(std::move(done.error()));
  insert(snapshot);
  return finished;
}

void SnapshotStore::insert(Kept snapshot) {
  const auto at =
      std::lower_bound(kept_.begin(), kept_.end(), snapshot.index,
                       [](const Kept& kept, LogIndex index) { return kept.index < index; });
  if (at != kept_.end() && at->index == snapshot.index) {
    *at = snapshot;
  } else {
    kept_.insert(at, snapshot);
  }
}

FileStatus SnapshotStore::adopt(const std::string& path, Kept snapshot) {
  auto done = files_.rename(path, path_of(snapshot.index));
  // An earlier attempt may have been said to fail, and have done it.
  if (!done && done.error().kind == FileErrorKind::kNotFound && lies_there(snapshot))
    done = FileStatus{};
  if (done) done = files_.sync_dir(options_.folder);
  if (done) insert(snapshot);
  return done;
}

bool SnapshotStore::lies_there(Kept snapshot) const {
  auto found = open_and_read_header(files_, path_of(snapshot.index), FileKind::kSnapshot);
  return found && found->state == HeaderState::kGood && found->header.index == snapshot.index &&
         found->header.term == snapshot.term;
}

FileResult<std::vector<LogIndex>> SnapshotStore::list() const {
  auto names = files_.list(options_.folder);
  if (!names) return tl::unexpected(std::move(names.error()));
  std::vector<LogIndex> found;
  for (const std::string& name : *names) {
    LogIndex index;
    if (parse_snapshot_name(name, index)) found.push_back(index);
  }
  return found;
}

FileResult<bool> SnapshotStore::has_above(LogIndex index) {
  auto found = list();
  if (!found) return tl::unexpected(std::move(found.error()));
  return std::any_of(found->begin(), found->end(), [&](LogIndex one) { return one > index; });
}

FileStatus SnapshotStore::remove_others(LogIndex index) {
  auto found = list();
  if (!found) return tl::unexpected(std::move(found.error()));
  for (const LogIndex one : *found) {
    if (one == index) continue;
    auto removed = files_.remove(path_of(one));
    if (!removed && removed.error().kind != FileErrorKind::kNotFound) return removed;
  }
  std::erase_if(kept_, [&](const Kept& kept) { return kept.index != index; });
  return files_.sync_dir(options_.folder);
}

FileStatus SnapshotStore::remove_old() {
  while (kept_.size() > options_.kept) {
    auto removed = files_.remove(path_of(kept_.front().index));
    if (!removed && removed.error().kind != FileErrorKind::kNotFound) return removed;
    kept_.erase(kept_.begin());
  }
  return {};
}

FileStatus SnapshotStore::set_aside(LogIndex index) {
  forget(index);
  return files_.rename(path_of(index), path_of(index) + std::string(kDamagedSuffix));
}

void SnapshotStore::forget(LogIndex index) {
  std::erase_if(kept_, [&](const Kept& kept) { return kept.index == index; });
}

std::optional<LogIndex> SnapshotStore::oldest() const {
  if (kept_.empty()) return std::nullopt;
  return kept_.front().index;
}

std::optional<SnapshotStore::Kept> SnapshotStore::newest() const {
  if (kept_.empty()) return std::nullopt;
  return kept_.back();
}

bool SnapshotStore::has(LogIndex index, Term term) const {
  return std::any_of(kept_.begin(), kept_.end(),
                     [&](const Kept& kept) { return kept.index == index && kept.term == term; });
}

}  // namespace holdfast::log
