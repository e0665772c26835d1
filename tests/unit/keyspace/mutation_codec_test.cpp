#include "server/keyspace/mutation_codec.hpp"

#include <fmt/format.h>
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "server/keyspace/keyspace.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

constexpr std::size_t kDatabases = 3;

std::string text_of(const ValueView& value) {
  return value.chunks != nullptr ? value.chunks->str() : std::string(value.bytes);
}

// The logical content, in words.
std::map<std::string, std::string> content(const Keyspace& keyspace) {
  std::map<std::string, std::string> all;
  for (DatabaseIndex database = 0; database < keyspace.database_count(); ++database) {
    std::uint64_t cursor = 0;
    do {
      cursor = keyspace.table(database).scan(cursor, 100, [&](Entry* entry, UnixMs expire_at) {
        std::string& line = all[fmt::format("{} {}", database, entry->key())];
        line = fmt::format("expires {} form {} ", expire_at, entry->form());
        if (type_of(*entry) == ValueType::kString) {
          line += "string " + text_of(string_value(*entry));
        } else {
          std::map<std::string, std::string> fields;
          hash_for_each(*entry, [&](std::string_view field, ValueView value) {
            fields[std::string(field)] = text_of(value);
          });
          for (const auto& [field, value] : fields) line += fmt::format("[{}={}]", field, value);
        }
      });
    } while (cursor != 0);
  }
  return all;
}

// Mutations that fit what the keyspace holds, of all kinds and sizes.
class Mutations {
 public:
  explicit Mutations(std::uint64_t seed) : random_(seed) {}

  Mutation next(const Keyspace& keyspace) {
    for (;;) {
      texts_.clear();
      chunks_.clear();
      fields_.clear();
      names_.clear();
      const DatabaseIndex database = below(kDatabases);
      const std::string_view key = text(fmt::format("key{}", below(12)));
      const Lookup at = keyspace.find(database, key);
      const bool is_hash = at && type_of(*at.entry()) == ValueType::kHash;
      switch (below(13)) {
        case 0:
        case 1:
          return Put{database,
                     key,
                     value(),
                     static_cast<TtlChange>(below(3)),
                     1'000'000 + static_cast<UnixMs>(below(100000)),
                     static_cast<StringForm>(below(3))};
        case 2:
          if (at) return Delete{database, key, static_cast<DeleteReason>(below(3))};
          break;
        case 3:
          if (at) return Expire{database, key, below(3) == 0 ? -1 : UnixMs{5000} + below(99)};
          break;
        case 4:
          if (!is_hash)
            return Splice{database, key, below(10) == 0 ? 70'000U : below(50), value(),
                          static_cast<StringForm>(below(3))};
          break;
        case 5:
          if (at) return Rename{database, key, text(fmt::format("key{}", below(12)))};
          break;
        case 6: {
          const DatabaseIndex to = below(kDatabases);
          const std::string_view to_key = text(fmt::format("key{}", below(12)));
          if (at && (to != database || to_key != key)) return Copy{database, key, to, to_key};
          break;
        }
        case 7: {
          const DatabaseIndex to = below(kDatabases);
          if (at && !keyspace.find(to, key)) return Move{database, key, to};
          break;
        }
        case 8:
          return SwapDatabases{database, static_cast<DatabaseIndex>(below(kDatabases))};
        case 9:
          if (below(20) != 0) break;
          return below(2) == 0 ? Flush{} : Flush{database};
        case 10:
          if (at && !is_hash) break;
          for (unsigned i = 1 + below(below(4) == 0 ? 200 : 4); i > 0; --i)
            fields_.push_back({text(fmt::format("f{}", below(300))), value()});
          return HashPut{database, key, fields_, below(5) == 0};
        case 11:
          return Marker{};
        default:
          if (!is_hash) break;
          for (unsigned i = 1 + below(150); i > 0; --i)
            names_.push_back(text(fmt::format("f{}", below(300))));
          return HashErase{database, key, names_};
      }
    }
  }

 private:
  std::uint32_t below(std::uint64_t bound) {
    return static_cast<std::uint32_t>(random_.below(bound));
  }
  std::string_view text(std::string content) {
    return *texts_.emplace_back(std::make_unique<std::string>(std::move(content)));
  }
  ValueView value() {
    const unsigned choice = below(40);
    std::size_t size = below(60);
    if (choice == 0) size = kChunkedBytesMin + below(3) - 1;
    if (choice == 1) size = kChunkedBytesMin + below(2 * kChunkBytes);
    if (choice == 2) size = 0;
    std::string bytes(size, static_cast<char>('a' + below(26)));
    if (choice % 3 != 0) return {text(std::move(bytes))};
    return {{}, chunks_.emplace_back(std::make_unique<Chunked>(bytes)).get()};
  }

  Random random_;
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<std::unique_ptr<Chunked>> chunks_;
  std::vector<FieldValue> fields_;
  std::vector<std::string_view> names_;
};

template <typename M>
std::string encoded(const M& mutation) {
  RopeArena arena;
  encode(mutation, arena);
  return arena.take().str();
}

}  // namespace

TEST_CASE("mutations that were encoded and decoded change a keyspace as the originals do",
          "[mutation_codec]") {
  rc::check([] {
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    const auto count = *rc::gen::inRange<std::size_t>(1, 300);
    Mutations mutations(seed);
    Random random(seed);
    Keyspace direct(kDatabases, 1);
    Keyspace decoded(kDatabases, 2);
    RopeArena arena(1 + random.below(4000));
    std::size_t in_entry = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Mutation mutation = mutations.next(direct);
      std::visit([&](const auto& m) { encode(m, arena); }, mutation);
      std::visit([&](const auto& m) { direct.apply(m); }, mutation);
      ++in_entry;
      if (random.below(4) != 0 && i + 1 < count) continue;
      const Rope rope = arena.take();
      const auto applied = random.below(2) == 0
                               ? apply_encoded(rope, decoded)
                               : apply_encoded(std::string_view(rope.str()), decoded);
      RC_ASSERT(applied.has_value());
      RC_ASSERT(*applied == in_entry);
      in_entry = 0;
    }
    RC_ASSERT(content(direct) == content(decoded));
  });
}

TEST_CASE("bytes of mutations that were cut or changed are refused or applied, never more",
          "[mutation_codec]") {
  Mutations mutations(11);
  Keyspace source(kDatabases, 1);
  RopeArena arena;
  std::vector<std::string> all;
  for (int i = 0; i < 400; ++i) {
    const Mutation mutation = mutations.next(source);
    std::visit([&](const auto& m) { encode(m, arena); }, mutation);
    std::visit([&](const auto& m) { source.apply(m); }, mutation);
    const Rope rope = arena.take();
    if (rope.size() < 300) all.push_back(rope.str());
  }
  const MutationLimits limits{.database_count = kDatabases, .string_bytes_max = 1 << 20};
  Random random(5);
  std::size_t refused = 0;
  for (const std::string& good : all) {
    for (std::size_t length = 1; length < good.size(); ++length) {
      const std::unique_ptr<char[]> exact(new char[length]);
      std::memcpy(exact.get(), good.data(), length);
      MutationDecoder decoder(std::string_view(exact.get(), length), limits);
      while (decoder.next()) {
      }
      if (decoder.ok()) FAIL("a cut mutation was taken");
    }
    for (int i = 0; i < 50; ++i) {
      std::string bad = good;
      bad[random.below(bad.size())] = static_cast<char>(random.next());
      Keyspace target(kDatabases, 1);
      MutationDecoder decoder(bad, limits);
      while (decoder.next()) apply_checked(decoder.mutation(), target);
      if (!decoder.ok()) ++refused;
    }
  }
  CHECK(refused > all.size());
}

TEST_CASE("mutations that do not fit the data are refused and change nothing", "[mutation_codec]") {
  Keyspace keyspace(2, 1);
  keyspace.apply(Put{0, "string", {"v"}});
  const FieldValue field{"f", {"v"}};
  const std::string_view name = "f";
  keyspace.apply(HashPut{0, "hash", {&field, 1}});
  const auto before = content(keyspace);
  const std::string bad[] = {
      encoded(Delete{0, "none"}),
      encoded(Expire{0, "none", 5}),
      encoded(Splice{0, "hash", 0, {"x"}}),
      encoded(Rename{0, "none", "other"}),
      encoded(Copy{0, "none", 1, "other"}),
      encoded(Copy{0, "string", 0, "string"}),
      encoded(Move{0, "none", 1}),
      encoded(Move{0, "string", 0}),
      encoded(Move{0, "string", 2}),
      encoded(SwapDatabases{0, 2}),
      encoded(Flush{7}),
      encoded(HashPut{0, "string", {&field, 1}}),
      encoded(HashPut{0, "hash", {}}),
      encoded(HashErase{0, "string", {&name, 1}}),
      encoded(HashErase{0, "none", {&name, 1}}),
      encoded(HashErase{0, "hash", {}}),
      std::string("\x63", 1),
      std::string("\x00", 1),
      encoded(Splice{0, "string", ~std::uint64_t{0} - 1, {"x"}}),
  };
  for (const std::string& bytes : bad) {
    const auto applied = apply_encoded(std::string_view(bytes), keyspace);
    CHECK_FALSE(applied.has_value());
    if (!applied) CHECK(applied.error().message.substr(0, 10) == "mutation 1");
  }
  CHECK(content(keyspace) == before);
}

TEST_CASE("a large value goes from keyspace to keyspace by reference", "[mutation_codec]") {
  const std::string text(5 * kChunkBytes + 5, 'x');
  Keyspace first(1, 1);
  first.apply(Put{0, "k", {text}});
  const ValueView value = string_value(*first.find(0, "k").entry());
  RopeArena arena;
  encode(Put{0, "k", value}, arena);
  const Rope rope = arena.take();
  Keyspace second(1, 2);
  REQUIRE(apply_encoded(rope, second).has_value());
  const ValueView copy = string_value(*second.find(0, "k").entry());
  CHECK(copy.chunks->chunk(3).data() == value.chunks->chunk(3).data());
  first.apply(Splice{0, "k", 3 * kChunkBytes, {"changed"}});
  CHECK(copy.chunks->equals(text));
}

TEST_CASE("the bytes of each mutation are those of the format", "[mutation_codec]") {
  const auto bytes = [](std::string_view text) { return std::string(text); };
  using namespace std::string_view_literals;
  CHECK(encoded(Put{1, "key", {"value"}, TtlChange::kSet, 0x0102, StringForm::kRaw}) ==
        bytes("\x01\x0a\x01\x03key\x05value\x02\x01\0\0\0\0\0\0"sv));
  CHECK(encoded(Put{0, "k", {"v"}}) == bytes("\x01\x00\x00\x01k\x01v"sv));
  CHECK(encoded(Delete{2, "k", DeleteReason::kEvicted}) == bytes("\x02\x02\x02\x01k"sv));
  CHECK(encoded(Expire{0, "k", -1}) == bytes("\x03\x00\x01k\xff\xff\xff\xff\xff\xff\xff\xff"sv));
  CHECK(encoded(Splice{0, "k", 300, {"v"}}) == bytes("\x04\x02\x00\x01k\xac\x02\x01v"sv));
  CHECK(encoded(Rename{0, "a", "b"}) == bytes("\x05\x00\x01"
                                              "a\x01"
                                              "b"sv));
  CHECK(encoded(Copy{0, "a", 1, "b"}) == bytes("\x06\x00\x01"
                                               "a\x01\x01"
                                               "b"sv));
  CHECK(encoded(Move{0, "k", 1}) == bytes("\x07\x00\x01k\x01"sv));
  CHECK(encoded(SwapDatabases{0, 1}) == bytes("\x08\x00\x01"sv));
  CHECK(encoded(Flush{3}) == bytes("\x09\x03"sv));
  CHECK(encoded(Flush{}) == bytes("\x0a"sv));
  const FieldValue field{"f", {"v"}};
  const std::string_view name = "f";
  CHECK(encoded(HashPut{0, "k", {&field, 1}, true}) == bytes("\x0b\x01\x00\x01k\x01\x01"
                                                             "f\x01v"sv));
  CHECK(encoded(HashErase{0, "k", {&name, 1}}) == bytes("\x0c\x00\x01k\x01\x01"
                                                        "f"sv));
  CHECK(encoded(Marker{}) == bytes("\x0d"sv));
}
