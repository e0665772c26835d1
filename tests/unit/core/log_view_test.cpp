#include "replication/core/log_view.hpp"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::core;

namespace {

log::Entry entry(std::uint64_t index, std::uint64_t term, std::string_view payload = "x") {
  return {{term}, {index}, 0, log::EntryKind::kMutations, Rope::copy_of(payload)};
}

// Terms 1 1 2 2 2 5 at 1..6.
LogView six() {
  LogView log{Start{}};
  const std::uint64_t terms[] = {1, 1, 2, 2, 2, 5};
  for (std::uint64_t i = 1; i <= 6; ++i) log.append(entry(i, terms[i - 1]));
  return log;
}

}  // namespace

TEST_CASE("terms are known from the base to the last entry, and nowhere else", "[log_view]") {
  LogView log = six();
  CHECK(log.term_at({0}) == Term{0});
  CHECK(log.term_at({2}) == Term{1});
  CHECK(log.term_at({3}) == Term{2});
  CHECK(log.term_at({6}) == Term{5});
  CHECK_FALSE(log.term_at({7}));
  log.note_write(1);
  log.on_persisted(1);
  log.forget_before({4});
  CHECK(log.base_index() == LogIndex{3});
  CHECK(log.term_at({3}) == Term{2});
  CHECK_FALSE(log.term_at({2}));
  CHECK(log.term_at({4}) == Term{2});
}

TEST_CASE("the last entry with at most a term", "[log_view]") {
  const LogView log = six();
  CHECK(log.last_with_term_at_most({6}, {9}) == LogIndex{6});
  CHECK(log.last_with_term_at_most({9}, {4}) == LogIndex{5});
  CHECK(log.last_with_term_at_most({6}, {1}) == LogIndex{2});
  CHECK(log.last_with_term_at_most({6}, {0}) == LogIndex{0});
  CHECK(log.last_with_term_at_most({4}, {2}) == LogIndex{4});
}

TEST_CASE("forgetting and truncating at every place leaves the rest as it was", "[log_view]") {
  const LogView whole = six();
  for (std::uint64_t first = 1; first <= 7; ++first) {
    for (std::uint64_t from = first; from <= 6; ++from) {
      LogView log = six();
      log.note_write(1);
      log.on_persisted(1);
      log.forget_before({first});
      if (from > log.base_index().value) log.truncate({from});
      CHECK(log.last_index() == LogIndex{from > log.base_index().value ? from - 1 : 6});
      for (std::uint64_t i = log.base_index().value; i <= log.last_index().value; ++i)
        CHECK(log.term_at({i}) == whole.term_at({i}));
      CHECK(log.persisted() == log.last_index());
      log.append(entry(log.last_index().value + 1, 7));
      CHECK(log.last_term() == Term{7});
    }
  }
}

TEST_CASE("a write vouches for the entries that it carried, not for their indexes", "[log_view]") {
  LogView log = six();
  log.note_write(1);
  log.truncate({4});
  log.append(entry(4, 6));
  log.append(entry(5, 6));
  log.note_write(2);
  log.on_persisted(1);
  CHECK(log.persisted() == LogIndex{3});
  log.on_persisted(2);
  CHECK(log.persisted() == LogIndex{5});
}

TEST_CASE("a reset log is persisted by its own write only", "[log_view]") {
  LogView log = six();
  log.note_write(1);
  log.reset({{50}, {4}}, 2);
  CHECK(log.last_index() == LogIndex{50});
  CHECK(log.last_term() == Term{4});
  log.on_persisted(1);
  CHECK(log.persisted() == LogIndex{0});
  log.append(entry(51, 4));
  log.note_write(3);
  log.on_persisted(2);
  CHECK(log.persisted() == LogIndex{50});
  log.on_persisted(3);
  CHECK(log.persisted() == LogIndex{51});
}

TEST_CASE("the backlog is trimmed from the front, persisted entries only", "[log_view]") {
  LogView log = six();
  log.trim_backlog(0, {6});
  CHECK(log.entry({1}) != nullptr);
  log.note_write(1);
  log.on_persisted(1);
  log.trim_backlog(0, {3});
  CHECK(log.entry({3}) == nullptr);
  REQUIRE(log.entry({4}) != nullptr);
  CHECK(log.entry({4})->index == LogIndex{4});
  CHECK(log.backlog_first() == LogIndex{4});
  CHECK(log.entry({7}) == nullptr);
}

TEST_CASE("a ring of entries keeps its order while it grows and turns", "[log_view]") {
  EntryRing ring;
  std::uint64_t next = 1;
  std::uint64_t first = 1;
  for (int round = 0; round < 500; ++round) {
    for (int i = 0; i < 7; ++i) ring.push_back(entry(next++, 1));
    for (int i = 0; i < (round < 250 ? 3 : 9) && !ring.empty(); ++i) {
      REQUIRE(ring.front().index.value == first++);
      ring.pop_front();
    }
    if (ring.empty()) continue;
    REQUIRE(ring.back().index.value == next - 1);
    REQUIRE(ring[ring.size() / 2].index.value == first + ring.size() / 2);
  }
}
