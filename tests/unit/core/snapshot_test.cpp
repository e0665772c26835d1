#include <catch2/catch.hpp>

#include "tests/unit/core/fixture.hpp"

using namespace holdfast;
using namespace holdfast::core;
using wire::SnapshotChunk;
using wire::SnapshotId;
using wire::SnapshotReply;

namespace {

SnapshotChunk chunk(SnapshotId id, std::uint64_t offset, std::string_view bytes, bool is_last) {
  return {id, 0, offset, is_last, Rope::copy_of(bytes)};
}

constexpr SnapshotId kAt100{{100}, {3}};

}  // namespace

TEST_CASE("a snapshot is installed when it is complete and its index is committed", "[snapshot]") {
  Member replica = MemberBuilder().id(2).term(4).log_through(10).build();
  replica.hears(1, chunk(kAt100, 0, "half", false));
  CHECK(replica.said<SnapshotReply>(1)->received_bytes == 4);
  replica.hears(1, chunk(kAt100, 4, "rest", true));
  CHECK(replica.effects().store_snapshot.size() == 2);
  CHECK_FALSE(replica.effects().install_snapshot);
  replica.hears(1, wire::Heartbeat{1, 0, {99}, {120}, {}});
  CHECK_FALSE(replica.effects().install_snapshot);
  replica.holds_disk = true;
  replica.hears(1, wire::Heartbeat{2, 0, {100}, {120}, {}});
  REQUIRE(replica.effects().install_snapshot);
  CHECK(*replica.effects().install_snapshot == kAt100);
  CHECK(replica->commit_index() == LogIndex{100});
  CHECK(replica->last_index() == LogIndex{100});
  CHECK(replica->term_at({100}) == Term{3});
  CHECK_FALSE(replica->term_at({99}));
  REQUIRE(replica.effects().writes.size() == 1);
  CHECK(*replica.effects().writes[0].reset == kAt100);
  // It says so when it is on disk.
  CHECK_FALSE(replica.said<SnapshotReply>(1)->is_installed);
  replica.persists_write();
  CHECK(replica.said<SnapshotReply>(1)->is_installed);
}

TEST_CASE("entries go on right behind an installed snapshot, and what is below is not there",
          "[snapshot]") {
  Member replica = MemberBuilder().id(2).term(4).log_through(10).build();
  replica.hears(1, chunk(kAt100, 0, "all", true));
  replica.hears(1, wire::Heartbeat{1, 0, {100}, {120}, {}});
  replica.hears(1, entries_after(99, 3, 3, 2));
  CHECK(replica.said<wire::AppendReply>(1)->hint_index == LogIndex{100});
  replica.hears(1, entries_after(100, 3, 3, 2));
  CHECK(replica->last_index() == LogIndex{102});
  replica.hears(1, entries_after(100, 2, 4, 1));  // another term at the snapshot itself
  CHECK(replica.noted("contradiction at") == false);
  CHECK(replica.noted("contradiction"));
  CHECK(replica->last_index() == LogIndex{102});
}

TEST_CASE("a snapshot below the own commit index is not installed", "[snapshot]") {
  Member replica = MemberBuilder().id(2).term(4).log_through(150).build();
  replica.hears(1, entries_after(150, 1, 4, 0, 120));
  CHECK(replica->commit_index() == LogIndex{120});
  replica.hears(1, chunk(kAt100, 0, "all", true));
  CHECK(replica.effects().store_snapshot.empty());
  CHECK(replica.said<SnapshotReply>(1)->is_installed);
  CHECK_FALSE(replica.effects().install_snapshot);
}

TEST_CASE("a log that reaches the snapshot by itself is kept", "[snapshot]") {
  Member replica = MemberBuilder().id(2).term(4).log_through(150, 3).build();
  replica.hears(1, chunk(kAt100, 0, "all", true));
  replica.hears(1, wire::Heartbeat{1, 0, {110}, {150}, {}});
  CHECK_FALSE(replica.effects().install_snapshot);
  CHECK(replica->last_index() == LogIndex{150});
}

TEST_CASE("a deposed primary's snapshot is discarded", "[snapshot]") {
  Member replica = MemberBuilder().id(2).term(4).log_through(10).build();
  replica.hears(1, chunk(kAt100, 0, "all", true));
  // The new primary has committed 100 too, but perhaps another entry there.
  replica.hears(3, {5}, wire::Heartbeat{1, 0, {100}, {120}, {}});
  CHECK(replica.effects().discard_snapshot);
  CHECK_FALSE(replica.effects().install_snapshot);
}

TEST_CASE("blocks out of order are not stored; the answer says where to go on", "[snapshot]") {
  Member replica = MemberBuilder().id(2).term(4).build();
  replica.hears(1, chunk(kAt100, 4, "rest", true));
  CHECK(replica.effects().store_snapshot.empty());
  CHECK(replica.said<SnapshotReply>(1)->received_bytes == 0);
  replica.hears(1, chunk(kAt100, 0, "half", false));
  replica.hears(1, chunk(kAt100, 0, "half", false));
  replica.hears(1, chunk(kAt100, 8, "more", false));
  CHECK(replica.effects().store_snapshot.size() == 1);
  CHECK(replica.said<SnapshotReply>(1)->received_bytes == 4);
}

TEST_CASE("a snapshot is sent in blocks within the window, goes on where the peer is, then the log",
          "[snapshot]") {
  MemberBuilder builder;
  builder.term(4).snapshot_at(100, 3).log_through(110, 3);
  builder.config.window_bytes = 400;
  builder.config.message_bytes = 100;
  Member primary = elected_primary(builder);
  primary.happens(PeerConnected{{3}});
  wire::AppendReply refused;
  refused.hint_index = {5};
  primary.hears(3, refused);
  const std::string block(100, 'b');
  std::uint64_t sent = 0;
  while (primary.effects().read_snapshot.size() > sent / 100) {
    const ReadSnapshot read = primary.effects().read_snapshot.back();
    CHECK(read.offset == sent);
    primary.happens(SnapshotRead{{3}, kAt100, 0, sent, Rope::copy_of(block), false});
    sent += 100;
    REQUIRE(sent <= 400);
  }
  CHECK(sent == 400);
  CHECK(primary->log_needed_from() <= LogIndex{101});  // the log is kept while it streams
  primary.hears(3, SnapshotReply{kAt100, 200, false});
  CHECK(primary.effects().read_snapshot.back().offset == 400);

  SECTION("over a new link it goes on") {
    primary.happens(PeerLost{{3}});
    CHECK(primary.effects().end_snapshot.size() == 1);
    primary.happens(PeerConnected{{3}});
    primary.hears(3, refused);
    CHECK(primary.effects().read_snapshot.back().offset == 200);
    CHECK(primary.effects().read_snapshot.back().wanted == kAt100);
  }
  SECTION("installed, the log follows") {
    primary.forget();
    primary.hears(3, SnapshotReply{kAt100, 0, true});
    CHECK(primary.effects().end_snapshot.size() == 1);
    REQUIRE(primary.said<wire::AppendEntries>(3));
    CHECK(primary.said<wire::AppendEntries>(3)->prev_index == LogIndex{100});
    CHECK(primary.said<wire::AppendEntries>(3)->prev_term == Term{3});
  }
  SECTION("a snapshot that cannot be had is asked for again") {
    primary.happens(SnapshotUnavailable{{3}});
    primary.forget();
    for (int i = 0; i < 20; ++i) {
      primary.passes(25);
      primary.hears(2, wire::Busy{});
      primary.hears(3, wire::Busy{});
    }
    CHECK_FALSE(primary.effects().read_snapshot.empty());
  }
}
