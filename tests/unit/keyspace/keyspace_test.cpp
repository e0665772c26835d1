// What random streams of mutations would seldom meet.
#include "server/keyspace/keyspace.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "base/chunked.hpp"
#include "server/keyspace/hash_value.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

void free_all(Keyspace& keyspace) {
  while (keyspace.free_slice(LogIndex{kAll}, 100)) {
  }
  for (std::size_t rounds = 0; rounds < 3 * 256 * keyspace.database_count(); ++rounds)
    keyspace.compact_slice(16);
}

}  // namespace

TEST_CASE("a new key carries the access time of its log entry", "[keyspace]") {
  Keyspace keyspace(1, 1);
  keyspace.begin_entry(LogIndex{1}, 77);
  keyspace.apply(Put{0, "k", {"v"}});
  keyspace.begin_entry(LogIndex{2}, 78);
  const FieldValue field{"f", {"v"}};
  keyspace.apply(HashPut{0, "h", {&field, 1}});
  CHECK(keyspace.find(0, "k").entry()->access_clock() == 77);
  CHECK(keyspace.find(0, "h").entry()->access_clock() == 78);

  SECTION("a put is an access, a rename is none") {
    keyspace.begin_entry(LogIndex{3}, 79);
    keyspace.apply(Put{0, "k", {"w"}});
    keyspace.begin_entry(LogIndex{4}, 80);
    keyspace.apply(Rename{0, "k", "h"});
    CHECK(keyspace.find(0, "h").entry()->access_clock() == 79);
  }
}

TEST_CASE("a marker changes nothing, and its observer sees the data as it is at its index",
          "[keyspace]") {
  struct Observer : MarkerObserver {
    explicit Observer(Keyspace& seen) : keyspace(seen) { keyspace.set_marker_observer(this); }
    void marker_applied(LogIndex at) override {
      index = at;
      has_first = bool(keyspace.find(0, "first"));
      has_second = bool(keyspace.find(0, "second"));
    }
    Keyspace& keyspace;
    LogIndex index;
    bool has_first = false;
    bool has_second = false;
  };
  Keyspace keyspace(1, 1);
  Observer observer(keyspace);
  keyspace.begin_entry(LogIndex{1}, 0);
  keyspace.apply(Put{0, "first", {"v"}});
  keyspace.begin_entry(LogIndex{2}, 0);
  keyspace.apply(Marker{});
  keyspace.begin_entry(LogIndex{3}, 0);
  keyspace.apply(Put{0, "second", {"v"}});
  CHECK(observer.index == LogIndex{2});
  CHECK(observer.has_first);
  CHECK_FALSE(observer.has_second);
  CHECK(keyspace.table(0).size() == 2);
}

TEST_CASE("views into a displaced value live until its log entry is committed", "[keyspace]") {
  Keyspace keyspace(1, 1);
  keyspace.begin_entry(LogIndex{1}, 0);
  keyspace.apply(Put{0, "k", {"the old value"}});
  keyspace.begin_entry(LogIndex{2}, 0);
  const std::string_view key = keyspace.find(0, "k").entry()->key();
  const std::string_view value = keyspace.find(0, "k").entry()->value();
  keyspace.apply(Delete{0, key});  // the key may lie in the entry itself
  CHECK_FALSE(keyspace.free_slice(LogIndex{1}, 100));
  CHECK(value == "the old value");
  CHECK(keyspace.heap_bytes() > 0);
  CHECK_FALSE(keyspace.free_slice(LogIndex{2}, 100));
  CHECK(keyspace.heap_bytes() == 0);
}

TEST_CASE("a copy shares the chunks of a large value and neither sees the other's changes",
          "[keyspace]") {
  Keyspace keyspace(2, 1);
  const std::string text(3 * kChunkBytes, 'x');
  keyspace.apply(Put{0, "k", {text}});
  keyspace.apply(Copy{0, "k", 1, "copy"});
  keyspace.apply(Splice{0, "k", 10, {"changed"}});
  const ValueView original = string_value(*keyspace.find(0, "k").entry());
  const ValueView copy = string_value(*keyspace.find(1, "copy").entry());
  CHECK(copy.chunks->equals(text));
  CHECK(original.chunks->str().substr(8, 12) == "xxchangedxxx");
  CHECK(copy.chunks->chunk(0).data() != original.chunks->chunk(0).data());
  CHECK(copy.chunks->chunk(1).data() == original.chunks->chunk(1).data());
}

TEST_CASE("a hash that loses most of a hundred thousand fields gives their memory back",
          "[keyspace]") {
  Keyspace keyspace(1, 1);
  std::vector<std::string> names;
  for (int i = 0; i < 100'000; ++i) names.push_back("field:" + std::to_string(i));
  for (const std::string& name : names) {
    const FieldValue field{name, {"v"}};
    keyspace.apply(HashPut{0, "h", {&field, 1}});
  }
  const std::size_t full = keyspace.used_bytes();
  for (std::size_t i = 10; i < names.size(); ++i) {
    const std::string_view name = names[i];
    keyspace.apply(HashErase{0, "h", {&name, 1}});
  }
  free_all(keyspace);
  CHECK(hash_length(*keyspace.find(0, "h").entry()) == 10);
  CHECK(keyspace.used_bytes() < full / 20);
}
