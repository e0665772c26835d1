#include <catch2/catch.hpp>

#include "tests/unit/core/fixture.hpp"

using namespace holdfast;
using namespace holdfast::core;
using wire::Heartbeat;
using wire::HeartbeatReply;
using wire::VoteKind;
using wire::VoteReply;
using wire::VoteRequest;

namespace {

VoteRequest vote(std::uint64_t term, std::uint64_t last) {
  return {VoteKind::kVote, {term}, {last}, {last == 0 ? 0U : 1U}, 0};
}

Member promised(std::uint64_t round = 10) {
  Member voter = MemberBuilder().id(2).term(4).build();
  voter.links({1, 3});
  voter.hears(1, Heartbeat{round, 100'000, {}, {}, {}});
  voter.forget();
  return voter;
}

HeartbeatReply answer(const Member& primary, std::uint64_t peer,
                      wire::Claim claim = wire::Claim::kSound) {
  const auto heartbeat = primary.said<Heartbeat>(peer);
  REQUIRE(heartbeat);
  return {heartbeat->round, primary->last_index(), primary->last_index(), claim, false};
}

}  // namespace

TEST_CASE("a voter grants nothing for as long as it promised, and then judges anew", "[lease]") {
  Member voter = promised();
  voter.hears(3, {5}, vote(5, 0));
  voter.sleeps(99);
  voter.happens(Tick{});
  CHECK_FALSE(voter.said<VoteReply>(3));
  CHECK(voter->term() == Term{4});
  voter.sleeps(1);
  voter.happens(Tick{});
  REQUIRE(voter.said<VoteReply>(3));
  CHECK(voter.said<VoteReply>(3)->granted);
}

TEST_CASE("of the requests within a promise only the newest is kept", "[lease]") {
  Member voter = promised();
  voter.hears(3, {5}, vote(5, 0));
  voter.hears(1, {6}, vote(6, 0));
  voter.passes(110);
  CHECK_FALSE(voter.said<VoteReply>(3));
  CHECK(voter.said<VoteReply>(1)->granted);
}

TEST_CASE("a kept request is judged by what holds when the promise ends", "[lease]") {
  Member voter = promised();
  voter.hears(3, {5}, vote(5, 0));
  voter.hears(1, entries_after(0, 0, 4, 2));  // the log grows meanwhile
  voter.passes(110);
  REQUIRE(voter.said<VoteReply>(3));
  CHECK_FALSE(voter.said<VoteReply>(3)->granted);
  CHECK(voter.said<VoteReply>(3)->reason == wire::Refusal::kLogBehind);
}

TEST_CASE("a promise that is renewed holds the request up further", "[lease]") {
  Member voter = promised();
  voter.hears(3, {5}, vote(5, 0));
  voter.passes(60);
  voter.hears(1, Heartbeat{11, 100'000, {}, {}, {}});
  voter.passes(60);
  CHECK_FALSE(voter.said<VoteReply>(3));
}

TEST_CASE("a heartbeat that asks for no promise gets none", "[lease]") {
  Member voter = MemberBuilder().id(2).term(4).build();
  voter.hears(1, Heartbeat{1, 0, {}, {}, {}});
  voter.hears(3, {5}, vote(5, 0));
  CHECK(voter.said<VoteReply>(3)->granted);
}

TEST_CASE("a restarted member grants nothing for the longest lease it ever promised", "[lease]") {
  Member voter = MemberBuilder().id(2).term(4).promised_ms(250).build();
  voter.hears(3, {5}, vote(5, 0));
  voter.passes(245);
  CHECK_FALSE(voter.said<VoteReply>(3));
  voter.passes(10);
  CHECK(voter.said<VoteReply>(3)->granted);
}

TEST_CASE("a longer promise is durable before it is given", "[lease]") {
  Member voter = MemberBuilder().id(2).term(4).promised_ms(50).build();
  voter.holds_disk = true;
  voter.hears(1, Heartbeat{1, 100'000, {}, {}, {}});
  CHECK_FALSE(voter.said<HeartbeatReply>(1));
  CHECK(voter.saved_record().promise_ms_max == 100);
  voter.saves_record();
  CHECK(voter.said<HeartbeatReply>(1));
  voter.forget();
  voter.hears(1, Heartbeat{2, 100'000, {}, {}, {}});
  CHECK(voter.said<HeartbeatReply>(1));
  CHECK(voter.effects().records.empty());
}

TEST_CASE("a release frees the promise of its round and of earlier ones, no later one", "[lease]") {
  Member voter = promised(10);
  voter.hears(3, {5}, vote(5, 0));
  SECTION("an old hand-over's") {
    voter.hears(1, wire::Release{9});
    CHECK_FALSE(voter.said<VoteReply>(3));
  }
  SECTION("this round's: the kept request is judged at once") {
    voter.hears(1, wire::Release{10});
    CHECK(voter.said<VoteReply>(3)->granted);
  }
  SECTION("another member's") {
    voter.hears(3, wire::Release{10});
    CHECK_FALSE(voter.said<VoteReply>(3));
  }
  SECTION("of another term") {
    voter.hears(1, {3}, wire::Release{10});
    CHECK_FALSE(voter.said<VoteReply>(3));
  }
}

TEST_CASE("nobody can release what a former life promised", "[lease]") {
  Member voter = MemberBuilder().id(2).term(4).promised_ms(250).build();
  voter.hears(1, Heartbeat{10, 100'000, {}, {}, {}});
  voter.hears(3, {5}, vote(5, 0));
  voter.hears(1, wire::Release{10});
  CHECK_FALSE(voter.said<VoteReply>(3));
}

TEST_CASE("the lease runs from before the heartbeat was sent, less the drift bound", "[lease]") {
  Member primary = elected_primary();
  CHECK_FALSE(primary->lease_holds(primary.now()));
  primary.passes(25);
  const MonoTime sent = primary.now();
  const HeartbeatReply reply = answer(primary, 2);
  primary.sleeps(50);
  primary.hears(2, reply);
  CHECK(primary->lease_until() == sent + Duration{99'000});
  CHECK(primary->lease_holds(sent + Duration{98'999}));
  CHECK_FALSE(primary->lease_holds(sent + Duration{99'000}));
}

TEST_CASE("five members need two answers for a lease, and a recovering one gives none", "[lease]") {
  Member primary = elected_primary(MemberBuilder().of(5));
  primary.passes(25);
  primary.hears(2, answer(primary, 2));
  CHECK_FALSE(primary->lease_holds(primary.now()));
  primary.hears(3, answer(primary, 3, wire::Claim::kRecovering));
  CHECK_FALSE(primary->lease_holds(primary.now()));
  primary.hears(4, answer(primary, 4));
  CHECK(primary->lease_holds(primary.now()));
}

TEST_CASE("a primary within its lease keeps a vote request, and steps down for it afterwards",
          "[lease]") {
  Member primary = elected_primary();
  primary.passes(25);
  primary.hears(2, answer(primary, 2));
  const std::uint64_t term = primary->term().value;
  const VoteRequest request{VoteKind::kVote, {term + 1}, primary->last_index(), {term}, 0};
  primary.hears(3, {term + 1}, request);
  CHECK(primary->role() == Role::kPrimary);
  primary.sleeps(100);
  primary.happens(Tick{});
  CHECK(primary->role() == Role::kReplica);
  CHECK(primary.said<VoteReply>(3)->granted);
}

TEST_CASE("a read under the lease is allowed at once, by a later sample it waits for a round",
          "[lease]") {
  Member primary = elected_primary();
  primary.passes(25);
  primary.hears(2, answer(primary, 2));
  primary.happens(ReadRequested{1, ReadMode::kLease});
  REQUIRE(primary.effects().reads.size() == 1);
  CHECK(primary.effects().reads[0].allowed);
  primary.sleeps(120);
  primary.happens(ReadRequested{2, ReadMode::kLease});
  CHECK(primary.effects().reads.size() == 1);
  primary.hears(3, answer(primary, 3));
  REQUIRE(primary.effects().reads.size() == 2);
  CHECK(primary.effects().reads[1].id == 2);
  CHECK(primary.effects().reads[1].allowed);
}

TEST_CASE("a quorum read trusts only a round that was sent after it", "[lease]") {
  Member primary = elected_primary();
  primary.passes(25);
  const HeartbeatReply before = answer(primary, 2);
  primary.happens(ReadRequested{1, ReadMode::kQuorum});
  primary.hears(2, before);
  CHECK(primary.effects().reads.empty());
  primary.hears(2, answer(primary, 2));
  REQUIRE(primary.effects().reads.size() == 1);
  CHECK(primary.effects().reads[0].allowed);
}

TEST_CASE("reads are refused where there is no primary, and when one is deposed", "[lease]") {
  Member replica = MemberBuilder().build();
  replica.happens(ReadRequested{1, ReadMode::kLease});
  REQUIRE(replica.effects().reads.size() == 1);
  CHECK_FALSE(replica.effects().reads[0].allowed);

  Member primary = elected_primary();
  primary.happens(ReadRequested{5, ReadMode::kQuorum});
  CHECK(primary.effects().reads.empty());
  primary.hears(2, {primary->term().value + 3}, Heartbeat{1, 0, {}, {}, {}});
  REQUIRE(primary.effects().reads.size() == 1);
  CHECK_FALSE(primary.effects().reads[0].allowed);
}

TEST_CASE("a primary that hears no majority for an election timeout steps down", "[lease]") {
  Member primary = elected_primary();
  primary.passes(250);
  CHECK(primary->role() == Role::kPrimary);
  primary.passes(100);
  CHECK(primary->role() == Role::kReplica);
  CHECK(primary->primary() == NodeId{});
  CHECK(primary.noted("reason=no_majority_heard"));
}

TEST_CASE("busy replicas do not make a primary step down, up to the limit", "[lease]") {
  Member primary = elected_primary();
  for (int i = 0; i < 80; ++i) {
    primary.passes(25);
    primary.hears(2, wire::Busy{});
  }
  CHECK(primary->role() == Role::kPrimary);
  CHECK_FALSE(primary->lease_holds(primary.now()));
  for (int i = 0; i < 200; ++i) {
    primary.passes(25);
    primary.hears(2, wire::Busy{});
  }
  CHECK(primary->role() == Role::kReplica);
}
