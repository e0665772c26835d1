#include "server/keyspace/hash_value.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/chunked.hpp"
#include "base/random.hpp"
#include "server/keyspace/keyspace.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// One hash in a keyspace of its own.
class Hash {
 public:
  void put(const Fields& named) {
    std::vector<FieldValue> fields;
    for (const auto& [field, value] : named) fields.push_back({field, {value}});
    keyspace_.apply(HashPut{0, "h", fields});
  }
  void erase(const std::vector<std::string_view>& fields) {
    keyspace_.apply(HashErase{0, "h", fields});
  }
  const Entry& entry() const { return *keyspace_.find(0, "h").entry(); }
  bool exists() const { return static_cast<bool>(keyspace_.find(0, "h")); }
  bool packed() const { return entry().kind() == Kind::kPackedHash; }
  Fields fields() const {
    Fields all;
    hash_for_each(entry(), [&](std::string_view field, const ValueView& value) {
      all.emplace_back(field, value.bytes);
    });
    return all;
  }
  Keyspace& keyspace() { return keyspace_; }

 private:
  Keyspace keyspace_{1, 7};
};

Fields numbered(int count, const std::string& value) {
  Fields fields;
  for (int i = 0; i < count; ++i) fields.emplace_back("f" + std::to_string(i), value);
  return fields;
}

}  // namespace

TEST_CASE("a packed hash lists its fields in the order in which they came", "[hash_value]") {
  Hash hash;
  hash.put({{"b", "1"}, {"a", "2"}, {"", ""}});
  hash.put({{"c", "3"}, {"b", "longer than before"}});
  CHECK(hash.fields() == Fields{{"b", "longer than before"}, {"a", "2"}, {"", ""}, {"c", "3"}});
  CHECK(hash_length(hash.entry()) == 4);

  SECTION("one that was erased comes back at the end") {
    hash.erase({"b", "unknown"});
    hash.put({{"b", "4"}});
    CHECK(hash.fields() == Fields{{"a", "2"}, {"", ""}, {"c", "3"}, {"b", "4"}});
  }
  SECTION("the hash goes with its last field") {
    hash.erase({"a", "b", "c", ""});
    CHECK_FALSE(hash.exists());
  }
}

TEST_CASE("of a field named twice the last value stays, at the place of the first",
          "[hash_value]") {
  Hash hash;
  hash.put({{"a", "1"}, {"b", "2"}, {"a", "3"}, {"a", "4"}});
  CHECK(hash.fields() == Fields{{"a", "4"}, {"b", "2"}});
  hash.put({{"b", "5"}, {"c", "6"}, {"b", "7"}});
  CHECK(hash.fields() == Fields{{"a", "4"}, {"b", "7"}, {"c", "6"}});
}

TEST_CASE("a hash becomes a table beyond the limits of packing, and stays one", "[hash_value]") {
  Hash hash;
  SECTION("by the number of its fields") {
    hash.put(numbered(kPackedFieldsMax, "v"));
    CHECK(hash.packed());
    hash.put({{"f0", "other"}});
    CHECK(hash.packed());
    hash.put({{"one more", "v"}});
    CHECK_FALSE(hash.packed());
    CHECK(hash_length(hash.entry()) == kPackedFieldsMax + 1);
    hash.erase({"one more", "f1", "f2"});
    CHECK_FALSE(hash.packed());
  }
  SECTION("by its bytes") {
    // count, two lengths, the field's one byte
    const std::size_t overhead = 2 + 1 + 2 + 1;
    hash.put({{"f", std::string(kPackedBytesMax - overhead, 'x')}});
    CHECK(hash.packed());
    hash.put({{"f", std::string(kPackedBytesMax - overhead + 1, 'x')}});
    CHECK_FALSE(hash.packed());
    CHECK(hash_get(hash.entry(), "f")->size() == kPackedBytesMax - overhead + 1);
  }
  SECTION("by a value in chunks, which is kept in chunks") {
    const Chunked chunks(std::string(kChunkedBytesMin, 'x'));
    const FieldValue field{"f", {{}, &chunks}};
    hash.keyspace().apply(HashPut{0, "h", {&field, 1}});
    CHECK_FALSE(hash.packed());
    const auto value = hash_get(hash.entry(), "f");
    REQUIRE(value->chunks != nullptr);
    CHECK(value->chunks->chunk(0).data() == chunks.chunk(0).data());
  }
  SECTION("at its birth") {
    hash.put(numbered(5000, "v"));
    CHECK(hash_length(hash.entry()) == 5000);
    CHECK(hash.fields().size() == 5000);
  }
}

TEST_CASE("what OBJECT ENCODING shows is kept through changes and copies", "[hash_value]") {
  Hash hash;
  hash.put({{"a", "1"}});
  CHECK(hash.entry().form() == 0);
  const FieldValue field{"b", {"2"}};
  hash.keyspace().apply(HashPut{0, "h", {&field, 1}, true});
  CHECK(hash.entry().form() == 1);
  hash.put(numbered(200, "v"));
  CHECK(hash.entry().form() == 1);
  hash.erase({"a"});
  CHECK(hash.entry().form() == 1);
  hash.keyspace().apply(Copy{0, "h", 0, "copy"});
  CHECK(hash.keyspace().find(0, "copy").entry()->form() == 1);
}

TEST_CASE("a random field of a hash is each about equally often", "[hash_value]") {
  const int count = GENERATE(3, 100, 300);
  Hash hash;
  hash.put(numbered(count, "v"));
  Random random(1);
  std::map<std::string, int> drawn;
  for (int i = 0; i < 1000 * count; ++i) {
    ++drawn[std::string(hash_random(hash.entry(), random).field)];
  }
  CHECK(drawn.size() == static_cast<std::size_t>(count));
  for (const auto& [field, times] : drawn) {
    CAPTURE(field, times);
    CHECK(times > 800);
    CHECK(times < 1200);
  }
}

TEST_CASE("a scan of a hash meets every field once while nothing changes", "[hash_value]") {
  const int count = GENERATE(1, 128, 129, 20'000);
  Hash hash;
  hash.put(numbered(count, "v"));
  std::map<std::string, int> met;
  std::uint64_t cursor = 0;
  std::size_t calls = 0;
  do {
    std::size_t visited = 0;
    cursor = hash_scan(hash.entry(), cursor, 10, [&](std::string_view field, const ValueView&) {
      ++met[std::string(field)];
      ++visited;
    });
    if (!hash.packed()) CHECK(visited <= 20);
    ++calls;
  } while (cursor != 0);
  CHECK(met.size() == static_cast<std::size_t>(count));
  for (const auto& [field, times] : met) CHECK(times == 1);
  if (hash.packed()) CHECK(calls == 1);
}
