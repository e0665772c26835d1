#include "replication/log/log_store.hpp"

#include <catch2/catch.hpp>

#include "base/check.hpp"
#include "tests/unit/log/folder.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using sim::SimDisk;

namespace {

std::vector<Entry> entries(std::uint64_t from, std::uint64_t to, std::uint64_t term,
                           std::size_t payload_bytes = 50) {
  std::vector<Entry> all;
  for (std::uint64_t i = from; i <= to; ++i) {
    all.push_back(make_entry(i, term, std::string(payload_bytes, static_cast<char>('a' + i % 26))));
  }
  return all;
}

// Of several pieces, as large values are.
Entry pieced_entry(std::uint64_t index, std::size_t pieces, std::size_t piece_bytes) {
  std::vector<Rope::Piece> parts;
  for (std::size_t i = 0; i < pieces; ++i) {
    BlockRef block = BlockRef::allocate(piece_bytes);
    std::memset(block.data(), static_cast<int>('A' + i % 26), piece_bytes);
    parts.push_back({{block.data(), piece_bytes}, block, {}});
  }
  Entry entry = make_entry(index, 1, "");
  entry.payload = Rope(std::move(parts));
  return entry;
}

}  // namespace

TEST_CASE("entries are read back as they were appended, from any index and in any portions",
          "[log_store]") {
  for (const KeyRing& keys : {KeyRing(), KeyRing({make_key(1)})}) {
    SimDisk disk(1);
    REQUIRE(disk.make_dir(kFolder));
    LogStoreOptions options = store_options(keys);
    options.segment_bytes_max = 3 << 20;
    LogStore store(disk, options, {});
    REQUIRE(store.open({}));
    std::vector<Entry> all = entries(1, 40, 1, 300);
    all.push_back(make_entry(41, 1, "", EntryKind::kNoOp));
    all.push_back(pieced_entry(42, 40, 65536));             // three fragments, many pieces
    all.push_back(pieced_entry(43, 1, kFragmentBytesMax));  // exactly one
    all.push_back(pieced_entry(44, 2, kFragmentBytesMax));  // exactly two
    all.push_back(pieced_entry(45, 3, 20'000));             // one, written from where it lies
    all.push_back(make_entry(46, 2, "x", EntryKind::kMarker));
    for (const Entry& entry : all) {
      REQUIRE(store.append(std::span(&entry, 1)));
      if (entry.index.value % 10 == 0) REQUIRE(store.sync());
    }
    CHECK(store.segments().size() > 1);
    const auto expected = texts(all);
    for (const std::size_t portion : {1u, 500u, 100'000'000u}) {
      for (std::uint64_t from = 1; from <= 46; ++from) {
        std::vector<std::string> read;
        for (LogIndex next{from}; next <= store.last_index();) {
          const auto some = store.read(next, LogIndex{47}, portion);
          REQUIRE(some);
          REQUIRE_FALSE(some->empty());
          next = LogIndex{some->back().index.value + 1};
          for (const std::string& text : texts(*some)) read.push_back(text);
        }
        CHECK((read == std::vector(expected.begin() + static_cast<std::ptrdiff_t>(from) - 1,
                                   expected.end())));
        if (portion == 1) break;
      }
    }
    const auto marker = store.read(LogIndex{46}, LogIndex{47}, 1);
    REQUIRE(marker);
    CHECK(marker->front().kind == EntryKind::kMarker);
    CHECK(marker->front().time == all.back().time);
  }
}

TEST_CASE("a failed append is written anew, into a new segment, and only then anything follows",
          "[log_store]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir(kFolder));
  LogStore store(disk, store_options(), {});
  REQUIRE(store.open({}));
  const auto first = entries(1, 3, 1);
  const auto second = entries(4, 6, 1);
  REQUIRE(store.append(first));
  disk.strike_at(disk.operations(), {SimDisk::Strike::kError, FileErrorKind::kNoSpace});
  const auto written = store.append(second);
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == FileErrorKind::kNoSpace);
  REQUIRE(store.failure());
  CHECK_FALSE(store.append(second));
  CHECK_FALSE(store.sync());
  CHECK_FALSE(store.truncate_suffix(LogIndex{2}));
  CHECK(store.last_index() == LogIndex{3});
  CHECK(store.synced_index() == LogIndex{0});
  CHECK(store.read(LogIndex{1}, LogIndex{4}, 1000)->size() == 3);
  REQUIRE(store.retry(entries(1, 6, 1)));
  CHECK_FALSE(store.failure());
  CHECK(store.synced_index() == LogIndex{6});
  CHECK(texts(*store.read(LogIndex{1}, LogIndex{7}, 10'000)) == texts(entries(1, 6, 1)));
}

TEST_CASE("on a full disk what was written before need not be written again", "[log_store]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir(kFolder));
  LogStoreOptions options = store_options();
  options.segment_bytes_max = 1 << 20;  // else the strike meets the sync before a new segment
  LogStore store(disk, options, {});
  REQUIRE(store.open({}));
  const auto first = entries(1, 100, 1, 1000);
  const auto second = entries(101, 101, 1, 1000);
  const auto all = entries(1, 101, 1, 1000);
  REQUIRE(store.append(first));
  disk.strike_at(disk.operations(), {SimDisk::Strike::kError, FileErrorKind::kNoSpace});
  REQUIRE_FALSE(store.append(second));
  const auto used = [&] {
    std::size_t sum = 0;
    for (const std::string& path : disk.paths()) sum += disk.content(path).size();
    return sum;
  };
  SECTION("there is room for the rest alone") {
    disk.set_capacity(used() + 3000);
    REQUIRE(store.retry(all));
  }
  SECTION("there is none at first: another attempt goes on from there") {
    disk.set_capacity(used() + 10);
    REQUIRE_FALSE(store.retry(all));
    CHECK(store.synced_index() == LogIndex{100});
    disk.set_capacity(used() + 3000);
    REQUIRE(store.retry(all));
  }
  SECTION("a sync that fails is final: then all of it is written anew") {
    disk.strike_at(disk.operations(), {SimDisk::Strike::kError, FileErrorKind::kIo});
    disk.set_capacity(used() + 3000);
    REQUIRE_FALSE(store.retry(all));
    CHECK(store.synced_index() == LogIndex{0});
    REQUIRE_FALSE(store.retry(all));  // and is not tried again
    CHECK(store.synced_index() == LogIndex{0});
    disk.set_capacity(1 << 30);
    REQUIRE(store.retry(all));
  }
  CHECK(store.synced_index() == LogIndex{101});
  CHECK(texts(*store.read(LogIndex{1}, LogIndex{102}, 1'000'000)) == texts(all));
}

TEST_CASE("the term before an entry is exact, also behind what was written anew", "[log_store]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir(kFolder));
  LogStore store(disk, store_options(), {});
  REQUIRE(store.open({}));
  REQUIRE(store.append(entries(1, 3, 1)));
  REQUIRE(store.sync());
  REQUIRE(store.append(entries(4, 6, 7)));
  disk.strike_at(disk.operations(), {SimDisk::Strike::kError, FileErrorKind::kIo});
  REQUIRE_FALSE(store.sync());
  REQUIRE(store.retry(entries(4, 6, 7)));
  REQUIRE(store.remove_below(LogIndex{4}));
  CHECK(store.first_index() == LogIndex{4});
  REQUIRE(store.truncate_suffix(LogIndex{4}));
  CHECK(store.last_index() == LogIndex{3});
  CHECK(store.last_term() == Term{1});
}

TEST_CASE("a failed truncation leaves no gap, whatever comes after it", "[log_store]") {
  SimDisk healthy(1);
  build_folder(healthy);
  for (std::uint64_t i = 0; i < 12; ++i) {
    SimDisk disk(1);
    for (const std::string& path : healthy.paths()) disk.set_content(path, healthy.content(path));
    auto state = recover(disk, {kFolder, {}, "boot"});
    REQUIRE(state);
    LogStore store(disk, store_options({}, 5), state->log);
    REQUIRE(store.open(state->unsynced));
    disk.strike_at(disk.operations() + i, {SimDisk::Strike::kError, FileErrorKind::kIo});
    if (!store.truncate_suffix(LogIndex{19})) {
      // The entries that are not synced: none above 18 if they are forgotten, else none at all.
      REQUIRE(store.retry({}));
      REQUIRE(store.truncate_suffix(LogIndex{19}));
    }
    disk.clear_strikes();
    const std::vector<Entry> next{make_entry(19, 9, "nine")};
    REQUIRE(store.append(next));
    REQUIRE(store.sync());
    disk.lose_power();
    const auto loaded = start_member(disk);
    INFO("operation " << i << " " << disk.struck());
    REQUIRE(loaded);
    CHECK(loaded->last == 19);
    CHECK(loaded->entries.back() == "19/9:nine");
  }
}

TEST_CASE("segments that hold only what a snapshot has are removed", "[log_store]") {
  SimDisk disk(1);
  REQUIRE(disk.make_dir(kFolder));
  LogStore store(disk, store_options(), {});
  REQUIRE(store.open({}));
  for (std::uint64_t i = 1; i <= 100; ++i) REQUIRE(store.append(entries(i, i, 1)));
  const std::size_t before = store.segments().size();
  REQUIRE(before > 4);
  const LogIndex border = store.segments()[2].first;
  REQUIRE(store.remove_below(LogIndex{border.value - 1}));
  CHECK(store.segments().size() == before - 1);
  REQUIRE(store.remove_below(border));
  CHECK(store.segments().size() == before - 2);
  CHECK(store.first_index() == border);
  REQUIRE(store.remove_below(LogIndex{1000}));
  CHECK(store.segments().size() == 1);
  CHECK(disk.paths().size() == 1);
  CHECK(store.append(entries(101, 101, 1)));
}
