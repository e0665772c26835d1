// What the walk of a write costs: Submitted, Persisted, committed, on a member that is alone.
#include <catch2/catch.hpp>
#include <vector>

#include "tests/unit/core/fixture.hpp"
#include "tests/unit/node/counted_allocations.hpp"

using namespace holdfast;
using namespace holdfast::core;
using holdfast::node::counted_allocations;

TEST_CASE("a batch of writes on a lone member takes one allocation, whatever its size",
          "[allocation]") {
  MemberBuilder builder;
  builder.of(1);
  builder.config.backlog_bytes = 100'000;
  Replica replica(builder.config, builder.start());
  Effects effects;
  MonoTime now = builder.start().now;
  // As the owner does: carries out, and hands back what the disk has done.
  const auto run = [&](const Happening& what) {
    std::vector<WriteNumber> saved;
    std::vector<WriteNumber> persisted;
    effects.clear();
    replica.step({now, what}, effects);
    for (const RecordWrite& write : effects.records) saved.push_back(write.write);
    for (const LogWrite& write : effects.writes) persisted.push_back(write.write);
    for (const WriteNumber write : saved) replica.step({now, RecordSaved{write}}, effects);
    for (const LogWrite& write : effects.writes)
      if (persisted.empty() || write.write > persisted.back()) persisted.push_back(write.write);
    for (const WriteNumber write : persisted) replica.step({now, Persisted{write}}, effects);
  };
  for (int i = 0; i < 10; ++i) {
    now = now + milliseconds(5);
    run(Tick{});
  }
  REQUIRE(replica.accepts_entries());

  RopeArena arena;
  const auto allocations_of_batch = [&](std::size_t entries) {
    std::vector<Proposal> batch;
    for (std::size_t i = 0; i < entries; ++i) {
      arena.append("a session of a few bytes");
      batch.push_back({1, log::EntryKind::kMutations, arena.take()});
    }
    const std::size_t before = counted_allocations();
    effects.clear();
    replica.step({now, Submitted{batch}}, effects);
    const WriteNumber write = effects.writes.at(0).write;
    replica.step({now, Persisted{write}}, effects);
    const std::size_t taken = counted_allocations() - before;
    REQUIRE(replica.commit_index() == replica.last_index());
    REQUIRE(effects.committed == replica.last_index());
    return taken;
  };
  for (int i = 0; i < 2'000; ++i) allocations_of_batch(100);
  std::size_t taken = 0;
  for (int i = 0; i < 1'000; ++i) taken += allocations_of_batch(100);
  // The list that goes to the disk; a queue's block now and then.
  CHECK(taken <= 1'000 + 50);
}
