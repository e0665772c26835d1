#include <catch2/catch.hpp>

#include "tests/unit/core/fixture.hpp"

using namespace holdfast;
using namespace holdfast::core;
using wire::AppendEntries;
using wire::AppendReply;

namespace {

// The peer answers the probe: its log agrees up to `index`.
void agrees(Member& primary, std::uint64_t peer, std::uint64_t index) {
  primary.hears(peer, acknowledged(index));
}

}  // namespace

TEST_CASE(
    "a new primary begins its term with an entry of its own and serves when that is committed",
    "[commit]") {
  MemberBuilder builder;
  builder.term(4).log_through(10);
  Member primary = builder.build();
  primary.links({2, 3});
  for (int i = 0; i < 100 && primary->role() != Role::kPrimary; ++i) {
    primary.passes(5);
    if (const auto asked = primary.said<wire::VoteRequest>(2))
      primary.hears(2, primary->term(),
                    wire::VoteReply{asked->kind, asked->for_term, true, wire::Refusal::kNone});
  }
  REQUIRE(primary->role() == Role::kPrimary);
  CHECK(primary->last_index() == LogIndex{11});
  CHECK(primary.effects().writes.back().entries.back().kind == log::EntryKind::kNoOp);
  CHECK_FALSE(primary->accepts_entries());
  // Entries of former terms are not committed by counting who has them.
  agrees(primary, 2, 10);
  CHECK(primary->commit_index() == LogIndex{0});
  CHECK_FALSE(primary->lease_holds(primary.now()));
  agrees(primary, 2, 11);
  CHECK(primary->commit_index() == LogIndex{11});
  CHECK(primary.effects().apply.size() == 11);
  CHECK(primary->accepts_entries());
}

TEST_CASE("an entry is committed when a majority has persisted it", "[commit]") {
  Member primary = elected_primary(MemberBuilder().of(5));
  const std::uint64_t before = primary->last_index().value;
  primary.holds_disk = true;
  primary.submits({"a"});
  agrees(primary, 2, before + 1);
  agrees(primary, 3, before + 1);
  CHECK(primary->commit_index() == LogIndex{before});  // two of five: its own disk has not answered
  SECTION("its own disk is one of them") {
    primary.persists_write();
    CHECK(primary->commit_index() == LogIndex{before + 1});
  }
  SECTION("others suffice") {
    agrees(primary, 4, before + 1);
    CHECK(primary->commit_index() == LogIndex{before + 1});
  }
}

TEST_CASE("a recovering member does not count", "[commit]") {
  Member primary = elected_primary();
  const std::uint64_t before = primary->last_index().value;
  primary.happens(PeerLost{{3}});
  primary.submits({"a"});
  primary.hears(2, acknowledged(before + 1, wire::Claim::kRecovering));
  CHECK(primary->commit_index() == LogIndex{before});
  primary.hears(2, acknowledged(before + 1));
  CHECK(primary->commit_index() == LogIndex{before + 1});
}

TEST_CASE("what a turn submitted goes to each peer in one message", "[commit]") {
  Member primary = elected_primary();
  primary.submits({"a", "b", "c"});
  const auto append = primary.said<AppendEntries>(2);
  REQUIRE(append);
  CHECK(append->entries.size() == 3);
  CHECK(primary.count_said<AppendEntries>(3) == 1);
  CHECK(primary.effects().writes.size() == 1);
}

TEST_CASE("appends are pipelined until the window is full", "[commit]") {
  MemberBuilder builder;
  builder.config.window_messages = 4;
  Member primary = elected_primary(builder);
  const std::uint64_t before = primary->last_index().value;
  for (int i = 0; i < 10; ++i) primary.submits({"a"});
  CHECK(primary.count_said<AppendEntries>(2) == 4);
  agrees(primary, 2, before + 1);
  // The rest that has room, in one message.
  CHECK(primary.count_said<AppendEntries>(2) == 5);
  CHECK(primary.said<AppendEntries>(2)->entries.size() == 6);
}

TEST_CASE("a large entry goes in fragments and heartbeats between them", "[commit]") {
  MemberBuilder builder;
  builder.config.message_bytes = builder.config.fragment_bytes = 100;
  builder.config.window_bytes = 400;
  builder.config.fragments_ahead = 2;
  Member primary = elected_primary(builder);
  const std::uint64_t before = primary->last_index().value;
  const std::string large(1'000, 'x');
  primary.submits({large});
  CHECK(primary.count_said<wire::AppendFragment>(2) == 2);
  primary.passes(30);
  CHECK(primary.said<wire::Heartbeat>(2));
  for (std::uint64_t bytes = 100; bytes < 1'000; bytes += 100) {
    AppendReply reply = acknowledged(before);
    reply.fragment_bytes = bytes;
    primary.hears(2, reply);
  }
  CHECK(primary.count_said<wire::AppendFragment>(2) == 10);
  CHECK(primary.said<wire::AppendFragment>(2)->offset == 900);
  agrees(primary, 2, before + 1);
  CHECK(primary->commit_index() == LogIndex{before + 1});
}

TEST_CASE("a large entry that is not in memory any more is not read again for every fragment",
          "[commit]") {
  MemberBuilder builder;
  builder.term(4).snapshot_at(5, 1).log_through(20, 2);
  builder.config.message_bytes = builder.config.fragment_bytes = 100;
  builder.config.window_bytes = 400;
  builder.config.fragments_ahead = 2;
  builder.config.backlog_bytes = 100;
  const std::string large(1'000, 'x');
  const auto acknowledge_fragments = [](Member& primary, std::uint64_t before, std::uint64_t from,
                                        std::uint64_t to) {
    for (std::uint64_t bytes = from; bytes < to; bytes += 100) {
      AppendReply reply = acknowledged(before);
      reply.fragment_bytes = bytes;
      primary.hears(3, reply);
    }
  };
  SECTION("it was on disk") {
    builder.start().tail.back().payload = Rope::copy_of(large);
    Member primary = elected_primary(builder.log_not_in_memory());
    const std::uint64_t first = GENERATE(19, 20);  // alone, or behind another one
    const auto read_from = [&] {
      const ReadLog read = primary.effects().read_log.back();
      CHECK(read.from == LogIndex{first});
      const auto count = static_cast<std::ptrdiff_t>(21 - first);
      primary.happens(LogRead{read.number, {builder.on_disk.end() - count, builder.on_disk.end()}});
    };
    const auto connect = [&] {
      primary.happens(PeerConnected{{3}});
      AppendReply refused;
      refused.hint_index = {first - 1};
      refused.hint_term = {2};
      primary.hears(3, refused);
      primary.forget();
      agrees(primary, 3, first - 1);
    };
    connect();
    read_from();
    CHECK(primary.count_said<wire::AppendFragment>(3) == 2);
    acknowledge_fragments(primary, 19, 100, 500);
    CHECK(primary.count_said<wire::AppendFragment>(3) == 6);
    CHECK(primary.effects().read_log.size() == 1);
    SECTION("until it is there") {
      acknowledge_fragments(primary, 19, 500, 1'000);
      CHECK(primary.said<wire::AppendFragment>(3)->offset == 900);
      primary.passes(30);
      CHECK(primary.effects().read_log.size() == 1);
      agrees(primary, 3, 20);
      CHECK(primary.said<AppendEntries>(3)->prev_index == LogIndex{20});
    }
    SECTION("but over a new link it is") {
      primary.happens(PeerLost{{3}});
      connect();
      REQUIRE(primary.effects().read_log.size() == 1);
      read_from();
      CHECK(primary.count_said<wire::AppendFragment>(3) == 2);
    }
  }
  SECTION("it was committed by the others meanwhile") {
    Member primary = elected_primary(builder);
    const std::uint64_t before = primary->last_index().value;
    primary.submits({large});
    agrees(primary, 2, before + 1);
    REQUIRE(primary->commit_index() == LogIndex{before + 1});
    REQUIRE(primary->backlog_bytes() == 0);
    acknowledge_fragments(primary, before, 100, 1'000);
    CHECK(primary.count_said<wire::AppendFragment>(3) == 10);
    CHECK(primary.effects().read_log.empty());
  }
}

TEST_CASE("a peer that is behind is fed from the backlog, then from disk, then by a snapshot",
          "[commit]") {
  MemberBuilder builder;
  builder.term(4).snapshot_at(5, 1).log_through(20, 2);
  SECTION("backlog") {
    Member primary = elected_primary(builder);
    primary.happens(PeerConnected{{3}});
    primary.forget();
    AppendReply refused;
    refused.hint_index = {10};
    refused.hint_term = {2};
    primary.hears(3, refused);
    CHECK(primary.said<AppendEntries>(3)->prev_index == LogIndex{10});
    agrees(primary, 3, 10);
    REQUIRE(primary.said<AppendEntries>(3)->entries.size() == 11);
    CHECK(primary.said<AppendEntries>(3)->entries[0].index == LogIndex{11});
  }
  SECTION("disk") {
    Member primary = elected_primary(builder.log_not_in_memory());
    primary.happens(PeerConnected{{3}});
    AppendReply refused;
    refused.hint_index = {10};
    refused.hint_term = {2};
    primary.hears(3, refused);
    primary.forget();
    agrees(primary, 3, 10);
    REQUIRE(primary.effects().read_log.size() == 1);
    const ReadLog read = primary.effects().read_log[0];
    CHECK(read.from == LogIndex{11});
    CHECK(read.to == LogIndex{21});
    primary.happens(LogRead{read.number, {builder.on_disk.end() - 10, builder.on_disk.end()}});
    REQUIRE(primary.said<AppendEntries>(3));
    CHECK(primary.count_said<AppendEntries>(3) == 2);  // what was read, then the backlog
  }
  SECTION("snapshot") {
    Member primary = elected_primary(builder);
    primary.happens(PeerConnected{{3}});
    primary.forget();
    AppendReply refused;
    refused.hint_index = {4};
    refused.hint_term = {1};
    primary.hears(3, refused);
    REQUIRE(primary.effects().read_snapshot.size() == 1);
    CHECK(primary.effects().read_snapshot[0].peer == NodeId{3});
  }
}

TEST_CASE("what a peer lost on the way is sent again", "[commit]") {
  Member primary = elected_primary();
  const std::uint64_t before = primary->last_index().value;
  primary.hears(2, acknowledged(before));
  primary.submits({"a", "b"});
  primary.passes(30);
  const auto heartbeat = primary.said<wire::Heartbeat>(2);
  REQUIRE(heartbeat);
  primary.forget();
  // It answers the heartbeat that was sent after the entries, and has none of them.
  primary.hears(
      2, wire::HeartbeatReply{heartbeat->round, {before}, {before}, wire::Claim::kSound, false});
  agrees(primary, 2, before);
  REQUIRE(primary.said<AppendEntries>(2));
  CHECK(primary.said<AppendEntries>(2)->entries.size() == 2);
}

// Simulator, registers, seed 117658: the peer refused every probe, for as long as the link held.
TEST_CASE("a peer that knows the place of a late probe by its snapshot only is not stuck",
          "[commit]") {
  Member primary = elected_primary();
  const std::uint64_t first = primary->last_index().value;
  primary.hears(2, acknowledged(first));
  primary.submits({"a", "b"});
  primary.passes(30);  // a heartbeat is sent behind both
  const std::uint64_t round = primary.said<wire::Heartbeat>(2)->round;
  primary.forget();
  // It overtook them: the peer is asked from there.
  primary.hears(2, wire::HeartbeatReply{round, {first}, {first}, wire::Claim::kSound, false});
  REQUIRE(primary.said<AppendEntries>(2)->prev_index == LogIndex{first});
  primary.hears(2,
                wire::HeartbeatReply{round, {first + 2}, {first + 2}, wire::Claim::kSound, false});
  // It has taken a snapshot meanwhile, and knows what is before it by no entry.
  AppendReply refusal{false, {first}, {}, {first + 1}, {1}, 0, wire::Claim::kSound};
  primary.hears(2, refusal);
  REQUIRE(primary.said<AppendEntries>(2)->prev_index == LogIndex{first + 2});
  primary.hears(2, acknowledged(first + 2));
  primary.submits({"c"});
  CHECK(primary.said<AppendEntries>(2)->prev_index == LogIndex{first + 2});
  CHECK(primary.said<AppendEntries>(2)->entries.size() == 1);
}

TEST_CASE("a deposed primary reports from where what it applied is void", "[commit]") {
  Member primary = elected_primary();
  const std::uint64_t before = primary->commit_index().value;
  primary.submits({"a", "b"});
  primary.forget();
  primary.hears(2, {primary->term().value + 1}, wire::Heartbeat{1, 0, {}, {}, {}});
  REQUIRE_FALSE(primary.effects().became.empty());
  CHECK(primary.effects().became[0].role == Role::kReplica);
  CHECK(primary.effects().became[0].void_from == LogIndex{before + 1});
  SECTION("what of it the cluster kept comes again") {
    primary.hears(2, primary->term(), entries_after(before + 2, 2, 2, 0, before + 1));
    REQUIRE(primary.effects().apply.size() == 1);
    CHECK(primary.effects().apply[0].payload.str() == "a");
  }
}

TEST_CASE("entries submitted where they are not accepted are refused", "[commit]") {
  Member replica = MemberBuilder().log_through(10).build();
  replica.submits({"a"});
  CHECK(replica.effects().refused_from == LogIndex{11});
  CHECK(replica->last_index() == LogIndex{10});
}

TEST_CASE("old entries leave the backlog only when they are persisted and committed", "[commit]") {
  MemberBuilder builder;
  builder.of(1);
  builder.config.backlog_bytes = 0;
  Member alone = builder.build();
  alone.passes(10);
  REQUIRE(alone->accepts_entries());
  alone.holds_disk = true;
  alone.submits({"a", "b"});
  CHECK(alone->backlog_bytes() > 0);
  alone.answer_disk();
  CHECK(alone->backlog_bytes() == 0);
}
