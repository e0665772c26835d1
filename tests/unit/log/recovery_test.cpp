#include "replication/log/recovery.hpp"

#include <catch2/catch.hpp>

#include "base/check.hpp"
#include "base/crc32c.hpp"
#include "replication/log/check.hpp"
#include "tests/unit/log/folder.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using Catch::Matchers::Contains;
using sim::SimDisk;

namespace {

std::string refusal(SimDisk& disk, const KeyRing& keys = {}) {
  const auto loaded = start_member(disk, keys);
  return loaded ? "" : loaded.error().message;
}

// Changes a byte of the header and mends its checksum.
void change_header(SimDisk& disk, const std::string& path, std::size_t at, char value) {
  std::string bytes = disk.content(path);
  bytes[at] = value;
  const std::uint32_t crc = crc32c(std::string_view(bytes).substr(0, kHeaderBytes - 4));
  std::memcpy(bytes.data() + kHeaderBytes - 4, &crc, 4);
  disk.set_content(path, bytes);
}

void flip(SimDisk& disk, const std::string& path, std::size_t at) {
  std::string bytes = disk.content(path);
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  disk.set_content(path, bytes);
}

std::size_t offset_of(SimDisk& disk, const std::string& path, std::uint64_t index) {
  const std::size_t at = disk.content(path).find("payload " + std::to_string(index) + " ");
  REQUIRE(at != std::string::npos);
  return at - kEntryHeadBytes - kFrameBytes;
}

}  // namespace

TEST_CASE("an empty folder is new", "[recovery]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir(kFolder));
  const auto state = recover(disk, {kFolder, {}, "boot"});
  REQUIRE(state);
  CHECK(state->is_new);
  CHECK_FALSE(state->tail_in_doubt);
  CHECK(state->record_file != nullptr);
  CHECK(state->can_load_behind(LogIndex{0}));
}

TEST_CASE("a killed member comes back with everything", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  const auto state = recover(disk, {kFolder, {}, "boot"});
  REQUIRE(state);
  CHECK(state->log.last == LogIndex{24});
  CHECK(state->log.last_term == Term{2});
  CHECK(state->log.synced == LogIndex{20});
  CHECK(state->unsynced.size() == 4);
  CHECK(state->log.next_sequence == 4);
  REQUIRE(state->snapshots.size() == 2);
  CHECK(state->snapshots[0].index == LogIndex{12});
  CHECK(state->can_load_behind(LogIndex{12}));
  CHECK(state->can_load_behind(LogIndex{6}));
  CHECK(state->can_load_behind(LogIndex{0}));
  CHECK_FALSE(state->tail_in_doubt);
  CHECK(state->warnings.empty());
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->entries.size() == 12);
}

TEST_CASE("what acknowledged entries may be missing is put in doubt", "[recovery]") {
  struct Case {
    FsyncMode mode;
    bool stops_cleanly;
    std::string boot_id;
    bool last_record_bad;
    bool in_doubt;
  };
  const FsyncMode second = FsyncMode::kEverySecond;
  const FsyncMode always = FsyncMode::kAlways;
  const auto [mode, stops_cleanly, boot_id, last_record_bad, in_doubt] = GENERATE_COPY(
      Case{second, false, "boot", false, false}, Case{second, false, "boot", true, true},
      Case{second, false, "another", false, true}, Case{second, true, "another", false, false},
      Case{FsyncMode::kNo, false, "another", false, true}, Case{second, false, "", false, true},
      Case{always, false, "another", false, false}, Case{always, false, "another", true, false},
      Case{always, false, "boot", true, true}, Case{always, false, "boot", false, false});
  SimDisk disk(1);
  FolderOptions options;
  options.mode = mode;
  options.stops_cleanly = stops_cleanly;
  build_folder(disk, options);
  if (last_record_bad) flip(disk, segment_path(3), offset_of(disk, segment_path(3), 24) + 50);
  const auto loaded = start_member(disk, {}, boot_id);
  REQUIRE(loaded);
  CHECK(loaded->last == (last_record_bad ? 23 : 24));
  CHECK(loaded->tail_in_doubt == in_doubt);
  CHECK(loaded->warnings.empty() == !in_doubt);
}

TEST_CASE("a record that the end of the file cuts off is dropped without doubt", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  const std::string bytes = disk.content(segment_path(3));
  disk.set_content(segment_path(3), bytes.substr(0, bytes.size() - 5));
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->last == 23);
  CHECK_FALSE(loaded->tail_in_doubt);
  REQUIRE(loaded->notes.size() == 1);
  CHECK_THAT(loaded->notes[0], Contains(segment_path(3) + ": offset "));
  CHECK_THAT(loaded->notes[0], Contains("cut off"));
}

TEST_CASE("a cut record with a wrong length does not hide whole ones behind it", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  std::string bytes = disk.content(segment_path(3));
  bytes[offset_of(disk, segment_path(3), 23) + 2] = 0x0F;  // longer than the file
  disk.set_content(segment_path(3), bytes);
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->last == 22);
  CHECK(loaded->tail_in_doubt);
}

TEST_CASE("good records behind a bad one are dropped too, if none of them was synced",
          "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  flip(disk, segment_path(3), offset_of(disk, segment_path(3), 21) + 40);
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->last == 20);
  CHECK(loaded->tail_in_doubt);
}

TEST_CASE("damage before a sync mark is corruption: file, offset, meaning and the way out",
          "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  const std::size_t at = offset_of(disk, segment_path(3), 18);
  flip(disk, segment_path(3), at + 40);
  const std::string text = refusal(disk);
  CHECK_THAT(text, Contains(segment_path(3) + ": offset " + std::to_string(at)));
  CHECK_THAT(text, Contains("a mark says"));
  CHECK_THAT(text, Contains("entries from 18 on"));
  CHECK_THAT(text, Contains("holdfast check --repair " + kFolder));
  CHECK_THAT(text, Contains("empty " + kFolder));
}

TEST_CASE("the next segment vouches for the one before it", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  SECTION("a bad last record") {
    flip(disk, segment_path(2), offset_of(disk, segment_path(2), 16) + 40);
  }
  SECTION("a segment cut between two records") {
    const std::string bytes = disk.content(segment_path(2));
    disk.set_content(segment_path(2), bytes.substr(0, offset_of(disk, segment_path(2), 16)));
  }
  CHECK_THAT(refusal(disk), Contains(segment_path(2)) && Contains("entries from 16 on"));
}

TEST_CASE("a missing segment is noticed wherever it was", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  SECTION("in the middle") {
    disk.erase(segment_path(2));
    CHECK_THAT(refusal(disk), Contains("ends before entry 9") || Contains("missing"));
  }
  SECTION("between snapshot and log") {
    disk.erase(segment_path(1));
    disk.erase(segment_path(2));
    CHECK_THAT(refusal(disk), Contains("the log begins at entry 17"));
  }
  SECTION("one that only an older snapshot needs: the newest suffices") {
    disk.erase(segment_path(1));
    const auto loaded = start_member(disk);
    REQUIRE(loaded);
    CHECK(loaded->base == 12);
    const auto state = recover(disk, {kFolder, {}, "boot"});
    REQUIRE(state);
    CHECK_FALSE(state->can_load_behind(LogIndex{6}));
  }
  SECTION("all of them") {
    for (const std::uint64_t i : {1, 2, 3}) disk.erase(segment_path(i));
    const auto loaded = start_member(disk);
    REQUIRE(loaded);
    CHECK(loaded->last == 12);
    CHECK(loaded->tail_in_doubt);
  }
}

TEST_CASE("a damaged snapshot makes way for an older one only if the log has all it held",
          "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  flip(disk, snapshot_path(12), kHeaderBytes + 20);
  auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->base == 6);
  CHECK(loaded->last == 24);
  // Cut off: seen at once.
  disk.set_content(snapshot_path(12), disk.content(snapshot_path(12)).substr(0, 300));
  loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->base == 6);
  REQUIRE(loaded->warnings.size() == 1);
  CHECK_THAT(loaded->warnings[0], Contains(snapshot_path(12)));
  // Without the log that it stood for:
  disk.erase(segment_path(2));
  disk.erase(segment_path(3));
  CHECK_THAT(refusal(disk), Contains(snapshot_path(12)));
}

TEST_CASE("a log that ends before the snapshot is void, and the next segment follows the snapshot",
          "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  write_snapshot(disk, 40, 5, {});
  auto state = recover(disk, {kFolder, {}, "boot"});
  REQUIRE(state);
  CHECK(state->log.follows_snapshot);
  CHECK(state->log.last == LogIndex{40});
  CHECK(state->log.last_term == Term{5});
  CHECK(state->unsynced.empty());
  CHECK(state->can_load_behind(LogIndex{40}));
  CHECK_FALSE(state->can_load_behind(LogIndex{12}));
  {
    LogStore store(disk, store_options({}, 99), state->log);
    REQUIRE(store.open({}));
    const std::vector<Entry> entries{make_entry(41, 5, "behind")};
    REQUIRE(store.append(entries));
  }
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->base == 40);
  CHECK(loaded->entries == std::vector<std::string>{"41/5:behind"});
  CHECK_FALSE(disk.open(segment_path(1), OpenMode::kRead));
}

TEST_CASE("a snapshot of another branch than the log's voids the log", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  write_snapshot(disk, 22, 7, {});
  const auto loaded = start_member(disk);
  REQUIRE(loaded);
  CHECK(loaded->base == 22);
  CHECK(loaded->last == 22);
  CHECK(loaded->entries.empty());
  REQUIRE_FALSE(loaded->warnings.empty());
  CHECK_THAT(loaded->warnings[0], Contains("another branch"));
}

TEST_CASE("an unknown version is refused clearly, whatever the file", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  std::string path;
  SECTION("segment") {
    path = segment_path(3);
  }
  SECTION("snapshot, also an old one") {
    path = snapshot_path(6);
  }
  if (path.empty()) {
    path = record_path();
    std::string bytes = disk.content(path);
    bytes[8] = bytes[kSlotBytes + 8] = 9;
    disk.set_content(path, bytes);
    CHECK_THAT(refusal(disk), Contains(path) && Contains("reads version 1"));
    return;
  }
  SECTION("of the format") {
    change_header(disk, path, 8, 2);
    CHECK_THAT(refusal(disk), Contains(path) && Contains("version 2") && Contains("version 1"));
  }
  SECTION("a flag from the future") {
    change_header(disk, path, 12, 0x40);
    CHECK_THAT(refusal(disk), Contains(path) && Contains("does not know"));
  }
}

TEST_CASE("a segment from entry 1 on that names a term before it is damaged", "[recovery]") {
  // Recovery took it, and loading refused it.
  SimDisk disk(1);
  build_folder(disk);
  std::string bytes = disk.content(segment_path(1));
  FileHeader header;
  std::string problem;
  REQUIRE(decode_header(bytes, FileKind::kSegment, header, problem) == HeaderState::kGood);
  REQUIRE(header.index == LogIndex{1});
  header.term = Term{34};
  disk.set_content(segment_path(1), encode(header) + bytes.substr(kHeaderBytes));
  CHECK_THAT(refusal(disk), Contains(segment_path(1) + ": ") && Contains("before the first one"));
  CHECK(check(disk, {kFolder, {}, false}).verdict == CheckVerdict::kDamaged);
}

TEST_CASE("files of another log are refused", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  std::string path;
  SECTION("segment") {
    path = segment_path(3);
  }
  SECTION("snapshot") {
    path = snapshot_path(12);
  }
  if (path.empty()) return;
  change_header(disk, path, 16, 99);
  CHECK_THAT(refusal(disk), Contains(path) && Contains("another log"));
}

TEST_CASE("a log without its durable record is refused", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  SECTION("missing") {
    disk.erase(record_path());
  }
  SECTION("both slots bad") {
    flip(disk, record_path(), 30);
    flip(disk, record_path(), kSlotBytes + 30);
  }
  CHECK_THAT(refusal(disk), Contains(std::string(kDurableRecordName)) && Contains("lost"));
}

TEST_CASE("a torn slot leaves the record before it", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  auto state = recover(disk, {kFolder, {}, "boot"});
  REQUIRE(state);
  CHECK(state->record.incarnation == 1);
  flip(disk, record_path(), kSlotBytes + 30);  // the second save
  state = recover(disk, {kFolder, {}, "boot"});
  REQUIRE(state);
  CHECK(state->record.incarnation == 0);
  REQUIRE(state->notes.size() == 1);
  CHECK_THAT(state->notes[0], Contains("slots"));
  // And the torn one is written next.
  DurableRecord next = state->record;
  next.incarnation = 2;
  REQUIRE(state->record_file->save(next));
  CHECK(recover(disk, {kFolder, {}, "boot"})->record.incarnation == 2);
}

TEST_CASE("a record is saved and found behind the highest sequence, too", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  DurableRecord record = recover(disk, {kFolder, {}, "boot"})->record;
  for (const std::uint64_t sequence : {UINT64_MAX - 1, UINT64_MAX}) {
    disk.set_content(record_path(),
                     encode_slot(record, sequence - 1) + encode_slot(record, sequence));
    auto state = recover(disk, {kFolder, {}, "boot"});
    REQUIRE(state);
    for (int i = 0; i < 3; ++i) {
      ++record.incarnation;
      REQUIRE(state->record_file->save(record));
      CHECK(recover(disk, {kFolder, {}, "boot"})->record.incarnation == record.incarnation);
    }
  }
}

TEST_CASE("a record keeps that its log was begun anew while it is recovering, no longer",
          "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  DurableRecord record = recover(disk, {kFolder, {}, "boot"})->record;
  record.is_log_partial = true;
  for (const bool is_recovering : {true, false}) {
    record.recovering = is_recovering;
    REQUIRE(recover(disk, {kFolder, {}, "boot"})->record_file->save(record));
    const DurableRecord found = recover(disk, {kFolder, {}, "boot"})->record;
    CHECK(found.recovering == is_recovering);
    CHECK(found.is_log_partial == is_recovering);
  }
}

TEST_CASE("keys: the right one opens, any other is named and refused", "[recovery]") {
  const MasterKey old_key = make_key(1);
  const MasterKey new_key = make_key(2);
  SimDisk disk(1);
  FolderOptions options;
  options.keys = KeyRing({old_key});
  build_folder(disk, options);
  const std::string plain = "payload 17";
  CHECK(disk.content(segment_path(3)).find(plain) == std::string::npos);
  CHECK(start_member(disk, KeyRing({new_key, old_key}))->last == 24);
  const KeyId old_id = key_id(old_key);
  const KeyId new_id = key_id(new_key);
  const std::string old_hex = to_hex(old_id.data(), old_id.size());
  CHECK_THAT(refusal(disk), Contains(old_hex) && Contains("no key was given"));
  CHECK_THAT(refusal(disk, KeyRing({new_key})),
             Contains(old_hex) && Contains(to_hex(new_id.data(), new_id.size())));
}

TEST_CASE("a record sealed with another key is no torn write", "[recovery]") {
  // The attacker can mend checksums, but not seal.
  SimDisk disk(1);
  FolderOptions options;
  options.keys = KeyRing({make_key(1)});
  build_folder(disk, options);
  const std::string path = segment_path(3);
  auto header_end = kHeaderBytes;
  std::string bytes = disk.content(path);
  FileHeader header;
  std::string problem;
  REQUIRE(decode_header(bytes, FileKind::kSegment, header, problem) == HeaderState::kGood);
  header.encrypted = false;
  const FileSeal checksums(header, nullptr);
  // The last record: change it, mend its crc.
  std::size_t at = header_end;
  std::size_t last = at;
  while (at < bytes.size()) {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at, 4);
    last = at;
    at += kFrameBytes + length;
  }
  bytes[last + kFrameBytes + 3] = static_cast<char>(bytes[last + kFrameBytes + 3] ^ 1);
  std::string associated = bytes.substr(last, 4) + bytes.substr(last + 8, 1);
  const std::uint32_t crc =
      crc32c(std::string_view(bytes).substr(last + kFrameBytes), checksums.crc(last, associated));
  std::memcpy(bytes.data() + last + 4, &crc, 4);
  disk.set_content(path, bytes);
  CHECK_THAT(refusal(disk, options.keys), Contains(path + ": offset ") && Contains("this key"));
}

TEST_CASE("what an interrupted life left behind is removed, and nothing else", "[recovery]") {
  SimDisk disk(1);
  build_folder(disk);
  disk.set_content(segment_path(4) + ".tmp", "half");
  disk.set_content(snapshot_path(20) + ".tmp", "half");
  disk.set_content(record_path() + ".tmp", "half");
  disk.set_content(kFolder + "/notes.tmp", "of an operator");
  disk.set_content(kFolder + "/lock", "");
  const auto state = recover(disk, {kFolder, {}, "boot"});
  REQUIRE(state);
  CHECK(state->log.next_sequence == 5);
  CHECK(disk.paths() == std::vector<std::string>{kFolder + "/lock", segment_path(1),
                                                 segment_path(2), segment_path(3), record_path(),
                                                 kFolder + "/notes.tmp", snapshot_path(6),
                                                 snapshot_path(12)});
}

TEST_CASE("an unreadable disk is an error, not damage", "[recovery]") {
  SimDisk healthy(1);
  build_folder(healthy);
  const std::uint64_t before = healthy.operations();
  REQUIRE(recover(healthy, {kFolder, {}, "boot"}));
  const std::uint64_t operations = healthy.operations() - before;
  int refused = 0;
  for (std::uint64_t i = 0; i < operations; ++i) {
    SimDisk disk(1);
    build_folder(disk);
    disk.strike_at(disk.operations() + i, {SimDisk::Strike::kError, FileErrorKind::kIo});
    const auto state = recover(disk, {kFolder, {}, "boot"});
    if (!state) {
      ++refused;
      CHECK_THAT(state.error().message, Contains("Input/output error"));
      continue;
    }
    // Only an older snapshot's end, which is passed over, or a leftover's removal.
    CHECK(state->log.last == LogIndex{24});
  }
  CHECK(refused > 10);
}
