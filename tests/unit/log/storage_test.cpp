#include "replication/log/storage.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <variant>

#include "tests/unit/log/storage_member.hpp"

namespace holdfast::log::test {

namespace {

using sim::SimDisk;

constexpr MonoUs kSecond = 1'000'000;

struct Fixture {
  explicit Fixture(FsyncMode mode = FsyncMode::kEverySecond)
      : disk(1), member(disk, small_storage(1, mode)) {
    REQUIRE(member.start());
    REQUIRE(member.problem() == "");
  }
  void restart() {
    REQUIRE(member.start());
    CHECK(member.problem() == "");
  }
  std::uint64_t fsyncs() { return member.storage().figures().fsyncs; }
  std::vector<std::string> named(std::string_view part) const {
    std::vector<std::string> found;
    for (const std::string& path : disk.paths())
      if (path.find(part) != std::string::npos) found.push_back(path);
    return found;
  }
  std::uint64_t used_bytes() const {
    std::uint64_t sum = 0;
    for (const std::string& path : disk.paths()) sum += disk.content(path).size();
    return sum;
  }
  void flip_byte(const std::string& path, std::size_t at) {
    std::string bytes = disk.content(path);
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    disk.set_content(path, std::move(bytes));
  }

  SimDisk disk;
  StorageMember member;
};

}  // namespace

TEST_CASE("a new folder is told to be new, and gets an identity", "[storage]") {
  Fixture it;
  CHECK(it.member.recovered().is_new);
  CHECK(it.member.recovered().record.running);
  CHECK(it.member.recovered().record.incarnation == 1);
  CHECK(it.member.recovered().record.log_id != LogId{});
  CHECK(!it.member.recovered().record.recovering);
  const LogId log_id = it.member.recovered().record.log_id;
  it.member.kill();
  it.restart();
  CHECK(!it.member.recovered().is_new);
  CHECK(it.member.recovered().record.log_id == log_id);
  CHECK(it.member.recovered().record.incarnation == 2);
}

TEST_CASE("the owner cannot change what storage keeps in the durable record", "[storage]") {
  Fixture it;
  it.member.save_record();  // says running = false, incarnation 0
  it.member.kill();
  it.restart();
  CHECK(it.member.recovered().record.term == Term{2});
  CHECK(it.member.recovered().record.incarnation == 2);
  CHECK(it.member.recovered().record.running);
}

TEST_CASE("appends that wait together are one write and one sync", "[storage]") {
  Fixture it(FsyncMode::kAlways);
  it.member.append(1);
  const std::uint64_t syncs = it.fsyncs();
  const std::uint64_t operations = it.disk.operations();
  it.member.append_together(10);
  CHECK(it.member.persisted() == it.member.last_write());
  CHECK(it.fsyncs() == syncs + 1);
  CHECK(it.disk.operations() == operations + 2);
  CHECK(it.member.spent_entries() == 11);
}

TEST_CASE("with everysec a write is persisted at once and synced within a second", "[storage]") {
  Fixture it;
  CHECK(it.member.storage().next_due() == std::numeric_limits<MonoUs>::max());
  it.member.append(3);
  CHECK(it.member.persisted() == 1);
  CHECK(it.fsyncs() == 0);
  CHECK(it.member.spent_entries() == 0);  // kept until they are synced
  it.member.wait(kSecond - 1);
  CHECK(it.fsyncs() == 0);
  it.member.append(1);  // does not put it off
  it.member.wait(1);
  CHECK(it.fsyncs() == 1);
  CHECK(it.member.spent_entries() == 4);
  CHECK(it.member.storage().next_due() == std::numeric_limits<MonoUs>::max());
}

TEST_CASE("with no nothing is synced by time", "[storage]") {
  Fixture it(FsyncMode::kNo);
  it.member.append(3);
  it.member.wait(100 * kSecond);
  CHECK(it.fsyncs() == 0);
}

TEST_CASE("too many unsynced bytes are synced early in every mode", "[storage]") {
  SimDisk disk(1);
  StorageOptions options = small_storage(1, FsyncMode::kNo);
  options.unsynced_bytes_max = 1000;
  options.segment_bytes_max = 1 << 20;
  StorageMember member(disk, options);
  REQUIRE(member.start());
  member.append(1, 600);
  CHECK(member.spent_entries() == 0);
  member.append(1, 600);
  CHECK(member.spent_entries() == 2);
}

TEST_CASE("a loss of power with always loses nothing and leaves no doubt", "[storage]") {
  Fixture it(FsyncMode::kAlways);
  it.member.append(5);
  it.member.lose_power();
  it.restart();
  CHECK(it.member.loaded().size() == 5);
  CHECK(!it.member.recovered().tail_in_doubt);
}

TEST_CASE("doubt about the tail outlives a second crash", "[storage]") {
  Fixture it;
  it.member.append(5);
  it.member.lose_power();
  it.restart();
  CHECK(it.member.recovered().tail_in_doubt);
  CHECK(it.member.recovered().record.recovering);
  it.member.kill();
  it.restart();
  CHECK(!it.member.recovered().tail_in_doubt);  // the machine went on
  CHECK(it.member.recovered().record.recovering);
}

TEST_CASE("a clean stop leaves no doubt, whatever happens to the machine then", "[storage]") {
  Fixture it(GENERATE(FsyncMode::kEverySecond, FsyncMode::kNo));
  it.member.append(5);
  REQUIRE(it.member.stop());
  CHECK(it.member.spent_entries() == 5);
  it.member.lose_power();
  it.restart();
  CHECK(it.member.loaded().size() == 5);
  CHECK(!it.member.recovered().tail_in_doubt);
  CHECK(!it.member.recovered().record.recovering);
}

TEST_CASE("a stop while loading makes last what a killed process had left", "[storage]") {
  Fixture it;
  it.member.append(5);
  it.member.kill();
  {
    Storage storage(it.disk, it.member.options());
    StorageEvents out;
    storage.start(out);
    std::vector<Request> requests;
    requests.emplace_back(StopRequest{});
    storage.handle(std::move(requests), 0, out);
    REQUIRE(std::get<Stopped>(out.events.back()).is_clean);
  }
  it.member.lose_power();
  it.restart();
  CHECK(it.member.loaded().size() == 5);
  CHECK(!it.member.recovered().record.recovering);
}

TEST_CASE("a stricter mode holds after its request, a laxer one is recorded before", "[storage]") {
  Fixture it;
  it.member.append(2);
  it.member.change_mode(FsyncMode::kAlways);
  it.member.append(2);
  it.member.lose_power();
  it.restart();
  CHECK(it.member.loaded().size() == 4);
  CHECK(!it.member.recovered().tail_in_doubt);
  CHECK(it.member.recovered().record.fsync_mode == FsyncMode::kAlways);
  it.member.change_mode(FsyncMode::kNo);
  it.member.append(2);
  it.member.lose_power();
  it.restart();
  CHECK(it.member.recovered().record.fsync_mode == FsyncMode::kNo);
  CHECK(it.member.recovered().tail_in_doubt);
}

TEST_CASE("a full disk is said once, and everything is persisted when there is room", "[storage]") {
  Fixture it(GENERATE(FsyncMode::kEverySecond, FsyncMode::kAlways, FsyncMode::kNo));
  it.member.append(3, 300);
  it.disk.set_capacity(it.used_bytes() + 200);
  const WriteNumber before = it.member.persisted();
  it.member.append(2, 300);
  REQUIRE(it.member.is_failed());
  CHECK(it.member.failed()->error.kind == FileErrorKind::kNoSpace);
  CHECK(it.member.failed()->text.find("free space on the volume of /data/one") !=
        std::string::npos);
  it.member.append(1);
  it.member.save_record();  // votes need no room
  CHECK(it.member.record().term == Term{2});
  it.member.wait(5 * kSecond);
  REQUIRE(it.member.is_failed());
  CHECK(it.member.persisted() == before);
  // Too little room is not eaten up by the attempts.
  const std::uint64_t used = it.used_bytes();
  it.disk.set_capacity(used + 300);
  it.member.wait(5 * kSecond);
  CHECK(it.used_bytes() == used);
  it.disk.set_capacity(1 << 30);
  it.member.wait(kSecond);
  CHECK(!it.member.is_failed());
  CHECK(it.member.persisted_entries() == 6);
  it.member.lose_power();  // healthy means synced
  it.restart();
  CHECK(it.member.loaded().size() == 6);
}

TEST_CASE("a record that waited behind a failed append never replaces a newer one", "[storage]") {
  Fixture it;
  it.member.append(3, 300);
  it.disk.set_capacity(it.used_bytes() + 100);
  it.member.append_and_save_record(300);
  REQUIRE(it.member.is_failed());
  const Term first = it.member.record().term;  // votes do not wait for the log
  it.member.save_record();
  const Term second = it.member.record().term;
  CHECK(second.value == first.value + 1);
  it.disk.set_capacity(1 << 30);
  it.member.wait(5 * kSecond);
  REQUIRE(!it.member.is_failed());
  CHECK(it.member.record().term == second);
  it.restart();
  CHECK(it.member.record().term == second);
}

TEST_CASE("a failed sync is never believed later: all of it is written anew", "[storage]") {
  Fixture it;
  it.member.append(3);
  it.disk.strike_at(it.disk.operations(), {SimDisk::Strike::kError, FileErrorKind::kIo});
  it.member.wait(kSecond);
  REQUIRE(it.member.is_failed());
  CHECK(it.member.failed()->text.find("the device fails") != std::string::npos);
  const std::size_t segments = it.named("/log-").size();
  it.member.wait(kSecond);
  CHECK(!it.member.is_failed());
  CHECK(it.named("/log-").size() >= segments);
  it.member.lose_power();
  it.restart();
  CHECK(it.member.loaded().size() == 3);
}

TEST_CASE("a stop while the disk fails is said not to be clean", "[storage]") {
  Fixture it;
  it.member.append(1);
  it.disk.set_capacity(it.used_bytes());
  it.member.append(2);
  REQUIRE(it.member.is_failed());
  CHECK(!it.member.stop());
  CHECK(it.member.spent_entries() == 3);  // nothing is kept
}

TEST_CASE("the newest snapshots are kept, and the log behind the oldest of them", "[storage]") {
  Fixture it;  // keeps two
  for (int i = 0; i < 4; ++i) {
    it.member.append(10, 400);
    it.member.take_snapshot();
  }
  REQUIRE(it.member.snapshots().size() == 4);
  CHECK(it.named("/snapshot-").size() == 2);
  CHECK(it.member.snapshots().back().index == LogIndex{40});
  CHECK(it.member.snapshots().back().records == 40);
  const LogIndex first = it.member.snapshots().back().first_log_index;
  CHECK(first > LogIndex{1});
  CHECK(first <= LogIndex{31});
  it.member.kill();
  it.restart();
  CHECK(it.member.recovered().snapshot_index == LogIndex{40});
  CHECK(it.member.recovered().first_log_index == first);
  CHECK(it.member.loaded().size() == 40);
}

TEST_CASE("a damaged snapshot gives way to an older one and the log", "[storage]") {
  Fixture it;
  it.member.append(10);
  it.member.take_snapshot();
  it.member.append(10);
  it.member.take_snapshot();
  it.member.append(5);
  it.member.kill();
  const std::vector<std::string> model = it.member.model();
  it.flip_byte(it.named("/snapshot-").back(), kHeaderBytes + 300);
  it.restart();
  CHECK(it.member.restarts_of_loading() == 1);
  CHECK(it.member.loaded() == model);
  REQUIRE(!it.member.warnings().empty());
  CHECK(it.member.warnings().back().find("snapshot 20 is damaged") != std::string::npos);
  CHECK(it.named(".damaged").size() == 1);

  SECTION("and the log alone stands for the oldest") {
    it.member.kill();
    it.flip_byte(it.named("/snapshot-").front(), kHeaderBytes + 10);
    it.restart();
    CHECK(it.member.loaded() == model);
  }
  SECTION("and is not one of those that are kept") {
    it.member.take_snapshot();
    CHECK(it.named(".hfs").size() == 3);  // 10, 25, and the damaged one
    it.member.kill();
    it.restart();
    CHECK(it.member.recovered().snapshot_index == LogIndex{25});
  }
}

TEST_CASE("a damaged snapshot that nothing can stand for is refused", "[storage]") {
  SimDisk disk(1);
  StorageOptions options = small_storage(1, FsyncMode::kEverySecond);
  options.snapshots_kept = 1;
  StorageMember member(disk, options);
  REQUIRE(member.start());
  member.append(30, 400);
  member.append(1);
  member.take_snapshot();
  member.kill();
  std::string path;
  for (const std::string& name : disk.paths())
    if (name.find("/snapshot-") != std::string::npos) path = name;
  std::string bytes = disk.content(path);
  bytes[kHeaderBytes + 300] = static_cast<char>(bytes[kHeaderBytes + 300] ^ 1);
  disk.set_content(path, bytes);
  CHECK(!member.start());
  CHECK(member.refusal().find(path + ": offset ") != std::string::npos);
  CHECK(member.refusal().find("Restore") != std::string::npos);
  CHECK(disk.content(path) == bytes);  // the evidence stays where it is
}

TEST_CASE("a snapshot that fails is said, and the log goes on", "[storage]") {
  Fixture it;
  it.member.append(3);
  it.member.begin_snapshot();
  it.disk.strike_at(it.disk.operations(), {SimDisk::Strike::kError, FileErrorKind::kNoSpace});
  it.member.add_block();
  REQUIRE(it.member.snapshot_failures().size() == 1);
  CHECK(it.member.snapshot_failures()[0].find("free space") != std::string::npos);
  CHECK(it.named("snapshot").empty());
  it.member.finish_snapshot();  // is ignored
  CHECK(it.member.snapshot_failures().size() == 1);
  CHECK(!it.member.is_failed());
  it.member.append(1);
  CHECK(it.member.persisted() == it.member.last_write());
  it.member.take_snapshot();
  CHECK(it.member.snapshots().size() == 1);
}

TEST_CASE("an append goes before the blocks of a snapshot that wait", "[storage]") {
  Fixture it;
  it.member.append(3);
  StorageEvents out;
  std::vector<Request> requests;
  BeginSnapshotRequest begin;
  begin.index = LogIndex{3};
  begin.term = Term{1};
  requests.emplace_back(begin);
  for (int i = 0; i < 5; ++i)
    requests.emplace_back(SnapshotBlockRequest{Rope::copy_of(std::string(100, 'x')), 1});
  AppendRequest append;
  append.write = 100;
  append.entries.push_back({Term{1}, LogIndex{4}, 0, EntryKind::kNoOp, {}});
  requests.emplace_back(std::move(append));
  Storage& storage = it.member.storage();
  storage.handle(std::move(requests), 2 * kSecond, out);
  REQUIRE(out.events.size() == 1);
  CHECK(std::get<Persisted>(out.events[0]).write == 100);
  CHECK(out.spent_ropes.empty());
  CHECK(storage.waiting_bytes() == 500);
  storage.poll(2 * kSecond, out);  // the beginning
  for (std::size_t blocks = 0; blocks < 5; ++blocks) {
    CHECK(out.spent_ropes.size() == blocks);
    CHECK(storage.next_due() == std::numeric_limits<MonoUs>::min());
    storage.poll(2 * kSecond, out);
  }
  CHECK(out.spent_ropes.size() == 5);
  CHECK(storage.next_due() > 2 * kSecond);
  CHECK(storage.waiting_bytes() == 0);
}

TEST_CASE("a snapshot behind a truncation that waits with it goes behind it", "[storage]") {
  Fixture it;
  it.member.append(20, 400);
  StorageEvents out;
  std::vector<Request> requests;
  requests.emplace_back(TruncateRequest{100, LogIndex{4}});
  AppendRequest append;
  append.write = 101;
  for (std::uint64_t i = 4; i <= 30; ++i)
    append.entries.push_back({Term{2}, LogIndex{i}, 0, EntryKind::kNoOp, {}});
  requests.emplace_back(std::move(append));
  BeginSnapshotRequest begin;
  begin.index = LogIndex{25};
  begin.term = Term{2};
  requests.emplace_back(begin);
  requests.emplace_back(FinishSnapshotRequest{});
  Storage& storage = it.member.storage();
  storage.handle(std::move(requests), 2 * kSecond, out);
  const auto said_done = [&] {
    return std::any_of(out.events.begin(), out.events.end(), [](const StorageEvent& event) {
      return std::holds_alternative<SnapshotDone>(event);
    });
  };
  CHECK(!said_done());
  while (storage.next_due() <= 2 * kSecond) storage.poll(2 * kSecond, out);
  CHECK(said_done());
}

TEST_CASE("entries are read for a peer, but not those that are gone", "[storage]") {
  Fixture it;
  for (int i = 0; i < 4; ++i) {
    it.member.append(10, 400);
    it.member.take_snapshot();
  }
  it.member.post(ReadRequest{7, LogIndex{35}, LogIndex{38}, 1 << 20});
  it.member.post(ReadRequest{8, LogIndex{1}, LogIndex{3}, 1 << 20});
  it.member.post(ReadRequest{9, LogIndex{41}, LogIndex{50}, 1 << 20});
  REQUIRE(it.member.reads().size() == 3);
  CHECK(it.member.reads()[0].number == 7);
  REQUIRE(it.member.reads()[0].entries.size() == 3);
  CHECK(it.member.reads()[0].entries[0].payload.str() == it.member.model()[34]);
  CHECK(it.member.reads()[1].error.find("not in the log any more") != std::string::npos);
  CHECK(it.member.reads()[2].error == "");
  CHECK(it.member.reads()[2].entries.empty());
}

TEST_CASE("what is written after a change of keys needs the new one only", "[storage]") {
  SimDisk disk(1);
  StorageOptions options = small_storage(1, FsyncMode::kEverySecond);
  options.snapshots_kept = 1;
  options.keys = KeyRing({numbered_key(1)});
  StorageMember member(disk, options);
  REQUIRE(member.start());
  member.append(3);
  member.change_keys(KeyRing({numbered_key(2), numbered_key(1)}));
  member.append(3);
  member.take_snapshot();
  REQUIRE(member.stop());
  member.options().keys = KeyRing({numbered_key(2)});
  REQUIRE(member.start());
  CHECK(member.problem() == "");
  CHECK(member.loaded().size() == 6);
  REQUIRE(member.stop());
  member.options().keys = KeyRing({numbered_key(1)});
  CHECK(!member.start());
  CHECK(member.refusal().find("is encrypted with key") != std::string::npos);
}

TEST_CASE("a folder that is in use is refused with the way out", "[storage]") {
  Fixture it;
  StorageMember second(it.disk, small_storage(2, FsyncMode::kEverySecond));
  CHECK(!second.start());
  CHECK(second.refusal().find("a data folder of its own") != std::string::npos);
}

}  // namespace holdfast::log::test
