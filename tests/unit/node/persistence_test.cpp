// The node's half of persistence: what waits for the log, what is refused, loading, snapshots.
#include <catch2/catch.hpp>

#include "server/keyspace/mutation_codec.hpp"
#include "tests/unit/node/storage_fixture.hpp"

namespace holdfast::node {
namespace {

using keyspace::MutationDecoder;
using keyspace::MutationLimits;

const std::string kLoading = "-LOADING Redis is loading the dataset in memory\r\n";
const std::string kDiskError =
    "-MISCONF Errors writing to the AOF file: No space left on device\r\n";

log::Failed disk_full() {
  log::Failed failed;
  failed.error.kind = log::FileErrorKind::kNoSpace;
  failed.error.message = "No space left on device";
  failed.text = "the disk is full";
  return failed;
}

Rope put_of(const std::string& key, const std::string& value) {
  RopeArena arena;
  keyspace::Put put{};
  put.database = 0;
  put.key = key;
  put.value = {value};
  keyspace::encode(put, arena);
  return arena.take();
}

TEST_CASE("a write's reply waits until its entry is persisted", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  CHECK(harness.call({"SET", "k", "v"}).empty());
  const auto appends = harness.requests_of<log::AppendRequest>();
  REQUIRE(appends.size() == 1);
  REQUIRE(appends[0].entries.size() == 1);
  MutationDecoder decoder(appends[0].entries[0].payload, MutationLimits{});
  REQUIRE(decoder.next());
  CHECK(std::get<keyspace::Put>(decoder.mutation()).key == "k");
  CHECK(harness.output(*harness.client).empty());
  harness.tell(log::Persisted{appends[0].write});
  CHECK(harness.output(*harness.client) == kOk);
}

TEST_CASE("a read of a key waits for the key's last write, a read of another does not",
          "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  harness.call({"SET", "other", "1"});
  harness.persist();
  harness.output(*harness.client);
  auto& reader = harness.connect();
  harness.call({"SET", "k", "v"});
  CHECK(harness.call_as(reader, {"GET", "other"}) == "$1\r\n1\r\n");
  CHECK(harness.call_as(reader, {"GET", "k"}).empty());
  CHECK(harness.call_as(reader, {"PING"}).empty());  // replies keep their order
  harness.persist();
  CHECK(harness.output(reader) == "$1\r\nv\r\n+PONG\r\n");
}

TEST_CASE("a read that finds nothing waits for the deletion that is the reason", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  harness.call({"SET", "k", "v"});
  harness.persist();
  auto& reader = harness.connect();
  SECTION("DEL") {
    harness.call({"DEL", "k"});
  }
  SECTION("FLUSHALL") {
    harness.call({"FLUSHALL"});
  }
  SECTION("SWAPDB") {
    harness.call({"SWAPDB", "0", "1"});
  }
  SECTION("RENAME") {
    harness.call({"RENAME", "k", "other"});
  }
  SECTION("MOVE") {
    harness.call({"MOVE", "k", "1"});
  }
  SECTION("expiry by the look itself") {
    harness.call({"PEXPIRE", "k", "10"});
    harness.persist();
    harness.advance_ms(10);
  }
  CHECK(harness.call_as(reader, {"GET", "k"}).empty());
  harness.persist();
  CHECK(harness.output(reader) == kNull);
}

TEST_CASE("replies about the data as a whole wait for the last entry", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  auto& reader = harness.connect();
  harness.call({"SET", "k", "v"});
  const std::string command = GENERATE("DBSIZE", "RANDOMKEY", "SCAN", "KEYS");
  if (command == "SCAN") {
    CHECK(harness.call_as(reader, {command, "0"}).empty());
  } else if (command == "KEYS") {
    CHECK(harness.call_as(reader, {command, "*"}).empty());
  } else {
    CHECK(harness.call_as(reader, {command}).empty());
  }
  harness.persist();
  CHECK_FALSE(harness.output(reader).empty());
}

TEST_CASE("a whole MULTI is one entry", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  harness.call({"MULTI"});
  harness.call({"SET", "a", "1"});
  harness.call({"INCR", "a"});
  harness.call({"HSET", "h", "f", "v"});
  harness.call({"EXEC"});
  const auto appends = harness.requests_of<log::AppendRequest>();
  REQUIRE(appends.size() == 1);
  REQUIRE(appends[0].entries.size() == 1);
  MutationDecoder decoder(appends[0].entries[0].payload, MutationLimits{});
  while (decoder.next()) {
  }
  CHECK(decoder.ok());
  CHECK(decoder.count() == 3);
}

TEST_CASE("until all is loaded there is no answer but LOADING", "[persistence]") {
  StorageHarness harness;
  CHECK(harness.call({"GET", "k"}) == kLoading);
  CHECK(harness.call({"PING"}) == kLoading);
  CHECK(harness.call({"INFO", "persistence"}).find("loading:1") != std::string::npos);
  log::Recovered recovered;
  recovered.last_index = LogIndex{7};
  recovered.last_term = Term{3};
  recovered.last_time = harness.now.unix_ms + 5000;
  recovered.snapshot_index = LogIndex{5};
  harness.tell(recovered);
  CHECK_FALSE(harness.requests_of<log::LoadRequest>().empty());
  CHECK(harness.call({"GET", "k"}) == kLoading);
  log::LoadedBlock snapshot;
  snapshot.snapshot_mutations = put_of("k", "old");
  harness.tell(std::move(snapshot));
  log::LoadedBlock entries;
  entries.entries.push_back({Term{3}, LogIndex{6}, 0, log::EntryKind::kNoOp, {}});
  entries.entries.push_back(
      {Term{3}, LogIndex{7}, 0, log::EntryKind::kMutations, put_of("k", "new")});
  harness.tell(std::move(entries));
  harness.requests();
  CHECK(harness.call({"GET", "k"}) == kLoading);
  harness.tell(log::Loaded{});
  auto appends = harness.requests_of<log::AppendRequest>();
  REQUIRE(appends.size() == 1);  // this life's first entry
  CHECK(appends[0].entries[0].index == LogIndex{8});
  CHECK(appends[0].entries[0].term == Term{4});
  CHECK(appends[0].entries[0].time >= recovered.last_time);
  CHECK(harness.call({"GET", "k"}) == "$3\r\nnew\r\n");
}

TEST_CASE("a lone node clears the mark of a doubtful end once all that is left is loaded",
          "[persistence]") {
  StorageHarness harness;
  log::Recovered recovered;
  recovered.last_index = LogIndex{5};
  recovered.snapshot_index = LogIndex{5};
  recovered.tail_in_doubt = true;
  recovered.record.recovering = true;
  recovered.record.incarnation = 7;
  harness.tell(recovered);
  CHECK(harness.requests_of<log::SaveRecordRequest>().empty());
  harness.tell(log::Loaded{});
  const auto saved = harness.requests_of<log::SaveRecordRequest>();
  REQUIRE(saved.size() == 1);
  CHECK_FALSE(saved[0].record.recovering);
  CHECK(saved[0].record.incarnation == 7);
}

TEST_CASE("a stop while loading asks storage for nothing more", "[persistence]") {
  StorageHarness harness;
  const bool recovered_before = GENERATE(false, true);
  log::Recovered recovered;
  recovered.last_index = LogIndex{7};
  if (recovered_before) {
    harness.tell(recovered);
    harness.requests();
  }
  harness.node.stop(harness.now);
  CHECK(harness.requests_of<log::StopRequest>().size() == 1);
  // What storage had said already still arrives.
  if (!recovered_before) harness.tell(recovered);
  if (recovered_before) harness.tell(log::LoadedBlock{});
  CHECK(harness.requests().empty());
  harness.tell(log::Stopped{true});
  CHECK(harness.node.storage_stopped());
}

TEST_CASE("an older snapshot takes a damaged one's place from an empty keyspace", "[persistence]") {
  StorageHarness harness;
  log::Recovered recovered;
  recovered.last_index = LogIndex{5};
  recovered.snapshot_index = LogIndex{5};
  harness.tell(recovered);
  log::LoadedBlock damaged;
  damaged.snapshot_mutations = put_of("ghost", "1");
  harness.tell(std::move(damaged));
  harness.requests();
  log::LoadedBlock older;
  older.restart = true;
  older.snapshot_mutations = put_of("k", "v");
  harness.tell(std::move(older));
  harness.tell(log::Loaded{});
  harness.persist();
  CHECK(harness.call({"EXISTS", "ghost"}) == ":0\r\n");
  CHECK(harness.call({"EXISTS", "k"}) == ":1\r\n");
}

TEST_CASE("content that does not fit ends the node instead of being passed over", "[persistence]") {
  StorageHarness harness;
  log::Recovered recovered;
  recovered.last_index = LogIndex{1};
  harness.tell(recovered);
  log::LoadedBlock block;
  block.entries.push_back(
      {Term{1}, LogIndex{1}, 0, log::EntryKind::kMutations, Rope::copy_of("\x63 unknown")});
  harness.tell(std::move(block));
  harness.requests();
  const auto effects = harness.node.take_effects();
  CHECK(effects.fatal.find("cannot be loaded") != std::string::npos);
}

TEST_CASE("while the disk fails writes are refused and reads go on", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  harness.call({"SET", "k", "v"});
  harness.persist();
  harness.output(*harness.client);
  auto& writer = harness.connect();
  harness.call_as(writer, {"SET", "uncertain", "1"});
  harness.requests();
  harness.tell(disk_full());

  SECTION("who waits for a reply is disconnected, nobody else") {
    const auto effects = harness.node.take_effects();
    REQUIRE(effects.close.size() == 1);
    CHECK(effects.close[0].id == writer.id);
  }
  CHECK(harness.call({"SET", "k", "w"}) == kDiskError);
  CHECK(harness.call({"DEL", "k"}) == kDiskError);
  CHECK(harness.call({"PING"}) == kDiskError);
  CHECK(harness.call({"GET", "k"}) == "$1\r\nv\r\n");
  CHECK(harness.call({"GET", "uncertain"}) == kDiskError);
  CHECK(harness.call({"INFO", "persistence"}).find("aof_last_write_status:err") !=
        std::string::npos);
  CHECK(harness.call({"BGSAVE"}).starts_with("-MISCONF"));
  harness.call({"MULTI"});
  CHECK(harness.call({"SET", "k", "w"}) == kDiskError);
  CHECK(harness.call({"EXEC"}) ==
        "-EXECABORT Transaction discarded because of previous errors.\r\n");

  SECTION("and the disk's recovery ends that") {
    harness.tell(log::Healthy{});
    CHECK(harness.call({"SET", "k", "w"}).empty());
    harness.persist();
    CHECK(harness.output(*harness.client) == kOk);
    CHECK(harness.call({"GET", "uncertain"}) == "$1\r\n1\r\n");
  }
}

TEST_CASE("a transaction that selected a database and read what is uncertain ends the connection",
          "[persistence]") {
  // An error instead of its reply left the client in another database than it knew of.
  StorageHarness harness;
  harness.start_empty();
  auto& writer = harness.connect();
  harness.call_as(writer, {"SELECT", "3"});
  harness.call_as(writer, {"SET", "k", "v"});
  harness.requests();
  harness.tell(disk_full());
  harness.node.take_effects();
  harness.call({"MULTI"});
  harness.call({"SELECT", "3"});
  harness.call({"GET", "k"});
  CHECK(harness.call({"EXEC"}).empty());
  const auto effects = harness.node.take_effects();
  REQUIRE(effects.close.size() == 1);
  CHECK(effects.close[0].id == harness.client->id);
}

TEST_CASE("an overdue key is absent while the disk fails, without an entry", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  harness.call({"SET", "k", "v", "PX", "10"});
  harness.persist();
  harness.output(*harness.client);
  harness.tell(disk_full());
  harness.advance_ms(20);
  CHECK(harness.call({"GET", "k"}) == kNull);
  CHECK(harness.requests_of<log::AppendRequest>().empty());
  harness.tell(log::Healthy{});
  CHECK(harness.requests_of<log::AppendRequest>().size() == 1);  // the deletion
}

TEST_CASE("BGSAVE tells storage the data as it was, and finishes once that is committed",
          "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  harness.call({"SET", "a", "1"});
  harness.persist();
  harness.output(*harness.client);
  harness.call({"SET", "b", "2"});          // not persisted yet
  CHECK(harness.call({"BGSAVE"}).empty());  // behind the reply of SET
  auto all = harness.requests();
  CHECK(harness.call({"BGSAVE"}).empty());
  for (log::Request& one : harness.requests()) all.push_back(std::move(one));
  std::size_t records = 0;
  LogIndex index;
  log::WriteNumber write = 0;
  for (const log::Request& one : all) {
    if (const auto* begin = std::get_if<log::BeginSnapshotRequest>(&one)) index = begin->index;
    if (const auto* block = std::get_if<log::SnapshotBlockRequest>(&one))
      records += block->record_count;
    if (const auto* append = std::get_if<log::AppendRequest>(&one)) write = append->write;
    CHECK_FALSE(std::holds_alternative<log::FinishSnapshotRequest>(one));
  }
  CHECK(index == LogIndex{3});
  CHECK(records == 2);
  harness.tell(log::Persisted{write});
  CHECK(harness.output(*harness.client) ==
        "+OK\r\n+Background saving started\r\n-ERR Background save already in progress\r\n");
  CHECK(harness.requests_of<log::FinishSnapshotRequest>().size() == 1);
  CHECK(harness.call({"INFO", "persistence"}).find("rdb_bgsave_in_progress:1") !=
        std::string::npos);
  harness.advance_ms(5000);
  log::SnapshotDone done;
  done.index = index;
  harness.tell(done);
  CHECK(harness.call({"LASTSAVE"}) == ":" + std::to_string(harness.now.unix_ms / 1000) + "\r\n");
  CHECK(harness.call({"INFO", "persistence"}).find("rdb_changes_since_last_save:0") !=
        std::string::npos);
}

TEST_CASE("SAVE is answered when the snapshot is on disk, and nobody else waits", "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  auto& other = harness.connect();
  CHECK(harness.call({"SAVE"}).empty());
  CHECK(harness.last_step == Step::kAwaits);
  CHECK(harness.call_as(other, {"PING"}) == "+PONG\r\n");
  harness.requests();
  harness.requests();
  SECTION("well") {
    harness.tell(log::SnapshotDone{});
    CHECK(harness.output(*harness.client) == kOk);
  }
  SECTION("or not") {
    harness.tell(log::SnapshotFailed{"EIO"});
    CHECK(harness.output(*harness.client).starts_with("-ERR the snapshot could not be saved"));
    CHECK(harness.run(*harness.client) == Step::kNeedMore);
    CHECK(harness.call({"INFO", "persistence"}).find("rdb_last_bgsave_status:err") !=
          std::string::npos);
  }
  const auto effects = harness.node.take_effects();
  REQUIRE(effects.resume.size() == 1);
  CHECK(effects.resume[0] == harness.client->id);
}

TEST_CASE("the schedule takes a snapshot after so long and so many changes", "[persistence]") {
  config::Options options;
  options.persistence.snapshot_schedule.rules = {{60, 2}};
  StorageHarness harness(options);
  harness.start_empty();
  harness.call({"SET", "a", "1"});
  harness.persist();
  harness.advance_ms(61'000);
  CHECK(harness.requests_of<log::BeginSnapshotRequest>().empty());
  harness.call({"SET", "b", "1"});
  CHECK(harness.requests_of<log::BeginSnapshotRequest>().size() == 1);
}

TEST_CASE("the log's growth takes a snapshot, also what was there at the start", "[persistence]") {
  config::Options options;
  options.persistence.snapshot_log_bytes = 2000;
  StorageHarness harness(options);
  log::Recovered recovered;
  recovered.last_index = LogIndex{5};
  harness.tell(recovered);
  log::LoadedBlock block;
  block.entries.push_back(
      {Term{1}, LogIndex{5}, 0, log::EntryKind::kMutations, put_of("k", std::string(1500, 'x'))});
  harness.tell(std::move(block));
  harness.tell(log::Loaded{});
  harness.persist();
  CHECK(harness.requests_of<log::BeginSnapshotRequest>().empty());
  harness.call({"SET", "l", std::string(600, 'x')});
  harness.requests();  // the turn that seals it; the next one looks at the log's size
  CHECK(harness.requests_of<log::BeginSnapshotRequest>().size() == 1);
  SECTION("one that fails is tried again") {
    harness.tell(log::SnapshotFailed{"ENOSPC"});
    harness.requests();
    CHECK(harness.requests_of<log::BeginSnapshotRequest>().empty());  // not at once
    harness.advance_ms(6000);
    CHECK(harness.requests_of<log::BeginSnapshotRequest>().size() == 1);
  }
  SECTION("one that is saved begins anew") {
    harness.persist();
    harness.requests();
    harness.tell(log::SnapshotDone{});
    harness.advance_ms(6000);
    harness.call({"SET", "m", "v"});
    CHECK(harness.requests_of<log::BeginSnapshotRequest>().empty());
  }
}

TEST_CASE("a failing disk is a warning in the log, a snapshot that was saved is not",
          "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  harness.node.take_effects();
  const auto level = [&] {
    const auto effects = harness.node.take_effects();
    REQUIRE(effects.log_lines.size() == 1);
    return effects.log_lines[0].level;
  };
  harness.tell(log::Failed{{log::FileErrorKind::kIo, "fsync", "log", 5, "EIO"}, "fsync log: EIO"});
  CHECK(level() == config::LogLevel::kWarning);
  harness.tell(log::Healthy{});
  CHECK(level() == config::LogLevel::kWarning);
  harness.tell(log::Note{true, "damage"});
  CHECK(level() == config::LogLevel::kWarning);
  harness.tell(log::Note{false, "a torn tail"});
  CHECK(level() == config::LogLevel::kNotice);
  harness.tell(log::SnapshotFailed{"no room"});
  CHECK(level() == config::LogLevel::kWarning);
  harness.tell(log::SnapshotDone{});
  CHECK(level() == config::LogLevel::kNotice);
}

TEST_CASE("a folder that is refused is not said to be left unclean", "[persistence]") {
  StorageHarness harness;
  harness.tell(log::Refused{"in use"});
  CHECK(harness.node.take_effects().fatal == "in use");
  harness.node.stop(harness.now);
  harness.tell(log::Stopped{false});
  CHECK(harness.node.take_effects().log_lines.empty());
}

TEST_CASE("a snapshot that failed can be followed by another, whose content is right",
          "[persistence]") {
  StorageHarness harness;
  harness.start_empty();
  for (int i = 0; i < 500; ++i) harness.call({"SET", "k" + std::to_string(i), "v"});
  harness.persist();
  harness.call({"BGSAVE"});
  harness.node.background(harness.now, 16);  // begins
  harness.node.background(harness.now, 16);
  harness.tell(log::SnapshotFailed{"EIO"});
  harness.call({"SET", "k1", "w"});
  harness.persist();
  harness.call({"BGSAVE"});
  std::size_t records = 0;
  for (int i = 0; i < 3; ++i) {
    for (const auto& block : harness.requests_of<log::SnapshotBlockRequest>())
      records += block.record_count;
  }
  CHECK(records == 500);
}

}  // namespace
}  // namespace holdfast::node
