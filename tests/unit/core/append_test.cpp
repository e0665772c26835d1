#include <catch2/catch.hpp>

#include "tests/unit/core/fixture.hpp"

using namespace holdfast;
using namespace holdfast::core;
using wire::AppendEntries;
using wire::AppendFragment;
using wire::AppendReply;

namespace {

Member follower(const MemberBuilder& builder = MemberBuilder().id(2).term(4).log_through(10)) {
  return builder.build();
}

AppendFragment fragment(std::uint64_t previous, std::string_view whole, std::size_t offset,
                        std::size_t count) {
  return {{previous},
          {1},
          {0},
          {{4}, {previous + 1}, 0, 2, {}},
          whole.size(),
          offset,
          Rope::copy_of(whole.substr(offset, count))};
}

}  // namespace

TEST_CASE("entries that follow are appended and acknowledged when they are persisted", "[append]") {
  Member replica = follower();
  replica.holds_disk = true;
  replica.hears(1, entries_after(10, 1, 4, 3));
  CHECK(replica->last_index() == LogIndex{13});
  // That the entries before them agree is a fact already, and worth telling.
  REQUIRE(replica.said<AppendReply>(1));
  CHECK(replica.said<AppendReply>(1)->received == LogIndex{13});
  CHECK(replica.said<AppendReply>(1)->persisted == LogIndex{10});
  REQUIRE(replica.effects().writes.size() == 1);
  CHECK(replica.effects().writes[0].entries.size() == 3);
  replica.forget();
  replica.persists_write();
  REQUIRE(replica.said<AppendReply>(1));
  CHECK(replica.said<AppendReply>(1)->accepted);
  CHECK(replica.said<AppendReply>(1)->persisted == LogIndex{13});
}

TEST_CASE("a gap is refused with a hint where to go on", "[append]") {
  Member replica = follower();
  replica.hears(1, entries_after(20, 4, 4, 1));
  const auto reply = replica.said<AppendReply>(1);
  REQUIRE(reply);
  CHECK_FALSE(reply->accepted);
  CHECK(reply->hint_index == LogIndex{10});
  CHECK(reply->hint_term == Term{1});
}

TEST_CASE("another term at the place before is refused with the last entry that may agree",
          "[append]") {
  Member replica = follower(MemberBuilder().id(2).term(4).log_through(5, 1).log_through(10, 3));
  replica.hears(1, entries_after(10, 2, 4, 1));
  const auto reply = replica.said<AppendReply>(1);
  CHECK_FALSE(reply->accepted);
  CHECK(reply->hint_index == LogIndex{5});
  CHECK(reply->hint_term == Term{1});
  CHECK(replica->last_index() == LogIndex{10});
}

TEST_CASE("a conflicting tail is truncated, an agreeing one is kept", "[append]") {
  Member replica = follower();
  SECTION("the same entries again") {
    replica.hears(1, entries_after(5, 1, 1, 3));
    CHECK(replica->last_index() == LogIndex{10});
    CHECK(replica.effects().writes.empty());
    CHECK(replica.said<AppendReply>(1)->received == LogIndex{8});
  }
  SECTION("other entries") {
    replica.hears(1, entries_after(5, 1, 4, 2));
    CHECK(replica->last_index() == LogIndex{7});
    REQUIRE(replica.effects().writes.size() == 1);
    CHECK(replica.effects().writes[0].truncate_from == LogIndex{6});
    CHECK(replica.effects().writes[0].entries.size() == 2);
  }
}

TEST_CASE("an index counts as persisted by the write of its present entry only", "[append]") {
  Member replica = follower();
  replica.holds_disk = true;
  replica.hears(1, entries_after(10, 1, 4, 5));  // one write, through 15
  // A new primary has other entries from 12 on.
  while (!replica.unsaved_records.empty()) replica.saves_record();
  replica.hears(3, {6}, entries_after(11, 4, 6, 4));
  while (!replica.unsaved_records.empty()) replica.saves_record();
  REQUIRE(replica.unpersisted_writes.size() == 2);
  replica.forget();
  replica.persists_write();
  // The first write said 15, but what is at 12..15 now was not in it.
  REQUIRE(replica.said<AppendReply>(3));
  CHECK(replica.said<AppendReply>(3)->persisted == LogIndex{11});
  replica.persists_write();
  CHECK(replica.said<AppendReply>(3)->persisted == LogIndex{15});
}

TEST_CASE("a replica commits no further than it agrees with the primary", "[append]") {
  Member replica = follower();
  replica.hears(1, wire::Heartbeat{1, 0, {10}, {10}, {}});
  CHECK(replica->commit_index() == LogIndex{0});
  replica.hears(1, entries_after(7, 1, 1, 0, 10));
  CHECK(replica->commit_index() == LogIndex{7});
  CHECK(replica.effects().apply.size() == 7);
  replica.hears(1, wire::Heartbeat{2, 0, {10}, {10}, {}});
  CHECK(replica->commit_index() == LogIndex{7});
}

TEST_CASE("committed entries are applied in order, once, from disk if need be", "[append]") {
  MemberBuilder builder;
  builder.id(2).term(4).log_through(10);
  builder.start().tail.clear();
  Member replica = builder.build();
  replica.hears(1, entries_after(10, 1, 4, 1, 11));
  REQUIRE(replica.effects().read_log.size() == 1);
  const ReadLog read = replica.effects().read_log[0];
  CHECK(read.from == LogIndex{1});
  CHECK(read.to == LogIndex{11});
  CHECK(replica.effects().apply.empty());
  std::vector<log::Entry> entries;
  for (std::uint64_t i = 1; i <= 10; ++i)
    entries.push_back({{1}, {i}, 0, log::EntryKind::kMutations, {}});
  replica.happens(LogRead{read.number, entries});
  REQUIRE(replica.effects().apply.size() == 11);
  for (std::uint64_t i = 0; i < 11; ++i) CHECK(replica.effects().apply[i].index == LogIndex{i + 1});
  replica.happens(LogRead{read.number, entries});  // a late double
  CHECK(replica.effects().apply.size() == 11);
}

TEST_CASE("a primary that contradicts what is committed is not followed there", "[append]") {
  Member replica = follower();
  replica.hears(1, entries_after(10, 1, 4, 0, 10));
  CHECK(replica->commit_index() == LogIndex{10});
  replica.forget();
  replica.hears(1, entries_after(8, 1, 4, 2));
  CHECK(replica.noted("contradiction"));
  CHECK(replica->last_index() == LogIndex{10});
  CHECK_FALSE(replica.said<AppendReply>(1));
}

TEST_CASE("an old primary's entries are refused with the newer term", "[append]") {
  Member replica = follower();
  replica.hears(1, {3}, entries_after(10, 1, 3, 1));
  CHECK(replica->last_index() == LogIndex{10});
  CHECK_FALSE(replica.said<AppendReply>(1)->accepted);
  CHECK(replica.last_said(1)->term == Term{4});
}

TEST_CASE("malformed entries are ignored as a whole", "[append]") {
  Member replica = follower();
  AppendEntries gap = entries_after(10, 1, 4, 2);
  gap.entries[1].index = {15};
  replica.hears(1, gap);
  AppendEntries newer = entries_after(10, 1, 9, 1);
  replica.hears(1, newer);
  AppendEntries unknown = entries_after(10, 1, 4, 1);
  unknown.entries[0].kind = 99;
  replica.hears(1, unknown);
  CHECK(replica->last_index() == LogIndex{10});
}

TEST_CASE("an entry in fragments is appended with its last one, never before", "[append]") {
  Member replica = follower();
  const std::string whole = "0123456789";
  replica.hears(1, entries_after(10, 1, 4, 0));
  replica.hears(1, fragment(10, whole, 0, 4));
  CHECK(replica->last_index() == LogIndex{10});
  CHECK(replica.said<AppendReply>(1)->fragment_bytes == 4);
  SECTION("heartbeats pass between them") {
    replica.hears(1, wire::Heartbeat{7, 0, {}, {}, {}});
    CHECK(replica.said<wire::HeartbeatReply>(1)->round == 7);
  }
  SECTION("one that came twice, or too early, changes nothing") {
    replica.hears(1, fragment(10, whole, 0, 4));
    replica.hears(1, fragment(10, whole, 8, 2));
    CHECK(replica.said<AppendReply>(1)->fragment_bytes == 4);
  }
  replica.hears(1, fragment(10, whole, 4, 4));
  replica.hears(1, fragment(10, whole, 8, 2));
  CHECK(replica->last_index() == LogIndex{11});
  REQUIRE_FALSE(replica.effects().writes.empty());
  CHECK(replica.effects().writes.back().entries[0].payload.str() == whole);
}

TEST_CASE("fragments that a slow link brought are kept when the term changes", "[append]") {
  Member replica = follower();
  const std::string whole = "0123456789";
  replica.hears(1, entries_after(10, 1, 4, 0));
  replica.hears(1, fragment(10, whole, 0, 4));
  replica.hears(1, {6}, entries_after(10, 1, 6, 0));
  CHECK(replica.said<AppendReply>(1)->fragment_bytes == 0);  // it may be of another entry
  replica.hears(1, {6}, fragment(10, whole, 0, 2));
  CHECK(replica.said<AppendReply>(1)->fragment_bytes == 4);
  replica.hears(1, {6}, fragment(10, whole, 4, 6));
  CHECK(replica->last_index() == LogIndex{11});
}

TEST_CASE("fragments of a former primary are void", "[append]") {
  Member replica = follower();
  const std::string whole = "0123456789";
  replica.hears(1, entries_after(10, 1, 4, 0));
  replica.hears(1, fragment(10, whole, 0, 4));
  replica.hears(3, {6}, entries_after(10, 1, 6, 0));
  AppendFragment rest = fragment(10, whole, 4, 6);
  rest.entry.term = {6};
  replica.hears(3, {6}, rest);
  CHECK(replica->last_index() == LogIndex{10});
  CHECK(replica.said<AppendReply>(3)->fragment_bytes == 0);
}
