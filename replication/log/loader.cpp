#include "replication/log/loader.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "replication/log/data_folder.hpp"

namespace holdfast::log {

namespace {

constexpr std::size_t kBatchBytes = 1 << 20;

}  // namespace

Loader::Loader(FileSystem& files, KeyRing keys, std::string folder, const RecoveredState& recovered)
    : files_(files), keys_(std::move(keys)), folder_(std::move(folder)), recovered_(recovered) {
  const LogIndex after = recovered.snapshots.empty() ? LogIndex{} : recovered.snapshots[0].index;
  if (!recovered.snapshots.empty()) bytes_to_load_ += recovered.snapshots[0].file_bytes;
  for (const Segment& segment : recovered.log.segments)
    if (segment.last > after) bytes_to_load_ += segment.file_bytes;
}

// False: neither an older snapshot nor the log alone gives everything.
bool Loader::skip_to_loadable() {
  const auto& snapshots = recovered_.snapshots;
  while (at_ < snapshots.size() && !recovered_.can_load_behind(snapshots[at_].index)) ++at_;
  return at_ < snapshots.size() || recovered_.can_load_behind(LogIndex{});
}

void Loader::begin_entries() {
  const auto& snapshots = recovered_.snapshots;
  const bool is_alone = at_ == snapshots.size();
  snapshot_ = nullptr;
  entries_ = std::make_unique<LogReader>(
      files_, keys_, recovered_.log.segments, is_alone ? LogIndex{} : snapshots[at_].index,
      is_alone ? Term{} : snapshots[at_].term, recovered_.log.last);
}

std::uint64_t Loader::bytes_loaded() const {
  if (snapshot_ != nullptr) return snapshot_->offset();
  return snapshot_bytes_ + (entries_ != nullptr ? entries_->bytes_read() : 0);
}

void Loader::on_damage(std::string text, std::vector<StorageEvent>& notes) {
  const LogIndex index = recovered_.snapshots[at_].index;
  notes.push_back(
      Note{true, fmt::format("snapshot {} is damaged and is not used: {}", index.value, text)});
  last_damage_ = std::move(text);
  damaged_.push_back(index);
  snapshot_ = nullptr;
  snapshot_bytes_ = 0;
  is_restart_ = true;
  ++at_;
}

Loader::Step Loader::next(std::vector<StorageEvent>& notes) {
  const auto& snapshots = recovered_.snapshots;
  while (entries_ == nullptr) {
    if (snapshot_ == nullptr) {
      if (!skip_to_loadable()) {
        return Refused{fmt::format(
            "{}; the log in {} does not reach back far enough to do without it. Restore the data "
            "folder from a backup, or empty it if the other members of its cluster hold the data",
            last_damage_.empty() ? "the log's beginning is missing" : last_damage_, folder_)};
      }
      if (at_ == snapshots.size()) {
        begin_entries();
        break;
      }
      auto opened = SnapshotReader::open(files_, snapshots[at_].path, keys_);
      if (!opened) return Refused{unread_snapshot(opened.error().message)};
      snapshot_ = std::move(*opened);
    }
    Rope mutations;
    auto is_block = snapshot_->next(mutations);
    if (!is_block) {
      if (snapshot_->has_failed()) return Refused{unread_snapshot(is_block.error().message)};
      on_damage(std::move(is_block.error().message), notes);
      continue;
    }
    if (*is_block) {
      LoadedBlock block;
      block.restart = std::exchange(is_restart_, false);
      block.snapshot_mutations = std::move(mutations);
      block.bytes_loaded = bytes_loaded();
      return block;
    }
    snapshot_bytes_ = snapshots[at_].file_bytes;
    begin_entries();
  }
  auto entries = entries_->next(kBatchBytes);
  if (!entries) return Refused{std::move(entries.error().message)};
  if (entries->empty() && !is_restart_) {
    if (at_ == snapshots.size()) return Loaded{};
    return Loaded{snapshots[at_].index, snapshots[at_].term};
  }
  LoadedBlock block;
  block.restart = std::exchange(is_restart_, false);
  block.entries = std::move(*entries);
  block.bytes_loaded = bytes_loaded();
  return block;
}

}  // namespace holdfast::log
