#include "server/node/eviction.hpp"

#include <algorithm>
#include <limits>

#include "base/check.hpp"

namespace holdfast::node {

namespace {

using config::EvictionPolicy;
using keyspace::DatabaseIndex;
using keyspace::Entry;

// Where fewer keys expire than one in so many, they are picked one by one, which takes longer.
constexpr std::size_t kShareMax = 64;
constexpr std::size_t kUnitsOfPicks = 16;

bool only_expiring(EvictionPolicy policy) {
  return policy == EvictionPolicy::kVolatileLru || policy == EvictionPolicy::kVolatileTtl ||
         policy == EvictionPolicy::kVolatileRandom;
}

// The larger, the sooner evicted.
std::int64_t badness(EvictionPolicy policy, const Entry& entry, UnixMs expire_at, UnixMs now) {
  switch (policy) {
    case EvictionPolicy::kAllkeysLru:
    case EvictionPolicy::kVolatileLru:
      return ((now / 1000) - static_cast<std::int64_t>(entry.access_clock())) & 0xffffff;
    case EvictionPolicy::kVolatileTtl:
      return std::numeric_limits<std::int64_t>::max() - expire_at;
    case EvictionPolicy::kAllkeysRandom:
    case EvictionPolicy::kVolatileRandom:
    case EvictionPolicy::kNoEviction:
      return 0;
  }
  HF_CHECK(false && "unknown eviction policy");
}

struct Victim {
  DatabaseIndex database = 0;
  const Entry* entry = nullptr;
  std::int64_t badness = -1;
  std::size_t units = 1;  // what it took to find
};

Victim choose(commands::ServerState& state, const TimePoint& now) {
  const EvictionPolicy policy = state.options.memory.maxmemory_policy;
  const bool expiring = only_expiring(policy);
  const bool random =
      policy == EvictionPolicy::kAllkeysRandom || policy == EvictionPolicy::kVolatileRandom;
  const std::size_t samples =
      random ? 1 : 2 * static_cast<std::size_t>(state.options.memory.maxmemory_samples);
  Victim worst;
  for (DatabaseIndex database = 0; database < state.keyspace.database_count(); ++database) {
    const keyspace::Table& table = state.keyspace.table(database);
    if ((expiring ? table.expiring_count() : table.size()) == 0) continue;
    bool found = false;
    const auto consider = [&](const Entry* entry, UnixMs expire_at) {
      if (expiring && expire_at == keyspace::kNoExpiry) return;
      found = true;
      const std::int64_t score = badness(policy, *entry, expire_at, now.unix_ms);
      if (score <= worst.badness) return;
      worst.database = database;
      worst.entry = entry;
      worst.badness = score;
    };
    // A run in the order of hashes, which know nothing of age, is as good a sample as single picks,
    // at a tenth of the cost. Where few keys expire it is longer.
    const std::size_t share = expiring ? table.size() / table.expiring_count() : 1;
    table.scan(state.random.next() >> (64 - keyspace::Table::kCursorBits),
               samples * std::min(share, kShareMax), consider);
    if (!found) worst.units = kUnitsOfPicks;
    for (std::size_t i = 0, picks = found ? 0 : samples; i < picks; ++i) {
      UnixMs expire_at = keyspace::kNoExpiry;
      const Entry* entry = expiring ? table.random_expiring(state.random, &expire_at)
                                    : table.random_entry(state.random);
      if (entry == nullptr) break;
      consider(entry, expire_at);
    }
    // Random policies go round the databases by chance of their sizes only roughly, as in Redis.
    if (random && worst.entry != nullptr && state.random.below(2) == 0) break;
  }
  return worst;
}

}  // namespace

Room make_room(commands::ServerState& state, const TimePoint& now, std::size_t units) {
  const std::uint64_t limit = state.options.memory.maxmemory;
  const auto is_over = [&] { return limit != 0 && state.keyspace.used_bytes() > limit; };
  if (!is_over()) return Room::kEnough;
  if (state.options.memory.maxmemory_policy == EvictionPolicy::kNoEviction) return Room::kNone;
  Room room = Room::kMoreToEvict;
  while (units > 0 && room == Room::kMoreToEvict) {
    const Victim victim = choose(state, now);
    if (victim.entry == nullptr) {
      room = Room::kNone;
      break;
    }
    units -= std::min(units, victim.units);
    // The entry outlives its deletion: it is freed when that is committed.
    state.journal.emit(
        keyspace::Delete{victim.database, victim.entry->key(), keyspace::DeleteReason::kEvicted},
        now.unix_ms, 0);
    ++state.statistics.evicted_keys;
    if (!is_over()) room = Room::kEnough;
  }
  state.journal.close();  // one log entry for all
  return room;
}

}  // namespace holdfast::node
