// A data folder as a member leaves it behind, and how it is loaded again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/unit/log/fixture.hpp"

namespace holdfast::log::test {

struct FolderOptions {
  KeyRing keys;
  Packing packing = Packing::kPlain;
  FsyncMode mode = FsyncMode::kEverySecond;
  bool stops_cleanly = false;
};

inline std::string record_path() {
  return join_path(kFolder, kDurableRecordName);
}
inline std::string segment_path(std::uint64_t sequence) {
  return join_path(kFolder, segment_name(sequence));
}
inline std::string snapshot_path(std::uint64_t index) {
  return join_path(kFolder, snapshot_name(LogIndex{index}));
}

// Entries 1 to 24: segments 1 (1 to 8), 2 (9 to 16) and 3 (17 to 24, synced through 20), term 1
// through entry 12, then 2; snapshots of entries 6 and 12. Boot id "boot".
inline void build_folder(sim::SimDisk& disk, const FolderOptions& options = {});
// What the folder holds: snapshots and entries, by name.
inline std::map<std::uint64_t, std::string> expected_entries();
inline std::string snapshot_content(std::uint64_t index);

struct LoadedData {
  std::uint64_t base = 0;  // of the snapshot that was used
  std::string snapshot;
  std::vector<std::string> entries;  // texts
  std::uint64_t last = 0;
  bool tail_in_doubt = false;
  std::vector<std::string> notes;
  std::vector<std::string> warnings;
  bool recovering = false;
};
// Recovers and loads as a starting member does: an unreadable snapshot makes way for an older one.
inline Result<LoadedData> start_member(sim::SimDisk& disk, const KeyRing& keys = {},
                                       const std::string& boot_id = "boot");

// --- how

inline Entry folder_entry(std::uint64_t index) {
  std::string payload = "payload " + std::to_string(index) + " ";
  payload.resize(60, static_cast<char>('a' + index % 26));
  return make_entry(index, index <= 12 ? 1 : 2, payload);
}

inline std::map<std::uint64_t, std::string> expected_entries() {
  std::map<std::uint64_t, std::string> all;
  for (std::uint64_t i = 1; i <= 24; ++i) all[i] = texts({folder_entry(i)}).front();
  return all;
}

inline std::string snapshot_content(std::uint64_t index) {
  std::string content;
  for (int i = 0; i < 10; ++i) content += "data through " + std::to_string(index) + "; ";
  return content;
}

inline void write_snapshot(sim::SimDisk& disk, std::uint64_t index, std::uint64_t term,
                           const FolderOptions& options) {
  FileHeader header;
  header.kind = FileKind::kSnapshot;
  header.log_id = kLogId;
  header.index = LogIndex{index};
  header.term = Term{term};
  header.packing = options.packing;
  header.salt = seeded_salts(1000 + index)();
  auto writer = SnapshotWriter::create(disk, snapshot_path(index), header, options.keys);
  const std::string content = snapshot_content(index);
  bool done = writer.has_value();
  for (std::size_t at = 0; done && at < content.size(); at += 100)
    done = (*writer)->add(Rope::copy_of(std::string_view(content).substr(at, 100)), 1).has_value();
  done = done && (*writer)->finish() && disk.sync_dir(kFolder);
  HF_CHECK(done);
}

inline void build_folder(sim::SimDisk& disk, const FolderOptions& options) {
  HF_CHECK(disk.make_dir(kFolder));
  auto record = DurableRecordFile::load(disk, kFolder);
  HF_CHECK(record && record->is_new);
  DurableRecord now;
  now.log_id = kLogId;
  now.running = true;
  now.boot_id = "boot";
  now.fsync_mode = options.mode;
  HF_CHECK(record->file->save(now));
  now.incarnation = 1;
  HF_CHECK(record->file->save(now));  // both slots are in use
  LogStoreOptions store_with = store_options(options.keys, 77);
  store_with.fsync_mode = options.mode;
  LogStore store(disk, store_with, {});
  bool done = store.open({}).has_value();
  const auto append = [&](std::uint64_t from, std::uint64_t to) {
    std::vector<Entry> entries;
    for (std::uint64_t i = from; i <= to; ++i) entries.push_back(folder_entry(i));
    done = done && store.append(entries);
  };
  append(1, 4);
  done = done && store.sync();
  append(5, 8);
  done = done && store.roll(options.mode);
  append(9, 16);
  done = done && store.roll(options.mode);
  append(17, 20);
  done = done && store.sync();
  append(21, 22);
  append(23, 24);
  write_snapshot(disk, 6, 1, options);
  write_snapshot(disk, 12, 1, options);
  if (options.stops_cleanly) {
    done = done && store.close();
    now.running = false;
    done = done && record->file->save(now);
  }
  HF_CHECK(done);
}

inline Result<LoadedData> start_member(sim::SimDisk& disk, const KeyRing& keys,
                                       const std::string& boot_id) {
  auto state = recover(disk, {kFolder, keys, boot_id});
  if (!state) return tl::unexpected(state.error());
  LoadedData data;
  data.last = state->log.last.value;
  data.tail_in_doubt = state->tail_in_doubt;
  data.notes = state->notes;
  data.warnings = state->warnings;
  data.recovering = state->record.recovering;
  Term base_term;
  Error refused;
  bool is_loaded = false;
  std::vector<RecoveredSnapshot> choices = state->snapshots;
  choices.push_back({});  // the log alone
  for (const RecoveredSnapshot& choice : choices) {
    if (!state->can_load_behind(choice.index)) continue;
    data.base = choice.index.value;
    base_term = choice.term;
    data.snapshot.clear();
    is_loaded = data.base == 0;
    if (is_loaded) break;
    auto reader = SnapshotReader::open(disk, choice.path, keys);
    for (Result<bool> more = true; reader && *more;) {
      Rope rope;
      more = (*reader)->next(rope);
      data.snapshot += rope.str();
      is_loaded = more && !*more;
      if (!more) refused = more.error();
      if (!more) break;
    }
    if (is_loaded) break;
  }
  if (!is_loaded) return tl::unexpected(refused);
  if (!state->log.follows_snapshot) {
    auto entries = load(disk, keys, state->log, LogIndex{data.base}, base_term);
    if (!entries) return tl::unexpected(entries.error());
    data.entries = texts(*entries);
  }
  return data;
}

}  // namespace holdfast::log::test
