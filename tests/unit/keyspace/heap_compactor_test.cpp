#include "server/keyspace/heap_compactor.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "server/keyspace/keyspace.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

class NullSink : public SnapshotSink {
 public:
  void record(const Put&) override {}
  void record(const HashPut&) override {}
  void record(const Expire&) override {}
};

std::string key(int i) {
  return "session:" + std::to_string(i);
}
std::string value(int i) {
  return std::string(static_cast<std::size_t>(100 + i % 200), static_cast<char>('a' + i % 26));
}

struct Fixture {
  Fixture() : keyspace(2, 42) {}

  void put(DatabaseIndex database, int i) {
    const std::string name = key(i);
    const std::string text = value(i);
    keyspace.begin_entry(LogIndex{++index}, static_cast<std::uint32_t>(i));
    keyspace.apply(
        Put{database, name, {text, nullptr}, TtlChange::kSet, 10'000 + i, StringForm::kByContent});
  }
  void del(DatabaseIndex database, int i) {
    const std::string name = key(i);
    keyspace.begin_entry(LogIndex{++index});
    keyspace.apply(Delete{database, name, DeleteReason::kCommand});
  }
  void free_all() {
    while (keyspace.free_slice(LogIndex{index}, 1000)) {
    }
  }
  // Number of slices.
  int compact() {
    int slices = 0;
    for (; keyspace.return_memory_slice(64); ++slices) REQUIRE(slices < 1'000'000);
    return slices;
  }
  bool intact(DatabaseIndex database, int i) {
    const Lookup found = keyspace.find(database, key(i));
    return found && string_value(*found.entry()).bytes == value(i) &&
           found.expire_at == 10'000 + i &&
           found.entry()->access_clock() == static_cast<std::uint32_t>(i);
  }

  Keyspace keyspace;
  std::uint64_t index = 0;
};

constexpr int kKeys = 60'000;

}  // namespace

TEST_CASE("after mass deletion entries move together and keep all that they are", "[keyspace]") {
  Fixture fixture;
  fixture.keyspace.compactor().set_gain_min_bytes(0);
  for (int i = 0; i < kKeys; ++i) fixture.put(i % 2 == 0 ? 0 : 1, i);
  fixture.compact();
  for (int i = 0; i < kKeys; ++i)
    if (i % 7 != 0) fixture.del(i % 2 == 0 ? 0 : 1, i);
  fixture.free_all();
  const Entry* before = fixture.keyspace.find(0, key(7 * 1000)).entry();
  const std::size_t slack = fixture.keyspace.slack_bytes();
  const std::size_t used = fixture.keyspace.heap_bytes();
  CHECK(fixture.compact() > 0);
  CHECK(fixture.keyspace.heap_bytes() == used);
  bool whole = true;
  for (int i = 0; i < kKeys; ++i) {
    const DatabaseIndex database = i % 2 == 0 ? 0 : 1;
    if (i % 7 == 0) {
      whole &= fixture.intact(database, i);
    } else {
      whole &= !fixture.keyspace.find(database, key(i));
    }
  }
  CHECK(whole);
#ifdef HOLDFAST_SANITIZED
  CHECK(fixture.keyspace.find(0, key(7 * 1000)).entry() != before);
  CHECK(slack == 0);
#else
  CHECK(before != nullptr);
  CHECK(slack > 6'000'000);
  CHECK(fixture.keyspace.slack_bytes() < slack / 2);
#endif
  CHECK(fixture.compact() == 0);
}

TEST_CASE("members of large hashes move, too", "[keyspace]") {
  Fixture fixture;
  Keyspace& keyspace = fixture.keyspace;
  keyspace.compactor().set_gain_min_bytes(0);
  constexpr int kFields = 20'000;
  for (const std::string_view name : {"first", "second"}) {
    for (int i = 0; i < kFields; ++i) {
      const std::string field = key(i);
      const std::string text = value(i);
      const FieldValue one{field, {text, nullptr}};
      keyspace.begin_entry(LogIndex{++fixture.index});
      keyspace.apply(HashPut{1, name, {&one, 1}, true});
    }
  }
  fixture.compact();
  for (const std::string_view name : {"first", "second"}) {
    for (int i = 0; i < kFields; ++i) {
      if (i % 5 == 0) continue;
      const std::string field = key(i);
      const std::string_view view = field;
      keyspace.begin_entry(LogIndex{++fixture.index});
      keyspace.apply(HashErase{1, name, {&view, 1}});
    }
  }
  fixture.free_all();
  const std::size_t slack = keyspace.slack_bytes();
  const std::size_t used = keyspace.used_bytes();
  CHECK(fixture.compact() > 0);
  CHECK(keyspace.used_bytes() == used);
#ifndef HOLDFAST_SANITIZED
  CHECK(keyspace.slack_bytes() < slack / 2);
#else
  CHECK(slack == 0);
#endif
  for (const std::string_view name : {"first", "second"}) {
    const Lookup hash = keyspace.find(1, name);
    REQUIRE(hash);
    CHECK(hash_length(*hash.entry()) == kFields / 5);
    bool whole = true;
    for (int i = 0; i < kFields; i += 5) {
      const auto found = hash_get(*hash.entry(), key(i));
      whole &= found.has_value() && found->bytes == value(i);
    }
    CHECK(whole);
  }
}

TEST_CASE("anything may happen between the slices of a round", "[keyspace]") {
  Fixture fixture;
  Keyspace& keyspace = fixture.keyspace;
  keyspace.compactor().set_gain_min_bytes(0);
  for (int i = 0; i < kKeys; ++i) fixture.put(0, i);
  for (int i = 0; i < kKeys; ++i)
    if (i % 3 != 0) fixture.del(0, i);
  fixture.free_all();
  std::map<int, DatabaseIndex> expected;
  for (int i = 0; i < kKeys; i += 3) expected[i] = 0;
  DatabaseIndex home = 0;
  NullSink sink;
  int step = 0;
  while (keyspace.return_memory_slice(64) && step < 3000) {
    ++step;
    const int i = step * 37 % kKeys;
    if (expected.erase(i) > 0) {
      fixture.del(home, i);
    } else {
      fixture.put(home, i);
      expected[i] = home;
    }
    if (step % 50 == 0) fixture.free_all();
    if (step % 400 == 0) {
      keyspace.apply(SwapDatabases{0, 1});
      home = home == 0 ? 1 : 0;
    }
    if (step % 700 == 0) {
      keyspace.begin_snapshot(sink);
      CHECK_FALSE(keyspace.return_memory_slice(64));
      while (keyspace.snapshot_slice(10'000)) {
      }
    }
  }
  CHECK(step > 100);
  bool whole = true;
  for (const auto& [i, database] : expected) whole &= fixture.intact(home, i);
  CHECK(whole);
  CHECK(keyspace.table(home).size() == expected.size());
}

TEST_CASE("a heap that is in use is left alone", "[keyspace]") {
  Fixture fixture;
  for (int i = 0; i < kKeys; ++i) fixture.put(0, i);
  CHECK_FALSE(fixture.keyspace.return_memory_slice(64));
  for (int i = 0; i < kKeys; ++i) fixture.put(0, i);
  fixture.free_all();
  // What was displaced is a page or two at a time: nothing worth a round.
  while (fixture.keyspace.return_memory_slice(64)) {
  }
  CHECK(fixture.keyspace.table(0).size() == kKeys);
  CHECK_FALSE(fixture.keyspace.return_memory_slice(64));
}
