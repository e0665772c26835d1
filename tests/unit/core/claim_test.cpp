#include <catch2/catch.hpp>
#include <map>

#include "tests/unit/core/fixture.hpp"

using namespace holdfast;
using namespace holdfast::core;
using wire::AppendReply;
using wire::Claim;
using wire::Heartbeat;
using wire::HeartbeatReply;
using wire::StatusReply;
using wire::StatusRequest;
using wire::VoteKind;
using wire::VoteReply;
using wire::VoteRequest;

namespace {

VoteRequest vote(std::uint64_t term, std::uint64_t last) {
  return {VoteKind::kVote, {term}, {last}, {1}, 0};
}

void answers(Member& member, std::uint64_t peer, std::uint64_t term, Claim claim,
             std::uint64_t last, std::uint64_t last_term, std::uint64_t promise_us = 0,
             bool is_log_partial = false) {
  const auto request = member.said<StatusRequest>(peer);
  REQUIRE(request);
  member.happens(Received{
      {peer},
      {{term},
       1,
       StatusReply{
           request->nonce, claim, {last}, {last_term}, promise_us, false, is_log_partial}}});
}

Member blank(bool bootstrap) {
  MemberBuilder builder;
  builder.config.bootstrap = bootstrap;
  Member member = builder.new_disk().build();
  member.links({2, 3});
  member.passes(5);
  return member;
}

}  // namespace

TEST_CASE("an empty disk begins a cluster only if all are there, all empty, and it was told to",
          "[claim]") {
  SECTION("all empty") {
    Member member = blank(true);
    answers(member, 2, 0, Claim::kBlank, 0, 0);
    CHECK(member->claim() == Claim::kBlank);
    answers(member, 3, 0, Claim::kBlank, 0, 0);
    CHECK(member->claim() == Claim::kSound);
    CHECK_FALSE(member.saved_record().recovering);
    CHECK(member->generation() == 1);
  }
  SECTION("not told to") {
    Member member = blank(false);
    answers(member, 2, 0, Claim::kBlank, 0, 0);
    answers(member, 3, 0, Claim::kBlank, 0, 0);
    CHECK(member->claim() == Claim::kBlank);
    SECTION("but one that was has begun") {
      answers(member, 3, 0, Claim::kSound, 0, 0);
      CHECK(member->claim() == Claim::kSound);
    }
  }
  SECTION("an answer to somebody else's question counts for nothing") {
    Member member = blank(true);
    answers(member, 2, 0, Claim::kBlank, 0, 0);
    member.happens(Received{{3}, {{0}, 1, StatusReply{12345, Claim::kBlank, {}, {}, 0, false}}});
    CHECK(member->claim() == Claim::kBlank);
  }
}

TEST_CASE("an empty disk among others is a lost disk: no vote up to the highest term", "[claim]") {
  Member member = blank(true);
  answers(member, 2, 7, Claim::kSound, 90, 6);
  answers(member, 3, 9, Claim::kSound, 80, 6, 500'000);
  CHECK(member->claim() == Claim::kRecovering);
  CHECK(member->term() == Term{9});
  CHECK(member.saved_record().recovering);
  CHECK(member.saved_record().voted_for == 1);
  member.hears(3, {9}, vote(9, 90));
  member.passes(600);
  member.hears(3, {10}, vote(10, 90));
  CHECK_FALSE(member.said<VoteReply>(3)->granted);
}

TEST_CASE("a blank member takes part in nothing", "[claim]") {
  Member member = blank(true);
  member.forget();
  member.hears(2, {5}, vote(5, 10));
  member.hears(2, {5}, Heartbeat{1, 100'000, {}, {}, {}});
  member.hears(2, {5}, entries_after(0, 0, 5, 1));
  CHECK(member->term() == Term{0});
  CHECK(member->last_index() == LogIndex{0});
  CHECK_FALSE(member.said<VoteReply>(2));
  CHECK_FALSE(member.said<HeartbeatReply>(2));
}

TEST_CASE("a member whose tail is in doubt neither votes nor stands, but answers for its term",
          "[claim]") {
  Member member = MemberBuilder().id(2).term(4).log_through(50).tail_in_doubt().build();
  CHECK(member->claim() == Claim::kRecovering);
  CHECK(member.saved_record().recovering);
  member.hears(3, {5}, vote(5, 90));
  CHECK(member.said<VoteReply>(3)->reason == wire::Refusal::kRecovering);
  member.hears(3, VoteRequest{VoteKind::kPreVote, {5}, {90}, {1}, 0});
  CHECK_FALSE(member.said<VoteReply>(3)->granted);
  member.passes(1'000);
  CHECK(member.count_said<VoteRequest>(1) == 0);
  member.hears(3, StatusRequest{99});
  CHECK(member.last_said(3)->term == Term{4});
  CHECK(member.said<StatusReply>(3)->nonce == 99);
  CHECK(member.said<StatusReply>(3)->claim == Claim::kRecovering);
}

TEST_CASE("the mark survives a second restart", "[claim]") {
  Member member = MemberBuilder().id(2).term(4).log_through(50).tail_in_doubt().build();
  MemberBuilder again;
  again.id(2).term(4).log_through(50);
  again.start().record = member.saved_record();
  CHECK(again.build()->claim() == Claim::kRecovering);
}

TEST_CASE("recovered is who holds what its primary had when they first met", "[claim]") {
  Member member = MemberBuilder().id(2).term(4).log_through(50).tail_in_doubt().build();
  member.links({1, 3});
  member.hears(1, Heartbeat{1, 100'000, {40}, {60}, {}});
  member.hears(1, entries_after(50, 1, 4, 9));
  CHECK(member->claim() == Claim::kRecovering);
  CHECK(member.said<AppendReply>(1)->claim == Claim::kRecovering);
  // Later entries do not move the mark.
  member.hears(1, Heartbeat{2, 100'000, {40}, {90}, {}});
  member.holds_disk = true;
  member.hears(1, entries_after(59, 4, 4, 1));
  CHECK(member->claim() == Claim::kRecovering);  // not persisted
  member.persists_write();
  CHECK(member->claim() == Claim::kRecovering);  // the mark is still on disk
  CHECK_FALSE(member.saved_record().recovering);
  member.saves_record();
  CHECK(member->claim() == Claim::kSound);
  member.hears(1, Heartbeat{3, 100'000, {40}, {90}, {}});
  CHECK(member.said<HeartbeatReply>(1)->claim == Claim::kSound);
}

TEST_CASE("a recovering member that follows a primary has nothing to do at once", "[claim]") {
  Member member = MemberBuilder().id(2).term(4).log_through(50).tail_in_doubt().build();
  member.links({1, 3});
  member.passes(2000);
  for (std::uint64_t round = 1; round <= 40; ++round) {
    member.hears(1, Heartbeat{round, 100'000, {40}, {60}, {}});
    member.passes(10);
  }
  CHECK(member->claim() == Claim::kRecovering);
  CHECK(member->next_due() > member.now());
}

TEST_CASE("an older record cannot take back the term of the log", "[claim]") {
  MemberBuilder builder;
  builder.id(2).term(4).log_through(50, 4);
  builder.start().record.term = {3};
  builder.start().record.voted_for = 1;
  Member member = builder.build();
  CHECK(member->term() == Term{4});
}

TEST_CASE("another primary sets the mark anew", "[claim]") {
  Member member = MemberBuilder().id(2).term(4).log_through(50).tail_in_doubt().build();
  member.hears(1, Heartbeat{1, 0, {}, {60}, {}});
  member.hears(3, {5}, Heartbeat{1, 0, {}, {55}, {}});
  member.hears(3, {5}, entries_after(50, 1, 4, 5));
  CHECK(member->claim() == Claim::kSound);
}

TEST_CASE("a log that is shorter than what it acknowledged has lost its tail", "[claim]") {
  Member member = MemberBuilder().id(2).term(4).log_through(50).build();
  member.hears(1, Heartbeat{1, 100'000, {}, {80}, {50}});
  CHECK(member->claim() == Claim::kSound);
  member.hears(1, Heartbeat{2, 100'000, {}, {80}, {51}});
  CHECK(member->claim() == Claim::kRecovering);
  CHECK(member.saved_record().recovering);
  CHECK(member.said<HeartbeatReply>(1)->claim == Claim::kRecovering);
}

TEST_CASE("a primary tells a peer on a new link what it has acknowledged", "[claim]") {
  Member primary = elected_primary();
  primary.submits({"a"});
  primary.hears(2, acknowledged(primary->last_index().value));
  primary.happens(PeerLost{{2}});
  primary.happens(PeerConnected{{2}});
  primary.forget();
  primary.passes(30);
  REQUIRE(primary.said<Heartbeat>(2));
  CHECK(primary.said<Heartbeat>(2)->acknowledged == primary->last_index());
}

TEST_CASE("when nobody can claim anything the longest log begins a new generation", "[claim]") {
  Member member = MemberBuilder().term(4).log_through(50).tail_in_doubt().build();
  member.links({2, 3});
  member.passes(200);
  SECTION("all are there") {
    answers(member, 2, 4, Claim::kRecovering, 40, 1);
    answers(member, 3, 6, Claim::kRecovering, 50, 1);
    member.passes(50);
    REQUIRE(member->role() == Role::kCandidate);
    CHECK(member->term() == Term{7});
    CHECK(member.said<VoteRequest>(2)->kind == VoteKind::kGeneration);
    member.hears(2, {7}, VoteReply{VoteKind::kGeneration, {7}, true, wire::Refusal::kNone});
    CHECK(member->role() == Role::kPrimary);
    CHECK(member->generation() == 2);
    CHECK(member->claim() == Claim::kSound);
    CHECK(member.saved_record().generation == 2);
    CHECK(member.noted("generation 2 begins"));
  }
  SECTION("not who has a shorter log than another") {
    answers(member, 2, 4, Claim::kRecovering, 51, 1);
    answers(member, 3, 4, Claim::kRecovering, 50, 1);
    member.passes(150);
    CHECK(member->role() == Role::kReplica);
  }
  SECTION("not while a majority may be sound") {
    answers(member, 2, 4, Claim::kRecovering, 40, 1);
    member.passes(150);
    CHECK(member->role() == Role::kReplica);
  }
  SECTION("not with empty disks instead of logs") {
    answers(member, 2, 0, Claim::kBlank, 0, 0);
    answers(member, 3, 0, Claim::kBlank, 0, 0);
    member.passes(150);
    CHECK(member->role() == Role::kReplica);
  }
  SECTION("not while somebody hears a primary") {
    answers(member, 2, 4, Claim::kRecovering, 40, 1);
    const auto request = member.said<StatusRequest>(3);
    member.happens(Received{
        {3}, {{4}, 1, StatusReply{request->nonce, Claim::kRecovering, {40}, {1}, 0, true}}});
    member.passes(150);
    CHECK(member->role() == Role::kReplica);
  }
}

namespace {

// Whether a recovering member of `members` stands for a new generation while the last of them stays
// away and the others answer with these claims. It must not before recovery_wait is over.
bool stands_without_the_last(std::size_t members, const std::vector<Claim>& others) {
  Member member = MemberBuilder().of(members).term(4).log_through(50).tail_in_doubt().build();
  for (std::uint64_t peer = 2; peer <= members; ++peer) member.links({peer});
  bool stood = false;
  for (int i = 0; i < 320; ++i) {
    member.passes(100);
    for (std::size_t k = 0; k < others.size(); ++k) answers(member, k + 2, 4, others[k], 40, 1);
    stood = stood || member->role() == Role::kCandidate;
    if (i < 290) REQUIRE_FALSE(stood);
  }
  return stood;
}

}  // namespace

TEST_CASE("who is absent is waited for, and given up only if nobody present is sound", "[claim]") {
  CHECK(stands_without_the_last(3, {Claim::kRecovering}));
  CHECK_FALSE(stands_without_the_last(3, {Claim::kSound}));
}

TEST_CASE("who is absent is given up if no majority could be sound even with them", "[claim]") {
  CHECK(stands_without_the_last(5, {Claim::kSound, Claim::kRecovering, Claim::kRecovering}));
  CHECK_FALSE(stands_without_the_last(5, {Claim::kSound, Claim::kSound, Claim::kRecovering}));
}

TEST_CASE("two members, failover unilateral: one that lost something drives no sound one out",
          "[claim]") {
  const auto two = [] {
    MemberBuilder builder;
    builder.of(2).term(4).log_through(50).tail_in_doubt();
    builder.config.failover = Failover::kUnilateral;
    return builder.build();
  };
  SECTION("which is there") {
    Member member = two();
    member.links({2});
    member.passes(200);
    answers(member, 2, 4, Claim::kSound, 40, 1);
    member.passes(200);
    CHECK(member->role() == Role::kReplica);
  }
  SECTION("which is away, however long") {
    Member member = two();
    for (int i = 0; i < 600; ++i) {
      member.passes(100);
      REQUIRE(member->role() == Role::kReplica);
    }
  }
  SECTION("but with one that lost something, too, they begin anew") {
    Member member = two();
    member.links({2});
    member.passes(200);
    for (int i = 0; i < 10 && member->generation() == 1; ++i) {
      answers(member, 2, 4, Claim::kRecovering, 40, 1);
      member.passes(100);
    }
    CHECK(member->generation() == 2);
    CHECK(member->role() == Role::kPrimary);
  }
}

TEST_CASE("two members, failover unilateral: the primary serves while the other recovers",
          "[claim]") {
  MemberBuilder builder;
  builder.of(2).term(4).log_through(50);
  builder.config.failover = Failover::kUnilateral;
  Member member = builder.build();
  for (int i = 0; i < 40 && member->role() != Role::kPrimary; ++i) member.passes(100);
  REQUIRE(member->role() == Role::kPrimary);
  member.links({2});
  const auto answers_as = [&](Claim claim) {
    member.passes(25);
    member.hears(2, HeartbeatReply{member.said<Heartbeat>(2)->round - 1, {}, {}, claim, false});
  };
  answers_as(Claim::kRecovering);
  CHECK(member->lease_holds(member.now()));
  answers_as(Claim::kSound);  // it may stand: a promise of its is needed again
  CHECK_FALSE(member->lease_holds(member.now() + milliseconds(200)));
}

TEST_CASE("a recovering member follows a newer generation, a sound one refuses until it is wiped",
          "[claim]") {
  const auto hears_of_generation_2 = [](Member& member) {
    member.happens(Received{{1}, {{9}, 2, Heartbeat{1, 0, {}, {80}, {}}}});
    member.happens(Received{{1}, {{9}, 2, entries_after(40, 1, 9, 1)}});
  };
  Member recovering = MemberBuilder().id(2).term(4).log_through(50).tail_in_doubt().build();
  hears_of_generation_2(recovering);
  CHECK(recovering->generation() == 2);
  CHECK(recovering.saved_record().generation == 2);
  CHECK(recovering->last_index() == LogIndex{41});

  Member sound = MemberBuilder().id(2).term(4).log_through(50).build();
  hears_of_generation_2(sound);
  CHECK(sound->generation() == 1);
  CHECK(sound->last_index() == LogIndex{50});
  CHECK(sound.noted("wipe its disk"));
}

TEST_CASE("what was known before the last primary says nothing about who can claim", "[claim]") {
  Member member = MemberBuilder().term(4).log_through(50).tail_in_doubt().build();
  member.links({2, 3});
  member.passes(5);
  answers(member, 2, 4, Claim::kRecovering, 40, 1);
  answers(member, 3, 4, Claim::kRecovering, 40, 1);
  member.hears(2, Heartbeat{1, 0, {}, {60}, {}});  // a primary, for a moment
  REQUIRE(member->primary() == NodeId{2});
  member.happens(PeerLost{{2}});
  member.passes(50);
  CHECK(member->role() == Role::kReplica);
  answers(member, 3, 4, Claim::kSound, 60, 1);
  member.passes(200);
  CHECK(member->role() == Role::kReplica);
}

TEST_CASE("a sound member follows the generation that it voted for", "[claim]") {
  Member member = MemberBuilder().id(2).term(4).log_through(50).build();
  member.links({1, 3});
  for (int i = 0; i < 400 && !member.said<StatusRequest>(1); ++i) member.passes(5);
  answers(member, 1, 4, Claim::kRecovering, 50, 1);
  answers(member, 3, 4, Claim::kRecovering, 40, 1);
  const VoteRequest request{VoteKind::kGeneration, {9}, {50}, {1}, 2};
  member.hears(1, {9}, request);
  REQUIRE(member.said<VoteReply>(1));
  REQUIRE(member.said<VoteReply>(1)->granted);
  // Others follow already, which says so much as that somebody can claim.
  const auto status = member.said<StatusRequest>(3);
  member.happens(
      Received{{3}, {{9}, 2, StatusReply{status->nonce, Claim::kRecovering, {40}, {1}, 0, true}}});
  member.happens(Received{{1}, {{9}, 2, Heartbeat{1, 0, {}, {51}, {}}}});
  CHECK(member->generation() == 2);
  CHECK(member->claim() == Claim::kRecovering);
}

TEST_CASE("an operator may say that what is here is all there is", "[claim]") {
  Member member = MemberBuilder().term(4).log_through(50).tail_in_doubt().build();
  member.happens(GenerationForced{});
  CHECK(member->role() == Role::kPrimary);
  CHECK(member->generation() == 2);
  CHECK(member->term() > Term{4});
}

TEST_CASE(
    "two members that are forced without hearing of each other share no generation and no term",
    "[claim]") {
  constexpr std::uint64_t kElections = 1'000'000;
  for (const std::size_t members : {2, 3, 5}) {
    std::map<std::uint64_t, std::size_t> generations;
    std::map<std::uint64_t, std::size_t> terms;  // without what elections add
    for (std::size_t slot = 0; slot < members; ++slot) {
      for (const std::uint64_t known : {1U, 7U, 8U, 999'999U, 1'000'000U, 2'000'001U, 7'654'321U}) {
        const std::uint64_t generation = forced_generation(known, slot, members);
        CHECK(generation > known);
        CHECK(generation <= known + members);
        CHECK(generations.try_emplace(generation, slot).first->second == slot);
        const Term term = forced_term({known}, slot, members);
        CHECK(term.value > known + kElections);
        CHECK(term.value % kElections == 0);
        CHECK(terms.try_emplace(term.value, slot).first->second == slot);
      }
    }
  }
}

TEST_CASE("two empty disks do not go on without the third member, however long it stays away",
          "[claim]") {
  Member member = MemberBuilder().term(4).tail_in_doubt().build();
  member.links({2});
  for (int i = 0; i < 400; ++i) {
    member.passes(100);
    answers(member, 2, 4, Claim::kRecovering, 0, 0);
    REQUIRE(member->role() == Role::kReplica);
  }
  // An operator may say so; and once the third one is there, it is no riddle any more.
  answers(member, 3, 4, Claim::kRecovering, 0, 0);
  member.passes(50);
  CHECK(member->role() == Role::kCandidate);
}

TEST_CASE("two lost disks that have caught up in part do not go on without the third member",
          "[claim]") {
  Member member = blank(false);
  answers(member, 2, 4, Claim::kSound, 50, 1);
  answers(member, 3, 4, Claim::kSound, 50, 1);
  REQUIRE(member->claim() == Claim::kRecovering);
  member.forget();
  member.hears(2, {5}, Heartbeat{1, 0, {}, {50}, {}});
  member.hears(2, {5}, entries_after(0, 0, 5, 10));
  REQUIRE(member->last_index() == LogIndex{10});
  CHECK(member.saved_record().is_log_partial);
  SECTION("while they run") {}
  SECTION("nor after restarts") {
    MemberBuilder again;
    again.log_through(10, 5).start().record = member.saved_record();
    member = again.build();
  }
  member.links({3});
  for (int i = 0; i < 400; ++i) {
    member.passes(100);
    if (!member.said<StatusRequest>(3)) continue;
    answers(member, 3, 5, Claim::kRecovering, 10, 5, 0, true);
    REQUIRE(member->role() == Role::kReplica);
  }
  // With all of them there it is no riddle any more.
  answers(member, 2, 4, Claim::kRecovering, 0, 0);
  member.passes(50);
  CHECK(member->role() == Role::kCandidate);
}

TEST_CASE("a lone member whose tail is in doubt goes on with what it has, as a new generation",
          "[claim]") {
  Member alone = MemberBuilder().of(1).term(4).log_through(50).tail_in_doubt().build();
  alone.passes(700);
  CHECK(alone->role() == Role::kPrimary);
  CHECK(alone->generation() == 2);
  CHECK(alone->accepts_entries());
}
