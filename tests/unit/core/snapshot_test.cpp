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

// Member 1 as primary, whose log does not reach back to member 3. Blocks of 100 bytes, four of them
// in the window.
struct SendingPrimary {
  SendingPrimary() {
    primary.happens(PeerConnected{{3}});
    primary.hears(3, refused());
  }
  static Member build() {
    MemberBuilder builder;
    builder.term(4).snapshot_at(100, 3).log_through(110, 3);
    builder.config.window_bytes = 400;
    builder.config.message_bytes = builder.config.fragment_bytes = 100;
    return elected_primary(builder);
  }
  static wire::AppendReply refused() {
    wire::AppendReply reply;
    reply.hint_index = {5};
    return reply;
  }
  const ReadSnapshot& last_read() const { return primary.effects().read_snapshot.back(); }
  std::size_t reads() const { return primary.effects().read_snapshot.size(); }
  void answer(const ReadSnapshot& read, bool is_last = false) {
    const std::string block(100, 'b');
    primary.happens(SnapshotRead{read.peer, read.number, kAt100, 0, read.offset,
                                 Rope::copy_of(block), is_last});
  }
  // Time in which nobody says anything new.
  void passes(std::int64_t ms) {
    for (; ms > 0; ms -= 25) {
      primary.passes(25);
      primary.hears(2, wire::Busy{});
      primary.hears(3, wire::Busy{});
    }
  }

  Member primary = build();
};

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

// The primary sent on as fast as the link was, and what a full disk refused was installed.
TEST_CASE("blocks of a snapshot that no disk has taken are neither acknowledged nor installed",
          "[snapshot]") {
  MemberBuilder builder;
  builder.id(2).term(4).log_through(10);
  builder.config.window_bytes = 4;
  builder.config.message_bytes = builder.config.fragment_bytes = 1;
  Member replica = builder.build();
  replica.hears(1, wire::Heartbeat{1, 0, {100}, {120}, {}});
  replica.holds_disk = true;
  replica.hears(1, chunk(kAt100, 0, "some", false));
  replica.hears(1, chunk(kAt100, 4, "rest", true));
  REQUIRE(replica.effects().store_snapshot.size() == 2);
  CHECK_FALSE(replica.said<SnapshotReply>(1));
  CHECK_FALSE(replica.effects().install_snapshot);
  replica.stores_block();
  CHECK(replica.said<SnapshotReply>(1)->received_bytes == 4);
  CHECK_FALSE(replica.effects().install_snapshot);

  SECTION("when they are stored they are") {
    replica.stores_block();
    CHECK(replica.said<SnapshotReply>(1)->received_bytes == 8);
    CHECK(replica.effects().install_snapshot);
  }
  SECTION("what cannot be stored is dropped, and the primary hears of it") {
    replica.happens(SnapshotStoreFailed{replica.effects().store_snapshot[0].number});
    CHECK(replica.said<SnapshotReply>(1)->store_failed);
    replica.stores_block();  // is late
    CHECK_FALSE(replica.effects().install_snapshot);
    CHECK(replica->last_index() == LogIndex{10});
    replica.hears(1, chunk(kAt100, 4, "rest", true));
    CHECK(replica.said<SnapshotReply>(1)->received_bytes == 0);
    CHECK_FALSE(replica.said<SnapshotReply>(1)->store_failed);
    replica.hears(1, chunk(kAt100, 0, "all", true));
    replica.happens(SnapshotStoreFailed{replica.effects().store_snapshot[0].number});  // is late
    CHECK_FALSE(replica.said<SnapshotReply>(1)->store_failed);
    replica.stores_block();
    CHECK(replica.effects().install_snapshot);
  }
}

TEST_CASE("who sends more of a snapshot than is stored is not taken more of it", "[snapshot]") {
  MemberBuilder builder;
  builder.id(2).term(4);
  builder.config.window_bytes = 4;
  builder.config.message_bytes = builder.config.fragment_bytes = 1;
  Member replica = builder.build();
  replica.hears(1, wire::Heartbeat{1, 0, {}, {}, {}});
  replica.holds_disk = true;
  for (std::uint64_t offset = 0; offset < 40; offset += 4)
    replica.hears(1, chunk(kAt100, offset, "some", false));
  CHECK(replica.effects().store_snapshot.size() == 2);
  replica.stores_block();
  replica.hears(1, chunk(kAt100, 8, "some", false));
  CHECK(replica.effects().store_snapshot.size() == 3);
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
  SendingPrimary sending;
  Member& primary = sending.primary;
  std::uint64_t sent = 0;
  while (sending.reads() > sent / 100) {
    const ReadSnapshot read = sending.last_read();
    CHECK(read.offset == sent);
    sending.answer(read);
    sent += 100;
    REQUIRE(sent <= 400);
  }
  CHECK(sent == 400);
  CHECK(primary->log_needed_from() <= LogIndex{101});  // the log is kept while it streams
  primary.hears(3, SnapshotReply{kAt100, 200, false});
  CHECK(primary.effects().read_snapshot.back().offset == 400);

  SECTION("over a new link it goes on, and nothing is read twice") {
    primary.happens(PeerLost{{3}});
    primary.happens(PeerConnected{{3}});
    primary.forget();
    primary.hears(3, SendingPrimary::refused());
    CHECK(primary.count_said<SnapshotChunk>(3) == 2);  // from 200 on
    CHECK(primary.effects().read_snapshot.empty());    // it is still under way
    sending.answer({{3}, 5, kAt100, 400, 100, false});
    CHECK(primary.said<SnapshotChunk>(3)->offset == 400);
    CHECK(sending.last_read().offset == 500);
    CHECK(primary.effects().end_snapshot.empty());
  }
  SECTION("a link that stays away ends the stream, and a new one reads from where the peer is") {
    primary.happens(PeerLost{{3}});
    sending.passes(4'500);
    CHECK(primary.effects().end_snapshot.empty());
    primary.hears(2, acknowledged(111));
    sending.passes(1'000);
    CHECK(primary.effects().end_snapshot.size() == 1);
    sending.answer({{3}, 5, kAt100, 400, 100, false});
    primary.happens(PeerConnected{{3}});
    primary.hears(3, SendingPrimary::refused());
    CHECK(sending.last_read().offset == 200);
    CHECK(sending.last_read().wanted == kAt100);
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
    primary.happens(SnapshotUnavailable{{3}, sending.last_read().number});
    primary.forget();
    sending.passes(200);
    CHECK(primary.effects().read_snapshot.empty());
    sending.passes(300);
    CHECK_FALSE(primary.effects().read_snapshot.empty());
  }
}

TEST_CASE(
    "a stream that a late answer took back goes on where the peer is, though it is further on",
    "[snapshot]") {
  SendingPrimary it;
  for (int i = 0; i < 8; ++i) {
    it.answer(it.last_read());
    it.primary.hears(3, SnapshotReply{kAt100, static_cast<std::uint64_t>(i + 1) * 100, false});
  }
  CHECK(it.last_read().offset == 800);
  it.answer(it.last_read());
  it.primary.hears(3, SnapshotReply{kAt100, 200, false});  // late
  it.answer(it.last_read());                               // what is read is not wanted any more
  CHECK(it.last_read().offset == 200);
  for (int i = 0; i < 4; ++i) it.answer(it.last_read());  // as much as the window takes
  it.primary.hears(3, SnapshotReply{kAt100, 900, false});
  CHECK(it.last_read().offset == 900);
}

TEST_CASE("a snapshot that a peer cannot store is sent again later and later", "[snapshot]") {
  SendingPrimary sending;
  Member& primary = sending.primary;
  std::size_t attempts = 0;
  for (int i = 0; i < 400; ++i) {  // ten seconds
    if (sending.reads() > 0) {
      const ReadSnapshot read = sending.last_read();
      CHECK(read.wanted == SnapshotId{});  // the newest
      CHECK(read.offset == 0);
      primary.forget();
      sending.answer(read);
      primary.hears(3, SnapshotReply{kAt100, 0, false, true});
      CHECK(primary.effects().end_snapshot.size() == 1);
      sending.answer(sending.last_read());  // of what is void already
      CHECK(sending.reads() == 1);
      primary.forget();
      ++attempts;
    }
    sending.passes(25);
    primary.hears(2, acknowledged(111));
    primary.hears(3, wire::HeartbeatReply{});
  }
  CHECK(attempts >= 4);
  CHECK(attempts <= 6);
}

// It never went away: each of the two reads took the other one's answer for its own, and with two
// places in one stream every block cost a pass over all before it.
TEST_CASE("one delay in a snapshot's stream makes no second read of it", "[snapshot]") {
  SendingPrimary sending;
  Member& primary = sending.primary;
  const ReadSnapshot first = sending.last_read();
  REQUIRE(sending.reads() == 1);
  sending.passes(1'000);
  CHECK(sending.reads() == 1);
  sending.answer(first);
  CHECK(sending.reads() == 2);
  const ReadSnapshot second = sending.last_read();
  CHECK(second.offset == 100);
  SECTION("an answer to another read is passed over, and makes none") {
    sending.answer(first);
    primary.happens(SnapshotUnavailable{{3}, first.number});
    CHECK(sending.reads() == 2);
    CHECK(primary.count_said<SnapshotChunk>(3) == 1);
    sending.answer(second);
    CHECK(primary.count_said<SnapshotChunk>(3) == 2);
  }
  SECTION("what is lost on the way is sent again, not read again") {
    for (int i = 0; i < 3; ++i) sending.answer(sending.last_read());
    REQUIRE(sending.reads() == 4);  // the window is full
    primary.forget();
    sending.passes(350);
    CHECK(primary.count_said<SnapshotChunk>(3) == 4);
    CHECK(primary.said<SnapshotChunk>(3)->offset == 300);
    sending.passes(350);  // with more patience
    CHECK(primary.count_said<SnapshotChunk>(3) == 4);
    CHECK(sending.reads() == 0);
    primary.hears(3, SnapshotReply{kAt100, 400, false});
    CHECK(sending.last_read().offset == 400);
  }
  SECTION("when all has arrived, the end asks how things stand") {
    sending.answer(second, true);
    primary.hears(3, SnapshotReply{kAt100, 200, false});
    primary.forget();
    sending.passes(350);
    REQUIRE(primary.count_said<SnapshotChunk>(3) == 1);
    CHECK(primary.said<SnapshotChunk>(3)->offset == 200);
    CHECK(primary.said<SnapshotChunk>(3)->is_last);
    CHECK(primary.said<SnapshotChunk>(3)->bytes.size() == 0);
  }
}
