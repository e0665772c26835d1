#include <catch2/catch.hpp>

#include "tests/unit/core/fixture.hpp"

using namespace holdfast;
using namespace holdfast::core;
using wire::Claim;
using wire::Refusal;
using wire::VoteKind;
using wire::VoteReply;
using wire::VoteRequest;

namespace {

VoteRequest vote(std::uint64_t term, std::uint64_t last, std::uint64_t last_term = 1) {
  return {VoteKind::kVote, {term}, {last}, {last_term}, 0};
}
VoteRequest pre_vote(std::uint64_t term, std::uint64_t last, std::uint64_t last_term = 1) {
  return {VoteKind::kPreVote, {term}, {last}, {last_term}, 0};
}

}  // namespace

TEST_CASE("a voter grants its vote to a candidate whose log is as long", "[election]") {
  Member voter = MemberBuilder().id(2).term(4).log_through(90).build();
  voter.hears(3, {5}, vote(5, 90));
  REQUIRE(voter.said<VoteReply>(3));
  CHECK(voter.said<VoteReply>(3)->granted);
  CHECK(voter->term() == Term{5});
  CHECK(voter.saved_record().voted_for == 3);
}

TEST_CASE("a voter refuses a candidate whose log is shorter", "[election]") {
  Member voter = MemberBuilder().id(2).term(4).log_through(90).build();
  voter.hears(3, {5}, vote(5, 89));
  REQUIRE(voter.said<VoteReply>(3));
  CHECK_FALSE(voter.said<VoteReply>(3)->granted);
  CHECK(voter.said<VoteReply>(3)->reason == Refusal::kLogBehind);
  CHECK(voter.noted("vote refused candidate=3 term=5 reason=log_behind theirs=89 ours=90"));
  // It knows the term now, and voted for nobody in it.
  CHECK(voter.saved_record().term == Term{5});
  CHECK(voter.saved_record().voted_for == 0);
}

TEST_CASE("a longer log of an older term is behind", "[election]") {
  Member voter = MemberBuilder().id(2).term(4).log_through(89).log_through(90, 3).build();
  voter.hears(3, {5}, vote(5, 500, 2));
  CHECK(voter.said<VoteReply>(3)->reason == Refusal::kLogBehind);
  voter.hears(3, {5}, vote(5, 90, 3));
  CHECK(voter.said<VoteReply>(3)->granted);
}

TEST_CASE("a voter votes once a term, also after a restart", "[election]") {
  Member voter = MemberBuilder().id(2).term(5).voted_for(1).build();
  voter.hears(3, {5}, vote(5, 0, 0));
  CHECK(voter.said<VoteReply>(3)->reason == Refusal::kAlreadyVoted);
  voter.hears(1, {5}, vote(5, 0, 0));
  CHECK(voter.said<VoteReply>(1)->granted);
}

TEST_CASE("a vote leaves only when it is durable", "[election]") {
  Member voter = MemberBuilder().id(2).term(4).build();
  voter.holds_disk = true;
  voter.hears(3, {5}, vote(5, 0, 0));
  CHECK_FALSE(voter.said<VoteReply>(3));
  voter.saves_record();
  CHECK(voter.said<VoteReply>(3)->granted);
}

TEST_CASE("nothing leaves that reveals a term which is not durable", "[election]") {
  Member voter = MemberBuilder().id(2).term(4).build();
  voter.holds_disk = true;
  voter.hears(3, {6}, wire::Heartbeat{1, 100'000, {}, {}, {}});
  CHECK_FALSE(voter.last_said(3));
  while (!voter.unsaved_records.empty()) voter.saves_record();
  CHECK(voter.said<wire::HeartbeatReply>(3)->round == 1);
  CHECK(voter.last_said(3)->term == Term{6});
}

TEST_CASE("a candidate of an old term learns the newer one", "[election]") {
  Member voter = MemberBuilder().id(2).term(9).build();
  voter.hears(3, {5}, vote(5, 0, 0));
  CHECK(voter.said<VoteReply>(3)->reason == Refusal::kOldTerm);
  CHECK(voter.last_said(3)->term == Term{9});
}

TEST_CASE("a pre-vote is refused while the primary is heard, and changes no term", "[election]") {
  Member voter = MemberBuilder().id(2).term(4).build();
  voter.hears(1, wire::Heartbeat{1, 100'000, {}, {}, {}});
  voter.hears(3, pre_vote(5, 0, 0));
  CHECK(voter.said<VoteReply>(3)->reason == Refusal::kPrimaryAlive);
  CHECK(voter->term() == Term{4});

  SECTION("but it is remembered, and granted once the voter suspects the primary itself") {
    voter.links({1, 3});
    voter.forget();
    voter.happens(PeerLost{{1}});
    REQUIRE(voter.said<VoteReply>(3));
    CHECK(voter.said<VoteReply>(3)->granted);
    CHECK(voter->term() == Term{4});
  }
}

TEST_CASE("silence is suspicious after the election timeout, a broken link at once", "[election]") {
  Member voter = MemberBuilder().id(2).term(4).build();
  voter.links({1, 3});
  voter.hears(1, wire::Heartbeat{1, 100'000, {}, {}, {}});
  SECTION("silence") {
    voter.passes(295);
    CHECK_FALSE(voter.noted("primary suspected"));
    voter.passes(160);  // up to 1.5 times
    CHECK(voter.noted("primary suspected primary=1 term=4 reason=silence"));
  }
  SECTION("a broken link") {
    voter.happens(PeerLost{{1}});
    CHECK(voter.noted("primary suspected primary=1 term=4 reason=link_lost"));
  }
  SECTION("our own pause is nobody's silence") {
    voter.sleeps(10'000);
    voter.happens(Tick{});
    CHECK_FALSE(voter.noted("primary suspected"));
  }
}

TEST_CASE("a busy primary is not suspected, up to the limit", "[election]") {
  Member voter = MemberBuilder().id(2).term(4).build();
  voter.links({1, 3});
  voter.hears(1, wire::Heartbeat{1, 100'000, {}, {}, {}});
  const auto busy_for = [&](std::int64_t ms) {
    for (std::int64_t i = 0; i < ms; i += 25) {
      voter.passes(25);
      voter.hears(1, wire::Busy{});
    }
  };
  busy_for(2'000);
  CHECK_FALSE(voter.noted("primary suspected"));
  SECTION("and its promise is not extended") {
    voter.hears(3, {5}, vote(5, 0, 0));
    CHECK(voter.said<VoteReply>(3)->granted);
  }
  SECTION("beyond the limit it is") {
    busy_for(4'000);
    CHECK(voter.noted("primary suspected"));
  }
}

TEST_CASE("a candidate with a majority of pre-votes waits for the end of its own promise",
          "[election]") {
  Member candidate = MemberBuilder().id(2).term(4).build();
  candidate.links({1, 3});
  candidate.hears(1, wire::Heartbeat{1, 100'000, {}, {}, {}});
  candidate.happens(PeerLost{{1}});
  candidate.passes(5);
  REQUIRE(candidate.said<VoteRequest>(3));
  CHECK(candidate.said<VoteRequest>(3)->kind == VoteKind::kPreVote);
  candidate.hears(3, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
  candidate.passes(90);
  CHECK(candidate->term() == Term{4});
  candidate.passes(10);
  CHECK(candidate->role() == Role::kCandidate);
  CHECK(candidate.said<VoteRequest>(3)->kind == VoteKind::kVote);

  SECTION("and is primary with a majority of votes") {
    candidate.hears(3, {5}, VoteReply{VoteKind::kVote, {5}, true, Refusal::kNone});
    CHECK(candidate->role() == Role::kPrimary);
  }
  SECTION("an answer to another term's request counts for nothing") {
    candidate.hears(3, {5}, VoteReply{VoteKind::kVote, {4}, true, Refusal::kNone});
    candidate.hears(3, {5}, VoteReply{VoteKind::kPreVote, {6}, true, Refusal::kNone});
    CHECK(candidate->role() == Role::kCandidate);
  }
  SECTION("a heartbeat of the term's primary ends the candidacy") {
    candidate.hears(3, {5}, wire::Heartbeat{1, 100'000, {}, {}, {}});
    CHECK(candidate->role() == Role::kReplica);
    CHECK(candidate->primary() == NodeId{3});
  }
}

TEST_CASE("a heartbeat ends a candidacy that has not begun its term yet", "[election]") {
  Member candidate = MemberBuilder().id(2).term(4).build();
  candidate.links({1, 3});
  candidate.hears(1, wire::Heartbeat{1, 100'000, {}, {}, {}});
  candidate.happens(PeerLost{{1}});
  candidate.passes(5);
  candidate.hears(3, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
  candidate.hears(1, wire::Heartbeat{2, 100'000, {}, {}, {}});
  candidate.passes(200);
  CHECK(candidate->term() == Term{4});
}

TEST_CASE("of two that ask at once the first in the list goes on", "[election]") {
  const auto asking = [](std::uint64_t id) {
    MemberBuilder builder;
    builder.of(5).id(id).term(4);
    Member member = builder.build();
    member.links({1, 3, 4, 5});
    member.passes(100);
    REQUIRE(member.said<VoteRequest>(5));
    member.forget();
    return member;
  };
  Member second = asking(2);
  second.hears(4, pre_vote(5, 0, 0));
  CHECK(second.said<VoteReply>(4)->granted);
  second.hears(3, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
  second.hears(5, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
  CHECK(second->role() == Role::kCandidate);

  Member other = asking(2);
  other.hears(1, pre_vote(5, 0, 0));
  other.hears(3, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
  other.hears(5, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
  CHECK(other->role() == Role::kReplica);
  SECTION("but it is preferred for one round only") {
    for (int i = 0; i < 200 && !other.said<VoteRequest>(5); ++i) other.passes(5);
    other.hears(1, pre_vote(5, 0, 0));
    other.hears(3, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
    other.hears(5, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
    CHECK(other->role() == Role::kCandidate);
  }
}

TEST_CASE("a pre-vote of a voter whose term is older counts", "[election]") {
  Member candidate = MemberBuilder().term(6).build();
  candidate.links({2, 3});
  for (int i = 0; i < 200 && !candidate.said<VoteRequest>(2); ++i) candidate.passes(5);
  REQUIRE(candidate.said<VoteRequest>(2));
  candidate.hears(2, {4}, VoteReply{VoteKind::kPreVote, {7}, true, Refusal::kNone});
  candidate.passes(200);  // no promise holds it up
  CHECK(candidate->term() == Term{7});
  CHECK(candidate.said<VoteRequest>(3)->kind == VoteKind::kVote);
}

TEST_CASE("who is reached during a candidacy is asked at once", "[election]") {
  Member candidate = MemberBuilder().term(4).build();
  candidate.links({2});
  for (int i = 0; i < 200 && !candidate.said<VoteRequest>(2); ++i) candidate.passes(5);
  candidate.forget();
  candidate.links({3});
  REQUIRE(candidate.said<VoteRequest>(3));
  CHECK(candidate.said<VoteRequest>(3)->kind == VoteKind::kPreVote);
  candidate.hears(2, VoteReply{VoteKind::kPreVote, {5}, true, Refusal::kNone});
  REQUIRE(candidate->role() == Role::kCandidate);
  candidate.forget();
  candidate.links({3});
  REQUIRE(candidate.said<VoteRequest>(3));
  CHECK(candidate.said<VoteRequest>(3)->kind == VoteKind::kVote);
  CHECK(candidate.said<VoteRequest>(3)->for_term == Term{5});
}

TEST_CASE("a member that is alone is primary by its own vote", "[election]") {
  MemberBuilder builder;
  builder.of(1);
  builder.config.bootstrap = true;
  Member alone = builder.new_disk().build();
  alone.passes(10);
  CHECK(alone->role() == Role::kPrimary);
  CHECK(alone->accepts_entries());
  CHECK(alone->lease_holds(alone.now()));
  alone.submits({"a", "b"});
  CHECK(alone->commit_index() == LogIndex{3});
  SECTION("but not before its vote is durable") {
    builder.start().is_new = false;
    builder.start().record.generation = 1;
    Member slow(builder.config, builder.start());
    slow.holds_disk = true;
    slow.passes(50);
    CHECK(slow->role() != Role::kPrimary);
    while (!slow.unsaved_records.empty()) slow.saves_record();
    slow.passes(5);
    while (!slow.unsaved_records.empty()) slow.saves_record();
    CHECK(slow->role() == Role::kPrimary);
    CHECK_FALSE(slow->accepts_entries());
    slow.persists_write();
    CHECK(slow->accepts_entries());
  }
}

TEST_CASE("two members that promote themselves never use the same term", "[election]") {
  const auto promoted = [](std::uint64_t id, std::uint64_t term) {
    MemberBuilder builder;
    builder.of(2).id(id).term(term);
    builder.config.failover = Failover::kUnilateral;
    Member member = builder.build();
    member.passes(2'000);
    REQUIRE(member->role() == Role::kPrimary);
    return member->term().value;
  };
  for (std::uint64_t term = 1; term < 6; ++term) {
    CHECK(promoted(1, term) % 2 == 1);
    CHECK(promoted(2, term) % 2 == 0);
  }
}
