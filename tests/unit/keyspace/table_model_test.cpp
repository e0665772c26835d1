// Random streams of operations on a table and on a std::map.
#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "server/keyspace/table.hpp"
#include "tests/unit/keyspace/table_model.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

std::uint64_t constant_hash(std::uint64_t, std::string_view) {
  return 0x0123456789abcdef;
}
std::uint64_t zero_hash(std::uint64_t, std::string_view) {
  return 0;
}
std::uint64_t all_ones_hash(std::uint64_t, std::string_view) {
  return ~std::uint64_t{0};
}
// Sixteen values, in the bits that are looked at last.
std::uint64_t low_bits_hash(std::uint64_t seed, std::string_view key) {
  return key_hash(seed, key) & 15;
}
// Few values in the top bits, so that some segments get all.
std::uint64_t top_bits_hash(std::uint64_t seed, std::string_view key) {
  return key_hash(seed, key) & 0xe000000000000000;
}
// Half of the keys agree in all bits that a slot knows.
std::uint64_t crowded_hash(std::uint64_t seed, std::string_view key) {
  const std::uint64_t hash = key_hash(seed, key);
  return (hash & 1) != 0 ? hash : hash >> 40;
}

struct Shape {
  const char* name;
  int subdirectory_bits;
  Table::HashFunction hash;
  std::uint64_t keys;
};

constexpr Shape kShapes[] = {
    {"few keys", 8, key_hash, 30},
    {"keyspace", 8, key_hash, 20'000},
    {"collection", 0, key_hash, 6'000},
    {"constant hash", 0, constant_hash, 1'500},
    {"zero hash", 8, zero_hash, 1'500},
    {"all ones", 8, all_ones_hash, 1'500},
    {"entropy in the lowest bits", 0, low_bits_hash, 3'000},
    {"entropy in the top bits", 0, top_bits_hash, 9'000},
    {"crowded", 0, crowded_hash, 9'000},
};

constexpr UnixMs kStart = 1'700'000'000'000;
constexpr UnixMs kDay = 86'400'000;

UnixMs random_expiry(Random& random, UnixMs now) {
  switch (random.below(16)) {
    case 0:
      return kNoExpiry;
    case 1:
      return now + 80 * kDay;  // too far for a narrow segment
    case 2:
      return now - static_cast<UnixMs>(random.below(1000));
    case 3:
      return random.below(200) == 0 ? TimingWheel::kNever - 1 : 0;
    default:
      return now + static_cast<UnixMs>(random.below(20'000));
  }
}

void run_stream(const Shape& shape, std::uint64_t seed, int steps) {
  Random random(seed);
  TableModel pair(shape.subdirectory_bits, shape.hash);
  UnixMs now = kStart;
  unsigned put_share = 60;
  for (int step = 0; step < steps; ++step) {
    if (step % (steps / 6) == 0) put_share = put_share == 60 ? 15 : 60;
    if (step == 0) put_share = 60;
    const std::string key = "key:" + std::to_string(random.below(shape.keys));
    const auto choice = random.below(100);
    if (choice < put_share) {
      const std::string value(random.below(40), static_cast<char>('a' + random.below(26)));
      pair.put(key, value, random.below(2) == 0 ? kNoExpiry : random_expiry(random, now));
    } else if (choice < 75) {
      pair.erase(key);
    } else if (choice < 88) {
      pair.expire(key, random_expiry(random, now));
    } else if (choice < 97) {
      pair.check_key(key);
    } else if (choice < 98) {
      now += static_cast<UnixMs>(random.below(random.below(50) == 0 ? 1'000'000 : 40));
      pair.expire_due(now, 1 + random.below(20));
    } else {
      pair.table.merge_slice(random.below(40));
    }
    if (step % (steps / 10) == 0) pair.check_all();
  }
  pair.check_all();
  std::size_t drained = 0;
  while (!pair.table.drain(100, [&](Entry* entry) {
    ++drained;
    Entry::destroy(pair.heap, entry);
  })) {
  }
  REQUIRE(drained == pair.model.size());
  REQUIRE(pair.table.empty());
  REQUIRE(pair.table.segment_count() == 0);
}

}  // namespace

TEST_CASE("a table and a map agree on any stream of operations", "[keyspace][table]") {
  for (const Shape& shape : kShapes) {
    DYNAMIC_SECTION(shape.name) {
      for (std::uint64_t seed = 1; seed <= 2; ++seed) run_stream(shape, seed, 30'000);
    }
  }
}

TEST_CASE("a table and a map agree on short streams that shrink to the smallest failure",
          "[keyspace][table]") {
  const bool holds = rc::check("table equals map", [] {
    const auto hash = *rc::gen::element<Table::HashFunction>(key_hash, constant_hash, low_bits_hash,
                                                             crowded_hash);
    const auto operations =
        *rc::gen::container<std::vector<std::tuple<unsigned, unsigned, unsigned>>>(rc::gen::tuple(
            rc::gen::inRange(0U, 6U), rc::gen::inRange(0U, 24U), rc::gen::inRange(0U, 50U)));
    TableModel pair(*rc::gen::element(0, 3), hash);
    UnixMs now = 0;
    for (const auto& [kind, number, time] : operations) {
      const std::string key = std::to_string(number);
      switch (kind) {
        case 0:
        case 1:
          pair.put(key, key, kind == 0 ? kNoExpiry : now + time);
          break;
        case 2:
          pair.erase(key);
          break;
        case 3:
          pair.expire(key, now + time);
          break;
        case 4:
          now += time;
          pair.expire_due(now, 3);
          break;
        default:
          pair.table.merge_slice(time);
      }
      pair.check_all();
    }
  });
  CHECK(holds);
}
