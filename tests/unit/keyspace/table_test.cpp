#include "server/keyspace/table.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <functional>
#include <set>
#include <unordered_map>

#include "tests/unit/keyspace/table_model.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

constexpr UnixMs kNow = 1'700'000'000'000;
constexpr UnixMs kSpan = std::int64_t{1} << 32;

std::string key_of(std::uint64_t number) {
  return "key:" + std::to_string(number);
}
// Recomputable, so that a large test needs no model.
UnixMs expiry_of(std::uint64_t number) {
  return number % 3 == 0 ? kNoExpiry : kNow + static_cast<UnixMs>(number * 7919 % 1'000'000);
}

// A table without a model, of entries without values.
struct Fixture {
  explicit Fixture(int subdirectory_bits, Table::HashFunction hash = key_hash)
      : table(heap, 7, subdirectory_bits, hash) {}

  Entry* add(const std::string& key, UnixMs expire_at = kNoExpiry) {
    Locator where = table.find(key);
    EXPECT_HERE(where.entry == nullptr);
    Entry* entry = Entry::create(heap, key, Kind::kString, 0);
    table.insert(where, entry, expire_at);
    return entry;
  }
  void remove(const std::string& key) {
    Locator where = table.find(key);
    EXPECT_HERE(where.entry != nullptr);
    Entry::destroy(heap, table.erase(where));
  }
  UnixMs expiry(const std::string& key) {
    const Locator where = table.find(key);
    EXPECT_HERE(where.entry != nullptr);
    return table.expiry(where);
  }
  void expire(const std::string& key, UnixMs expire_at) {
    Locator where = table.find(key);
    EXPECT_HERE(where.entry != nullptr);
    table.set_expiry(where, expire_at);
  }
  void merge_all() {
    for (int idle = 0; idle < 2;) idle = table.merge_slice(100'000) ? 0 : idle + 1;
  }

  EntryHeap heap;
  Table table;
};

// A quarter of all keys in the lower half of the hash space: its segments are shallower.
std::uint64_t skewed_hash(std::uint64_t seed, std::string_view key) {
  const std::uint64_t hash = key_hash(seed, key);
  return (hash & 3) == 0 ? hash >> 1 : hash >> 1 | std::uint64_t{1} << 63;
}

// Whether `run` ends the process.
bool stops_the_process(const std::function<void()>& run) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(0);
    for (int signal : {SIGABRT, SIGILL, SIGTRAP}) std::signal(signal, SIG_DFL);  // not Catch's
    run();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

}  // namespace

TEST_CASE("a table deep enough to hash its keys again keeps them all, up and down",
          "[keyspace][table]") {
  for (int bits : {kCollectionSubdirectoryBits, kKeyspaceSubdirectoryBits}) {
    Fixture fixture(bits);
    constexpr std::uint64_t kCount = 200'000;
    const auto check = [&](std::uint64_t step) {
      for (std::uint64_t i = 0; i < kCount; ++i) {
        const Locator where = fixture.table.find(key_of(i));
        EXPECT_HERE((where.entry != nullptr) == (i % step == 0));
        if (where.entry != nullptr) EXPECT_HERE(fixture.table.expiry(where) == expiry_of(i));
      }
    };
    for (int round = 0; round < 2; ++round) {
      for (std::uint64_t i = 0; i < kCount; ++i)
        if (round == 0 || i % 40 != 0) fixture.add(key_of(i), expiry_of(i));
      check(1);
      const std::size_t segments = fixture.table.segment_count();
      const std::size_t bytes = fixture.table.memory_bytes();
      CHECK(segments >= 256);
      CHECK(bytes < kCount * 18);
      for (std::uint64_t i = 0; i < kCount; ++i)
        if (i % 40 != 0) fixture.remove(key_of(i));
      check(40);
      fixture.merge_all();
      check(40);
      CHECK(fixture.table.size() == kCount / 40);
      CHECK(fixture.table.memory_bytes() < bytes / 12);
      if (bits == kCollectionSubdirectoryBits) CHECK(fixture.table.segment_count() < segments / 12);
    }
  }
}

TEST_CASE("empty tables are small and give back what they had", "[keyspace][table]") {
  Fixture fixture(kKeyspaceSubdirectoryBits);
  const std::size_t empty = fixture.table.memory_bytes();
  CHECK(empty < 8 * 1024);
  for (std::uint64_t i = 0; i < 256; ++i) fixture.add(key_of(i));
  CHECK(fixture.table.memory_bytes() < 64 * 1024);
  for (std::uint64_t i = 0; i < 256; ++i) fixture.remove(key_of(i));
  fixture.merge_all();
  CHECK(fixture.table.memory_bytes() == empty);
  CHECK(fixture.table.segment_count() == 0);
}

TEST_CASE("a deep table gives back its directory, and arrays before any merging",
          "[keyspace][table]") {
  Fixture fixture(kCollectionSubdirectoryBits);
  const std::size_t empty = fixture.table.memory_bytes();
  for (std::uint64_t i = 0; i < 60'000; ++i) fixture.add(key_of(i));
  const std::size_t full = fixture.table.memory_bytes();
  for (std::uint64_t i = 0; i < 60'000; ++i) fixture.remove(key_of(i));
  CHECK(fixture.table.memory_bytes() < full / 20);
  fixture.merge_all();
  CHECK(fixture.table.memory_bytes() == empty);
}

TEST_CASE("a stale locator stops the process", "[keyspace][table]") {
  Fixture fixture(kCollectionSubdirectoryBits);
  fixture.add("a");
  CHECK_FALSE(stops_the_process([&] {
    Locator where = fixture.table.find("a");
    fixture.table.set_expiry(where, kNow);
    fixture.table.erase(where);
  }));
  CHECK(stops_the_process([&] {
    Locator where = fixture.table.find("a");
    fixture.add("b");
    fixture.table.erase(where);
  }));
  CHECK(stops_the_process([&] {
    Locator where = fixture.table.find("a");
    fixture.table.erase(where);
    fixture.table.set_expiry(where, kNow);
  }));
  CHECK(stops_the_process([&] {
    Locator where = fixture.table.find("b");
    fixture.add("c");
    fixture.table.insert(where, Entry::create(fixture.heap, "b", Kind::kString, 0));
  }));
}

TEST_CASE("a scan meets every entry that stays, while others come and go", "[keyspace][scan]") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Fixture fixture(seed % 2 == 0 ? kCollectionSubdirectoryBits : kKeyspaceSubdirectoryBits);
    const std::uint64_t stable = 200 + random.below(4'000);
    for (std::uint64_t i = 0; i < stable; ++i) fixture.add("stable:" + std::to_string(i));
    std::uint64_t guests = 0;  // guest:0 .. guest:guests-1 are there
    const auto crowd = [&](std::uint64_t count) {
      while (guests < count) fixture.add("guest:" + std::to_string(guests++));
      while (guests > count) fixture.remove("guest:" + std::to_string(--guests));
    };
    crowd(random.below(60'000));
    std::set<std::string> seen;
    std::uint64_t cursor = 0;
    do {
      const std::uint64_t before = cursor;
      cursor = fixture.table.scan(cursor, 10, [&](Entry* entry, UnixMs) {
        if (entry->key().starts_with("stable:")) seen.emplace(entry->key());
      });
      REQUIRE(cursor < std::uint64_t{1} << 52);
      REQUIRE((cursor == 0 || cursor > before));
      if (random.below(20) == 0) {
        crowd(random.below(random.below(4) == 0 ? 60'000 : 300));
        if (random.below(2) == 0) fixture.merge_all();
      }
    } while (cursor != 0);
    CHECK(seen.size() == stable);
  }
}

TEST_CASE("a scan of a quiet table meets everything once, about COUNT at a time",
          "[keyspace][scan]") {
  for (std::uint64_t size : {0, 1, 5, 300, 5'000, 60'000}) {
    CAPTURE(size);
    Fixture fixture(kKeyspaceSubdirectoryBits);
    for (std::uint64_t i = 0; i < size; ++i) fixture.add(key_of(i), expiry_of(i));
    for (std::size_t count : {1, 10, 1'000}) {
      std::set<std::string> seen;
      std::size_t largest = 0;
      std::size_t calls = 0;
      std::uint64_t cursor = 0;
      do {
        std::size_t here = 0;
        cursor = fixture.table.scan(cursor, count, [&](Entry* entry, UnixMs expire_at) {
          ++here;
          EXPECT_HERE(seen.emplace(entry->key()).second);
          EXPECT_HERE(expire_at == expiry_of(std::stoull(std::string(entry->key().substr(4)))));
        });
        largest = std::max(largest, here);
        ++calls;
      } while (cursor != 0);
      CHECK(seen.size() == size);
      CHECK(largest <= count + 3);
      CHECK(calls <= size / count + 10);
    }
  }
}

TEST_CASE("a scan of a sparse table is a matter of bounded calls", "[keyspace][scan]") {
  Fixture fixture(kCollectionSubdirectoryBits);
  constexpr std::uint64_t kCount = 300'000;
  for (std::uint64_t i = 0; i < kCount; ++i) fixture.add(key_of(i));
  for (std::uint64_t i = 1; i < kCount; ++i) fixture.remove(key_of(i));
  const std::size_t segments = fixture.table.segment_count();
  std::uint64_t cursor = 0;
  std::size_t calls = 0;
  std::size_t seen = 0;
  do {
    cursor = fixture.table.scan(cursor, 10, [&](Entry*, UnixMs) { ++seen; });
    ++calls;
  } while (cursor != 0);
  CHECK(seen == 1);
  CHECK(calls > 1);
  CHECK(calls <= segments / 100 + 2);
}

TEST_CASE("a cursor that was never given out is harmless", "[keyspace][scan]") {
  Fixture fixture(kKeyspaceSubdirectoryBits);
  for (std::uint64_t i = 0; i < 1'000; ++i) fixture.add(key_of(i));
  const auto none = [](Entry*, UnixMs) {};
  CHECK(fixture.table.scan(std::uint64_t{1} << 52, 10, none) == 0);
  CHECK(fixture.table.scan(~std::uint64_t{0}, 10, none) == 0);
  CHECK(fixture.table.scan((std::uint64_t{1} << 52) - 1, 10, none) == 0);
  CHECK(fixture.table.scan(12345, 10, none) > 12345);
}

TEST_CASE("expiry times are exact, near and far, and far ones cost only while they are there",
          "[keyspace][expiry]") {
  Fixture fixture(kCollectionSubdirectoryBits);
  fixture.add("a", kNow);
  fixture.add("b");
  const std::size_t narrow = fixture.table.memory_bytes();
  const auto check = [&](UnixMs a, UnixMs b) {
    CHECK(fixture.expiry("a") == a);
    CHECK(fixture.expiry("b") == b);
  };
  check(kNow, kNoExpiry);
  for (UnixMs far : {UnixMs{0}, UnixMs{1}, kNow - kSpan + 2, kNow - kSpan, kNow + kSpan - 2,
                     kNow + kSpan, TimingWheel::kNever - 1}) {
    CAPTURE(far);
    fixture.expire("b", far);
    check(kNow, far);
    fixture.expire("b", kNoExpiry);
    check(kNow, kNoExpiry);
  }
  fixture.expire("b", -17);
  check(kNow, 0);
  fixture.expire("b", kNow + 3 * kSpan);
  CHECK(fixture.table.memory_bytes() > narrow);
  fixture.expire("b", kNoExpiry);
  // The next rebuild finds that all fit again.
  for (int i = 0; i < 7; ++i) fixture.add(key_of(static_cast<std::uint64_t>(i)));
  for (int i = 0; i < 7; ++i) fixture.remove(key_of(static_cast<std::uint64_t>(i)));
  fixture.merge_all();
  check(kNow, kNoExpiry);
  CHECK(fixture.table.memory_bytes() <= narrow + 64);
}

TEST_CASE("times that creep on for years stay exact", "[keyspace][expiry]") {
  Fixture fixture(kCollectionSubdirectoryBits);
  fixture.add("still", kNow + 1);
  fixture.add("sliding", kNow);
  for (UnixMs at = kNow; at < kNow + 20 * kSpan; at += kSpan / 7) {
    fixture.expire("sliding", at);
    EXPECT_HERE(fixture.expiry("sliding") == at);
    EXPECT_HERE(fixture.expiry("still") == kNow + 1);
  }
}

TEST_CASE("an entry is due at its millisecond and not before; extended ones are not due",
          "[keyspace][expiry]") {
  Fixture fixture(kKeyspaceSubdirectoryBits);
  constexpr std::uint64_t kCount = 5'000;
  for (std::uint64_t i = 0; i < kCount; ++i)
    fixture.add(key_of(i), kNow + static_cast<UnixMs>(i / 4));
  for (std::uint64_t i = 0; i < kCount; i += 2) fixture.expire(key_of(i), kNow + 100'000);
  Entry* out[16];
  std::size_t gone = 0;
  std::size_t idle_wakes = 0;
  UnixMs now = kNow - 5'000;
  while (fixture.table.expiring_count() > kCount / 2) {
    now = std::max(now, fixture.table.next_due());
    const std::size_t count = fixture.table.collect_due(now, out, 16);
    if (count == 0) ++idle_wakes;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string key(out[i]->key());
      EXPECT_HERE(fixture.expiry(key) == now);
      fixture.remove(key);
      ++gone;
    }
  }
  CHECK(gone == kCount / 2);
  CHECK(idle_wakes < kCount / 2);
  CHECK(fixture.table.size() == kCount / 2);
  CHECK(fixture.table.next_due() > now);
}

TEST_CASE("the few that expire are found on time after splits and merges", "[keyspace][expiry]") {
  Fixture fixture(kCollectionSubdirectoryBits);
  constexpr std::uint64_t kCount = 40'000;
  std::set<UnixMs> due;
  const auto is_few = [](std::uint64_t i) { return i % 1'000 == 7; };
  const auto time_of = [](std::uint64_t i) { return kNow + static_cast<UnixMs>(i * 31 % 40'000); };
  for (std::uint64_t i = 0; i < kCount; ++i) {
    fixture.add(key_of(i), is_few(i) ? time_of(i) : kNoExpiry);
    if (is_few(i)) due.insert(time_of(i));
  }
  const auto expire_until = [&](UnixMs end) {
    while (fixture.table.next_due() < end) {
      const UnixMs now = fixture.table.next_due();
      Entry* out[4];
      const std::size_t count = fixture.table.collect_due(now, out, 4);
      for (std::size_t i = 0; i < count; ++i) {
        const std::string key(out[i]->key());
        EXPECT_HERE(due.erase(now) == 1 && fixture.expiry(key) == now);
        fixture.remove(key);
      }
    }
    EXPECT_HERE(due.empty() || *due.begin() >= end);
  };
  const std::size_t segments = fixture.table.segment_count();
  expire_until(kNow + 20'000);
  for (std::uint64_t i = 0; i < kCount; ++i)
    if (!is_few(i) && i % 10 != 0) fixture.remove(key_of(i));
  fixture.merge_all();
  CHECK(fixture.table.segment_count() < segments / 2);
  expire_until(kNow + 50'000);
  CHECK(due.empty());
  CHECK(fixture.table.expiring_count() == 0);
}

TEST_CASE("is_expired holds from the millisecond on", "[keyspace][expiry]") {
  CHECK_FALSE(is_expired(kNoExpiry, kNow));
  CHECK_FALSE(is_expired(kNow + 1, kNow));
  CHECK(is_expired(kNow, kNow));
  CHECK(is_expired(0, kNow));
}

TEST_CASE("random picks are even", "[keyspace][random]") {
  struct Shape {
    int bits;
    std::uint64_t size;
  };
  // The last one has more segments than are walked, of two depths.
  for (auto [bits, size] : {Shape{8, 10}, Shape{0, 3'000}, Shape{8, 30'000}, Shape{0, 420'000}}) {
    CAPTURE(bits, size);
    Fixture fixture(bits);
    std::unordered_map<Entry*, int> picked;
    for (std::uint64_t i = 0; i < size; ++i) fixture.add(key_of(i), i % 10 == 0 ? kNow : kNoExpiry);
    Random random(5);
    // Entries are put into 10 groups by number: each should get a tenth, whatever segment they live
    // in.
    std::vector<double> groups(10);
    std::unordered_map<Entry*, int> met;
    const int picks = 100'000;
    for (int i = 0; i < picks; ++i) {
      Entry* entry = fixture.table.random_entry(random);
      EXPECT_HERE(entry != nullptr);
      ++met[entry];
      groups[std::stoull(std::string(entry->key().substr(4))) * 10 / size] += 1;
    }
    double chi_square = 0;
    for (double seen : groups) chi_square += (seen - picks / 10.0) * (seen - picks / 10.0);
    CHECK(chi_square / (picks / 10.0) < 40);  // 9 degrees of freedom: one in 100,000
    // So many different ones would an even choice meet.
    const auto n = static_cast<double>(size);
    const double expected = n * (1 - std::pow(1 - 1 / n, picks));
    CHECK(static_cast<double>(met.size()) > 0.98 * expected);

    for (int i = 0; i < 1'000; ++i) {
      UnixMs expire_at = 0;
      Entry* entry = fixture.table.random_expiring(random, &expire_at);
      EXPECT_HERE(entry != nullptr && expire_at == kNow);
      EXPECT_HERE(std::stoull(std::string(entry->key().substr(4))) % 10 == 0);
    }
  }
}

TEST_CASE("random picks are even between shallow and deep segments", "[keyspace][random]") {
  Fixture fixture(kCollectionSubdirectoryBits, skewed_hash);
  for (std::uint64_t i = 0; i < 420'000; ++i) fixture.add(key_of(i));
  REQUIRE(fixture.table.segment_count() > 512);
  Random random(5);
  int lower = 0;
  for (int i = 0; i < 40'000; ++i)
    lower += fixture.table.hash_of(fixture.table.random_entry(random)->key()) >> 63 == 0 ? 1 : 0;
  CHECK(std::abs(lower - 10'000) < 500);
}

TEST_CASE("random picks find the only candidate", "[keyspace][random]") {
  Fixture fixture(kCollectionSubdirectoryBits);
  Random random(5);
  CHECK(fixture.table.random_entry(random) == nullptr);
  for (std::uint64_t i = 0; i < 420'000; ++i) fixture.add(key_of(i));
  CHECK(fixture.table.random_expiring(random) == nullptr);
  fixture.expire(key_of(77), kNow);
  CHECK(fixture.table.random_expiring(random)->key() == key_of(77));
}

TEST_CASE("a table is drained in slices, or destroyed half drained", "[keyspace][table]") {
  Fixture fixture(kKeyspaceSubdirectoryBits);
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t i = 0; i < 20'000; ++i) fixture.add(key_of(i), expiry_of(i));
    std::size_t drained = 0;
    for (int slice = 0; slice < 30; ++slice) {
      const std::size_t before = drained;
      const bool done = fixture.table.drain(100, [&](Entry* entry) {
        ++drained;
        Entry::destroy(fixture.heap, entry);
      });
      CHECK_FALSE(done);
      CHECK(drained == before + 100);
      CHECK(fixture.table.size() == 20'000 - drained);
    }
    if (round == 1) break;  // the destructor frees the rest
    CHECK(fixture.table.drain(20'000, [&](Entry* entry) {
      ++drained;
      Entry::destroy(fixture.heap, entry);
    }));
    CHECK(drained == 20'000);
    CHECK(fixture.heap.used_bytes() == 0);
    CHECK(fixture.table.next_due() == TimingWheel::kNever);
  }
}
