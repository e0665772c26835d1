#include <catch2/catch.hpp>

#include "tests/unit/core/fixture.hpp"

using namespace holdfast;
using namespace holdfast::core;
using wire::Heartbeat;
using wire::HeartbeatReply;
using wire::Release;
using wire::TakeOver;
using wire::VoteKind;
using wire::VoteReply;
using wire::VoteRequest;

namespace {

// A primary with a lease by member 2.
Member leased_primary() {
  Member primary = elected_primary();
  primary.passes(25);
  primary.hears(2, HeartbeatReply{primary.said<Heartbeat>(2)->round, primary->last_index(),
                                  primary->last_index(), wire::Claim::kSound, false});
  REQUIRE(primary->lease_holds(primary.now()));
  return primary;
}

}  // namespace

TEST_CASE("a hand-over drains first, then gives up the lease, then frees the promises",
          "[transfer]") {
  Member primary = leased_primary();
  primary.submits({"a"});
  primary.happens(TransferRequested{{2}, milliseconds(500)});
  CHECK_FALSE(primary->accepts_entries());
  CHECK_FALSE(primary.said<TakeOver>(2));
  CHECK(primary->lease_holds(primary.now()));
  const std::uint64_t round = primary.said<Heartbeat>(2)->round;
  primary.hears(2, acknowledged(primary->last_index().value));
  CHECK_FALSE(primary->lease_holds(primary.now()));
  REQUIRE(primary.said<Release>(3));
  CHECK(primary.said<Release>(3)->round == round);
  REQUIRE(primary.said<TakeOver>(2));
  CHECK(primary.said<TakeOver>(2)->last_index == primary->last_index());
  CHECK_FALSE(primary.said<TakeOver>(3));

  SECTION("answers to rounds that are released give no lease any more") {
    primary.hears(3, HeartbeatReply{round, {}, {}, wire::Claim::kSound, false});
    CHECK_FALSE(primary->lease_holds(primary.now()));
  }
  SECTION("heartbeats go on, but ask for no promise") {
    primary.passes(30);
    CHECK(primary.said<Heartbeat>(3)->round > round);
    CHECK(primary.said<Heartbeat>(3)->lease_us == 0);
  }
  SECTION("it votes for the target at once") {
    const Term next{primary->term().value + 1};
    primary.hears(
        2, next, VoteRequest{VoteKind::kTransfer, next, primary->last_index(), primary->term(), 0});
    CHECK(primary.said<VoteReply>(2)->granted);
    CHECK(primary.effects().transfer == TransferOutcome::kDone);
  }
  SECTION("if the target does not come, it takes the lease up again with rounds of its own") {
    for (int i = 0; i < 25; ++i) {
      primary.passes(25);
      primary.hears(
          2, HeartbeatReply{primary.said<Heartbeat>(2)->round, {}, {}, wire::Claim::kSound, false});
    }
    CHECK(primary.effects().transfer == TransferOutcome::kFailed);
    CHECK(primary->accepts_entries());
    CHECK(primary->lease_holds(primary.now()));
    CHECK(primary.said<Heartbeat>(2)->lease_us == 100'000);
    CHECK(primary.said<Heartbeat>(2)->round > round);
  }
}

namespace {

void peers_answer(Member& primary) {
  primary.passes(25);
  for (const std::uint64_t peer : {2, 3})
    primary.hears(peer, HeartbeatReply{primary.said<Heartbeat>(peer)->round, primary->last_index(),
                                       primary->last_index(), wire::Claim::kSound, false});
}

}  // namespace

TEST_CASE("a target that declines is asked again; reads are answered in between, and it ends",
          "[transfer]") {
  Member primary = leased_primary();
  primary.happens(TransferRequested{{2}, milliseconds(3'600'000)});
  REQUIRE(primary.count_said<TakeOver>(2) == 1);
  const std::uint64_t first = primary.said<TakeOver>(2)->round;
  bool had_lease = false;
  for (int i = 0; i < 40 && primary.count_said<TakeOver>(2) == 1; ++i) {
    peers_answer(primary);
    had_lease = had_lease || primary->lease_holds(primary.now());
    CHECK_FALSE(primary->accepts_entries());
  }
  CHECK(had_lease);
  REQUIRE(primary.count_said<TakeOver>(2) == 2);
  CHECK(primary.said<TakeOver>(2)->round > first);
  CHECK(primary.said<Release>(3)->round == primary.said<TakeOver>(2)->round);
  for (int i = 0; i < 400 && !primary->accepts_entries(); ++i) peers_answer(primary);
  CHECK(primary.effects().transfer == TransferOutcome::kFailed);
  CHECK(primary.count_said<TakeOver>(2) == 10);
  peers_answer(primary);
  CHECK(primary->lease_holds(primary.now()));
}

TEST_CASE("a primary that handed over to a member that is lost goes on", "[transfer]") {
  Member primary = leased_primary();
  primary.happens(TransferRequested{{2}, milliseconds(3'600'000)});
  REQUIRE(primary.said<TakeOver>(2));
  primary.happens(PeerLost{{2}});
  CHECK(primary.effects().transfer == TransferOutcome::kFailed);
  CHECK(primary->accepts_entries());
}

TEST_CASE("a member that is silent gets no hand-over, and is waited for no longer than busy_limit",
          "[transfer]") {
  Member primary = leased_primary();
  const auto only_3_answers = [&] {
    primary.passes(25);
    primary.hears(3, HeartbeatReply{primary.said<Heartbeat>(3)->round, primary->last_index(),
                                    primary->last_index(), wire::Claim::kSound, false});
  };
  for (int i = 0; i < 40; ++i) only_3_answers();
  SECTION("of several it is not chosen") {
    primary.happens(TransferRequested{{}, milliseconds(3'600'000)});
    CHECK(primary.said<TakeOver>(3));
  }
  SECTION("named, it keeps the lease here until it answers") {
    primary.happens(TransferRequested{{2}, milliseconds(3'600'000)});
    for (int i = 0; i < 40; ++i) only_3_answers();
    CHECK_FALSE(primary.said<TakeOver>(2));
    CHECK(primary->lease_holds(primary.now()));
    CHECK_FALSE(primary->accepts_entries());
    SECTION("which it does") {
      peers_answer(primary);
      CHECK(primary.said<TakeOver>(2));
    }
    SECTION("or does not") {
      for (int i = 0; i < 160; ++i) only_3_answers();
      CHECK(primary.effects().transfer == TransferOutcome::kFailed);
      CHECK(primary->accepts_entries());
    }
  }
}

TEST_CASE("the target stands at once, without asking first and free of its promise", "[transfer]") {
  Member target = MemberBuilder().id(2).term(4).log_through(50).build();
  target.links({1, 3});
  target.hears(1, Heartbeat{10, 100'000, {}, {50}, {}});
  SECTION("asked by its primary") {
    target.hears(1, TakeOver{{50}, 10});
    CHECK(target->role() == Role::kCandidate);
    CHECK(target->term() == Term{5});
    CHECK(target.said<VoteRequest>(3)->kind == VoteKind::kTransfer);
    target.hears(3, {5}, VoteReply{VoteKind::kTransfer, {5}, true, wire::Refusal::kNone});
    CHECK(target->role() == Role::kPrimary);
  }
  SECTION("not by an old request: it has promised a later round since") {
    target.hears(1, TakeOver{{50}, 9});
    CHECK(target->role() == Role::kReplica);
  }
  SECTION("not if it lacks an entry") {
    target.hears(1, TakeOver{{51}, 10});
    CHECK(target->role() == Role::kReplica);
  }
  SECTION("not while its owner loads its data anew, and it says so") {
    target.happens(OwnerReady{false});
    target.hears(1, Heartbeat{11, 100'000, {}, {50}, {}});
    CHECK(target.said<wire::HeartbeatReply>(1)->is_unfit);
    target.hears(1, TakeOver{{50}, 11});
    CHECK(target->role() == Role::kReplica);
    target.happens(PeerLost{{1}});
    target.passes(1000);
    CHECK(target.count_said<VoteRequest>(3) == 0);
    target.happens(OwnerReady{true});
    target.passes(1000);
    CHECK(target.count_said<VoteRequest>(3) > 0);
  }
  SECTION("not by somebody else") {
    target.hears(3, TakeOver{{50}, 10});
    CHECK(target->role() == Role::kReplica);
  }
}

TEST_CASE("a hand-over ends when its target can take over no more", "[transfer]") {
  Member primary = leased_primary();
  primary.submits({"not there yet"});
  primary.happens(TransferRequested{{3}, milliseconds(3'600'000)});
  REQUIRE_FALSE(primary->accepts_entries());
  wire::HeartbeatReply reply{
      primary.said<wire::Heartbeat>(3)->round, {}, {}, wire::Claim::kSound, true};
  primary.hears(3, reply);
  CHECK(primary.effects().transfer == TransferOutcome::kFailed);
  CHECK(primary->accepts_entries());
}

TEST_CASE("a hand-over to nobody fitting fails at once", "[transfer]") {
  Member primary = leased_primary();
  primary.happens(PeerLost{{3}});
  primary.happens(TransferRequested{{3}, milliseconds(500)});
  CHECK(primary.effects().transfer == TransferOutcome::kFailed);
  CHECK(primary->accepts_entries());
  Member replica = MemberBuilder().build();
  replica.happens(TransferRequested{{}, milliseconds(500)});
  CHECK(replica.effects().transfer == TransferOutcome::kFailed);
}

TEST_CASE("a primary whose disk fails hands over to one whose disk works", "[transfer]") {
  Member primary = leased_primary();
  primary.holds_disk = true;
  primary.submits({"a"});
  primary.happens(DiskFailed{});
  CHECK_FALSE(primary->accepts_entries());
  CHECK(primary->lease_holds(primary.now()));  // it serves reads
  primary.hears(3, HeartbeatReply{0, {1}, {1}, wire::Claim::kSound, true});
  primary.passes(5);
  // Both others have what its own disk has not.
  primary.hears(2, acknowledged(primary->last_index().value));
  primary.hears(3, acknowledged(primary->last_index().value));
  CHECK(primary->commit_index() == primary->last_index());
  CHECK(primary.said<TakeOver>(2));
  CHECK_FALSE(primary.said<TakeOver>(3));
  CHECK_FALSE(primary.effects().transfer);  // nobody asked
}
