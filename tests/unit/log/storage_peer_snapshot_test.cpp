// Snapshots that members send each other: read as a stream, stored, installed.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "replication/log/check.hpp"
#include "replication/log/snapshot_stream.hpp"
#include "replication/log/storage_requests.hpp"
#include "tests/unit/log/started_member.hpp"
#include "tests/unit/log/storage_member.hpp"

namespace holdfast::log::test {

namespace {

using sim::SimDisk;
using PeerSnapshot = StorageMember::PeerSnapshot;
using Catch::Matchers::Contains;

StorageOptions storage_of(std::uint64_t seed, Packing packing, const KeyRing& keys) {
  StorageOptions options = small_storage(seed, FsyncMode::kEverySecond);
  options.snapshot_packing = packing;
  options.keys = keys;
  return options;
}

// Its texts are unlike those of any other member.
PeerSnapshot peer_snapshot(std::size_t entries, std::uint64_t term = 50,
                           Packing packing = Packing::kPlain, const KeyRing& keys = {}) {
  Member peer(storage_of(77, packing, keys));
  peer.it.set_term(term);
  peer.it.append(entries, 60);
  peer.it.take_snapshot();
  PeerSnapshot snapshot = peer.it.read_snapshot(200);
  REQUIRE(peer.it.problem() == "");
  REQUIRE(snapshot.index() == LogIndex{entries});
  return snapshot;
}

}  // namespace

TEST_CASE("a peer's snapshot replaces what a member had, whatever its keys and packing",
          "[storage][peer_snapshot]") {
  const Packing packing = GENERATE(Packing::kPlain, Packing::kZstd);
  const KeyRing keys = GENERATE(false, true) ? KeyRing({numbered_key(1)}) : KeyRing();
  const PeerSnapshot snapshot = peer_snapshot(12, 50, Packing::kZstd, KeyRing({numbered_key(9)}));
  Member member(storage_of(1, packing, keys));
  member.it.append(7);
  member.it.take_snapshot();
  member.it.append(2);
  member.it.store(snapshot, 100);
  CHECK(member.it.store_failures().empty());
  CHECK(member.it.spent_ropes() >= snapshot.stream.size() / 100);
  REQUIRE(member.it.stored().size() == (snapshot.stream.size() + 99) / 100);
  CHECK(member.it.stored()[0].bytes == 100);
  CHECK(!member.it.stored()[0].is_whole);
  CHECK(member.it.stored().back().bytes == snapshot.stream.size());
  CHECK(member.it.stored().back().is_whole);
  member.it.install(snapshot);
  CHECK(member.it.persisted() == member.it.last_write());
  CHECK(member.it.spent_entries() == 9);
  CHECK(member.count(".hfs") == 1);
  CHECK(member.count(".tmp") == 0);
  member.it.append(3);
  CHECK(member.it.persisted() == member.it.last_write());
  if (GENERATE(false, true)) {
    member.it.kill();
  } else {
    member.it.wait(1'000'000);
    member.it.lose_power();
  }
  CHECK(member.is_healthy());
  member.restart();
  CHECK(member.it.recovered().snapshot_index == LogIndex{12});
  CHECK(member.it.recovered().snapshot_term == Term{50});
  CHECK(member.it.recovered().first_log_index == LogIndex{13});
  CHECK(member.it.loaded().size() == 15);
  CHECK(member.it.loaded_snapshot().snapshot_index == LogIndex{12});
  CHECK(member.it.loaded_snapshot().snapshot_term == Term{50});
}

TEST_CASE("what was installed can be sent on, and is what was sent", "[storage][peer_snapshot]") {
  const PeerSnapshot snapshot = peer_snapshot(12, 50, Packing::kZstd, KeyRing({numbered_key(9)}));
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.store(snapshot, 1);  // byte by byte
  member.it.install(snapshot);
  const PeerSnapshot again = member.it.read_snapshot(64);
  CHECK(member.it.problem() == "");
  CHECK(again.index() == snapshot.index());
  CHECK(again.term == snapshot.term);
  const auto contents = [](const PeerSnapshot& of) {
    SnapshotStreamDecoder decoder;
    REQUIRE(decoder.add(of.stream));
    REQUIRE(decoder.is_complete());
    std::string all = fmt::format("{} records: ", decoder.totals().records);
    while (const auto block = decoder.next()) all += block->str();
    return all;
  };
  CHECK(contents(again) == contents(snapshot));
}

TEST_CASE("an installation may go back, or to nothing", "[storage][peer_snapshot]") {
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(5, 400);
  member.it.take_snapshot();
  member.it.append(15, 400);
  member.it.take_snapshot();
  member.it.append(4);
  const PeerSnapshot snapshot = GENERATE(PeerSnapshot{}, peer_snapshot(3), peer_snapshot(20));
  member.it.store(snapshot, 1000);
  member.it.install(snapshot);
  CHECK(member.it.persisted() == member.it.last_write());
  CHECK(member.count(".hfs") == (snapshot.texts.empty() ? 0 : 1));
  member.it.kill();
  CHECK(member.is_healthy());
  member.restart();
  CHECK(member.it.loaded() == snapshot.texts);
  CHECK(member.it.loaded_snapshot().snapshot_index == snapshot.index());
  member.it.append(3);
  member.it.take_snapshot();
  member.it.append(1);
  member.it.lose_power();
  member.restart();
  CHECK(member.it.loaded().size() == snapshot.texts.size() + 4);
}

TEST_CASE("a stored snapshot that is not installed counts for nothing",
          "[storage][peer_snapshot]") {
  const PeerSnapshot snapshot = peer_snapshot(12);
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(5);
  member.it.store(snapshot, 100);
  CHECK(member.count("incoming") == 1);
  member.it.append(1);
  CHECK(member.it.read_snapshot(100).stream.empty());  // there is none of its own
  SECTION("a start removes it") {
    member.it.kill();
    CHECK(member.is_healthy());
    REQUIRE(member.it.start());
  }
  SECTION("as does a clean stop") {
    REQUIRE(member.it.stop());
  }
  SECTION("or who discards it") {
    member.it.post(DiscardSnapshotRequest{});
  }
  CHECK(member.count("incoming") == 0);
  CHECK(member.it.model().size() == 6);
}

TEST_CASE("a stream may begin anew, and goes on beside the member's own snapshot",
          "[storage][peer_snapshot]") {
  const PeerSnapshot first = peer_snapshot(12);
  const PeerSnapshot second = peer_snapshot(14, 51);
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(5);
  member.it.begin_snapshot();
  member.it.store(first, 100);
  member.it.add_block();
  member.it.store(second, 100);
  member.it.finish_snapshot();
  REQUIRE(member.it.snapshots().size() == 1);
  CHECK(member.it.snapshots()[0].index == LogIndex{5});
  CHECK(member.it.store_failures().empty());
  member.it.install(second);
  member.it.kill();
  member.restart();
  CHECK(member.it.loaded() == second.texts);
}

TEST_CASE("an installation ends the snapshot of its own that is under way",
          "[storage][peer_snapshot]") {
  const PeerSnapshot snapshot = peer_snapshot(4);
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(9);
  member.it.begin_snapshot();
  member.it.add_block();
  member.it.store(snapshot, 100);
  member.it.install(snapshot);
  REQUIRE(member.it.snapshot_failures().size() == 1);
  CHECK_THAT(member.it.snapshot_failures()[0], Contains("installed"));
  member.it.finish_snapshot();  // is ignored
  CHECK(member.it.snapshots().empty());
  member.it.kill();
  member.restart();
  CHECK(member.it.loaded() == snapshot.texts);
}

TEST_CASE("a stream that is not what it should be is refused", "[storage][peer_snapshot]") {
  const PeerSnapshot good = peer_snapshot(12);
  const bool then_install_all_the_same = GENERATE(false, true);
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(5);
  PeerSnapshot bad = good;
  std::string why;
  SECTION("garbage") {
    bad.stream = std::string(500, 'g');
    why = "is no snapshot of Holdfast";
  }
  SECTION("a flipped bit") {
    bad.stream[bad.stream.size() / 2] = static_cast<char>(bad.stream[bad.stream.size() / 2] ^ 4);
    why = "the checksum is wrong";
  }
  SECTION("cut off") {
    bad.stream.resize(bad.stream.size() - 1);
    why = "ends before its end";
  }
  SECTION("empty") {
    StoreSnapshotRequest block;
    block.index = bad.index();
    block.term = bad.term;
    block.is_last = true;
    member.it.post(std::move(block));
    bad.stream.clear();
    why = "ends before its end";
  }
  SECTION("of another index") {
    bad.texts.pop_back();
    why = "holds 12 of term 50";
  }
  SECTION("of another term") {
    bad.term = Term{49};
    why = "holds 12 of term 50";
  }
  SECTION("with a gap") {
    member.it.store(good, good.stream.size() / 2 + 1);
    StoreSnapshotRequest block;
    block.index = good.index();
    block.term = good.term;
    block.offset = 1000000;
    block.bytes = Rope::copy_of("x");
    member.it.post(std::move(block));
    bad.stream.clear();
    why = "goes on";
  }
  member.it.store(bad, 100);
  REQUIRE(member.it.store_failures().size() == 1);  // once, whatever followed
  CHECK_THAT(member.it.store_failures()[0], Contains(why));
  CHECK(member.count("incoming") == 0);
  member.it.append(1);
  CHECK(member.it.persisted() == member.it.last_write());

  if (then_install_all_the_same) {  // ends storage, with the folder as it was
    member.it.install(good);
    CHECK_THAT(member.it.refusal(), Contains("could not be stored"));
    CHECK(member.it.persisted() < member.it.last_write());
    member.it.kill();
    member.restart();
    CHECK(member.it.loaded().size() == 6);
  } else {
    member.it.store(good, 100);
    member.it.install(good);
    CHECK(member.it.persisted() == member.it.last_write());
    member.it.kill();
    member.restart();
    CHECK(member.it.loaded() == good.texts);
  }
}

TEST_CASE("a full disk makes storing fail, and the log goes on", "[storage][peer_snapshot]") {
  const PeerSnapshot snapshot = peer_snapshot(12);
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(5);
  std::uint64_t used = 0;
  for (const std::string& path : member.disk.paths()) used += member.disk.content(path).size();
  member.disk.set_capacity(used + snapshot.stream.size() / 2);
  member.it.store(snapshot, 100);
  REQUIRE(member.it.store_failures().size() == 1);
  CHECK_THAT(member.it.store_failures()[0], Contains("No space left") && Contains("free space"));
  const std::size_t stored = member.it.stored().size();
  CHECK(stored * 100 < snapshot.stream.size());  // nothing behind the failure
  CHECK(!member.it.is_failed());
  CHECK(member.count("incoming") == 0);
  member.it.append(1);
  CHECK(member.it.persisted() == member.it.last_write());
  member.disk.set_capacity(1 << 30);
  member.it.store(snapshot, 100);
  CHECK(member.it.stored().back().is_whole);
  member.it.install(snapshot);
  CHECK(member.it.persisted() == member.it.last_write());
}

TEST_CASE("while the log cannot be written no stream begins", "[storage][peer_snapshot]") {
  const PeerSnapshot snapshot = peer_snapshot(12);
  Member member(small_storage(1, FsyncMode::kAlways));
  member.disk.strike_at(member.disk.operations(), {SimDisk::Strike::kError, FileErrorKind::kIo});
  member.it.append(1);
  REQUIRE(member.it.is_failed());
  member.it.store(snapshot, 100);
  REQUIRE(member.it.store_failures().size() == 1);
  CHECK_THAT(member.it.store_failures()[0], Contains("the log cannot be written"));
  REQUIRE(member.it.heal());
}

TEST_CASE("an installation that the disk refuses is tried again", "[storage][peer_snapshot]") {
  const PeerSnapshot snapshot = GENERATE(PeerSnapshot{}, peer_snapshot(3), peer_snapshot(12));
  for (std::uint64_t at = 0;; ++at) {
    Member member(small_storage(1, FsyncMode::kAlways));
    member.it.append(5);
    member.it.take_snapshot();
    member.it.store(snapshot, 1000);
    const std::uint64_t before = member.disk.operations();
    member.disk.strike_at(before + at, {SimDisk::Strike::kError, FileErrorKind::kNoSpace});
    member.it.install(snapshot);
    const bool was_failed = member.it.is_failed();
    // What comes behind it waits.
    const PeerSnapshot next = peer_snapshot(20, 60);
    member.it.store(next, 1000);
    CHECK((member.it.persisted() == member.it.last_write()) == !was_failed);
    member.it.append(1);
    REQUIRE(member.it.heal());
    CHECK(member.it.persisted() == member.it.last_write());
    CHECK(member.it.refusal() == "");
    member.disk.clear_strikes();
    member.it.kill();
    member.restart();
    CHECK(member.it.loaded().size() == snapshot.texts.size() + 1);
    if (member.disk.struck() == "" || at > 100) break;
  }
}

TEST_CASE("blocks behind an installation wait for it", "[storage][peer_snapshot]") {
  const PeerSnapshot first = peer_snapshot(12);
  const PeerSnapshot second = peer_snapshot(14, 51);
  Member member(small_storage(1, FsyncMode::kAlways));
  std::vector<Request> requests;
  const auto store = [&](const PeerSnapshot& snapshot) {
    requests.emplace_back(StoreSnapshotRequest{snapshot.index(), snapshot.term, 0,
                                               Rope::copy_of(snapshot.stream), true});
  };
  store(first);
  requests.emplace_back(InstallSnapshotRequest{1, first.index(), first.term});
  store(second);
  requests.emplace_back(InstallSnapshotRequest{2, second.index(), second.term});
  StorageEvents out;
  CHECK(payload_bytes(requests[2]) == second.stream.size());
  member.it.storage().handle(std::move(requests), 2'000'000, out);
  std::vector<WriteNumber> persisted;
  for (const StorageEvent& event : out.events) {
    CHECK(std::get_if<Refused>(&event) == nullptr);
    if (const auto* one = std::get_if<Persisted>(&event)) persisted.push_back(one->write);
  }
  CHECK(persisted == std::vector<WriteNumber>{1, 2});
  CHECK(out.spent_ropes.size() == 2);
  CHECK(member.it.storage().waiting_bytes() == 0);
}

// --- reading

TEST_CASE("a stream is read from any offset, and by several readers", "[storage][peer_snapshot]") {
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(12, 60);
  member.it.take_snapshot();
  const PeerSnapshot whole = member.it.read_snapshot(1 << 20);
  const auto read = [&](std::uint64_t reader, std::uint64_t offset, std::size_t bytes_max) {
    member.it.post(ReadSnapshotRequest{reader, whole.index(), whole.term, offset, bytes_max});
    return member.it.parts().back();
  };
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t offset = random.below(whole.stream.size() + 1);
    const std::size_t bytes_max = 1 + random.below(300);
    const SnapshotPart part = read(random.below(3), offset, bytes_max);
    CHECK(part.error == "");
    CHECK(part.index == whole.index());
    CHECK(part.offset == offset);
    CHECK(part.bytes.str() == whole.stream.substr(offset, bytes_max));
    CHECK(part.is_last == (offset + bytes_max >= whole.stream.size()));
  }
  CHECK_THAT(read(1, whole.stream.size() + 1, 10).error, Contains("ends at"));
  // The same after a restart.
  member.it.kill();
  member.restart();
  CHECK(read(1, 100, 200).bytes.str() == whole.stream.substr(100, 200));
}

TEST_CASE("a stream that goes on reads nothing twice", "[storage][peer_snapshot]") {
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(12, 60);
  member.it.take_snapshot();
  const PeerSnapshot whole = member.it.read_snapshot(1 << 20);
  ReadSnapshotRequest request{1, whole.index(), whole.term, 0, 100};
  member.it.post(request);
  const std::uint64_t operations = member.disk.operations();
  for (int i = 0; i < 5; ++i) {
    request.offset += 100;
    member.it.post(request);
    CHECK(member.it.parts().back().bytes.str() == whole.stream.substr(request.offset, 100));
  }
  CHECK(member.disk.operations() == operations);  // the file was small
}

TEST_CASE("a snapshot that is being read stays readable when retention removes it",
          "[storage][peer_snapshot]") {
  Member member(small_storage(1, FsyncMode::kAlways));  // keeps two
  member.it.append(12, 60);
  member.it.take_snapshot();
  const PeerSnapshot whole = member.it.read_snapshot(1 << 20);
  const auto read = [&](std::uint64_t reader, std::uint64_t offset) {
    member.it.post(ReadSnapshotRequest{reader, whole.index(), whole.term, offset, 100});
    return member.it.parts().back();
  };
  CHECK(read(1, 0).bytes.str() == whole.stream.substr(0, 100));
  for (int i = 0; i < 3; ++i) {
    member.it.append(1);
    member.it.take_snapshot();
  }
  REQUIRE(member.count(snapshot_name(whole.index())) == 0);
  CHECK(read(1, 100).bytes.str() == whole.stream.substr(100, 100));
  CHECK(read(1, 50).bytes.str() == whole.stream.substr(50, 100));  // back
  const SnapshotPart other = read(2, 100);                         // who comes now gets the newest
  CHECK(other.index == LogIndex{15});
  CHECK(other.offset == 0);
  CHECK(other.error == "");
  member.it.post(EndSnapshotReadRequest{1});
  CHECK(read(1, 100).index == LogIndex{15});
}

TEST_CASE("without a snapshot a reader is told so, and the end tells it too",
          "[storage][peer_snapshot]") {
  Member member(small_storage(1, FsyncMode::kAlways));
  member.it.append(1);
  member.it.post(ReadSnapshotRequest{1, {}, {}, 0, 100});
  CHECK_THAT(member.it.parts().back().error, Contains("there is no snapshot"));
  REQUIRE(member.it.stop());
}

TEST_CASE("a snapshot that turns out damaged in reading gives way to another one",
          "[storage][peer_snapshot]") {
  Member member(small_storage(1, FsyncMode::kAlways));
  const bool has_older = GENERATE(false, true);
  member.it.append(10, 60);
  if (has_older) {
    member.it.take_snapshot();
    member.it.append(10, 60);
  }
  member.it.take_snapshot();
  const std::string path = member.path(".hfs");
  std::string bytes = member.disk.content(path);
  bytes[kHeaderBytes + 300] = static_cast<char>(bytes[kHeaderBytes + 300] ^ 1);
  member.disk.set_content(path, bytes);
  const auto read = [&] {
    member.it.post(ReadSnapshotRequest{1, {}, {}, 0, 1 << 20});
    return member.it.parts().back();
  };
  CHECK_THAT(read().error, Contains(path));
  REQUIRE(!member.it.warnings().empty());
  CHECK_THAT(member.it.warnings().back(), Contains("is damaged and is not used"));
  const SnapshotPart next = read();
  if (has_older) {
    CHECK(next.index == LogIndex{10});
    CHECK(next.error == "");
    CHECK(member.count(".damaged") == 1);
    member.it.kill();
    member.restart();
    CHECK(member.it.loaded().size() == 20);
  } else {
    CHECK_THAT(next.error, Contains("there is no snapshot"));
    CHECK(member.count(".damaged") == 0);
  }
}

}  // namespace holdfast::log::test
