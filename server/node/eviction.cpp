#include "server/node/eviction.hpp"

#include <limits>
#include <string>

#include "base/check.hpp"

namespace holdfast::node {

namespace {

using config::EvictionPolicy;
using keyspace::DatabaseIndex;
using keyspace::Entry;

// A write command waits at most for this many evictions; if the data is still too large it goes on,
// as Redis does when its time for evicting is used up, and the next command evicts further.
constexpr int kBatchKeys = 64;

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
};

Victim choose(commands::ServerState& state, const TimePoint& now) {
  const EvictionPolicy policy = state.options.memory.maxmemory_policy;
  const bool expiring = only_expiring(policy);
  const bool random =
      policy == EvictionPolicy::kAllkeysRandom || policy == EvictionPolicy::kVolatileRandom;
  const std::int64_t samples = random ? 1 : 2 * state.options.memory.maxmemory_samples;
  Victim worst;
  for (DatabaseIndex database = 0; database < state.keyspace.database_count(); ++database) {
    const keyspace::Table& table = state.keyspace.table(database);
    if ((expiring ? table.expiring_count() : table.size()) == 0) continue;
    for (std::int64_t i = 0; i < samples; ++i) {
      UnixMs expire_at = keyspace::kNoExpiry;
      const Entry* entry = expiring ? table.random_expiring(state.random, &expire_at)
                                    : table.random_entry(state.random);
      if (entry == nullptr) break;
      const std::int64_t score = badness(policy, *entry, expire_at, now.unix_ms);
      if (score > worst.badness) worst = {database, entry, score};
    }
    // Random policies go round the databases by chance of their sizes only roughly, as in Redis.
    if (random && worst.entry != nullptr && state.random.below(2) == 0) break;
  }
  return worst;
}

}  // namespace

bool make_room(commands::ServerState& state, const TimePoint& now) {
  const std::uint64_t limit = state.options.memory.maxmemory;
  if (limit == 0 || state.keyspace.used_bytes() <= limit) return true;
  if (state.options.memory.maxmemory_policy == EvictionPolicy::kNoEviction) return false;
  bool found = true;
  for (int i = 0; i < kBatchKeys && found && state.keyspace.used_bytes() > limit; ++i) {
    const Victim victim = choose(state, now);
    found = victim.entry != nullptr;
    if (!found) break;
    const std::string key(victim.entry->key());
    state.journal.emit(keyspace::Delete{victim.database, key, keyspace::DeleteReason::kEvicted},
                       now.unix_ms, 0);
    ++state.statistics.evicted_keys;
  }
  state.journal.close();  // one log entry for all
  return found;
}

}  // namespace holdfast::node
