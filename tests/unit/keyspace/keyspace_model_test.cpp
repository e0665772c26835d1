// Random streams of mutations on a keyspace and on plain maps, and of snapshots meanwhile.
#include "server/keyspace/keyspace.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/chunked.hpp"
#include "base/random.hpp"
#include "server/keyspace/hash_value.hpp"

using namespace holdfast;
using namespace holdfast::keyspace;

namespace {

constexpr std::size_t kDatabases = 3;
constexpr std::uint64_t kAll = ~std::uint64_t{0};

struct ModelValue {
  bool is_hash = false;
  std::string text;
  std::map<std::string, std::string> fields;
  UnixMs expire_at = kNoExpiry;
  unsigned form = 0;
  std::uint32_t clock = 0;
};

using ModelDatabase = std::map<std::string, ModelValue>;
using Touched = std::vector<std::pair<DatabaseIndex, std::string>>;

class TouchRecorder : public KeyObserver {
 public:
  void key_touched(DatabaseIndex database, std::string_view key) override {
    keys.emplace_back(database, key);
  }
  void database_touched(DatabaseIndex database, FunctionRef<bool(std::string_view)>) override {
    keys.emplace_back(database, "*");
  }

  Touched keys;
};

std::string text_of(const ValueView& value) {
  return value.chunks != nullptr ? value.chunks->str() : std::string(value.bytes);
}

void free_all(Keyspace& keyspace) {
  while (keyspace.free_slice(LogIndex{kAll}, 100)) {
  }
  for (std::size_t rounds = 0; rounds < 3 * 256 * kDatabases; ++rounds) keyspace.compact_slice(16);
}

// Loads what a snapshot tells.
class Loader : public SnapshotSink {
 public:
  explicit Loader(Keyspace& target) : target_(target) {}
  void record(const Put& put) override { target_.apply(put); }
  void record(const HashPut& put) override { target_.apply(put); }
  void record(const Expire& expire) override { target_.apply(expire); }

 private:
  Keyspace& target_;
};

// A keyspace and its model, changed together.
class Pair {
 public:
  Pair() : keyspace_(kDatabases, 42) {
    keyspace_.set_observer(&touches_);
    used_at_start_ = keyspace_.used_bytes();
    keyspace_.compactor().set_gain_min_bytes(0);
  }

  void step(std::uint64_t choice) {
    random_ = Random(choice);
    touches_.keys.clear();
    expected_touches_.clear();
    clock_ = static_cast<std::uint32_t>(random_.below(1 << 24));
    keyspace_.begin_entry(LogIndex{++index_}, clock_);
    switch (random_.below(18)) {
      case 16:
      case 17:
        snapshot();
        break;
      case 0:
      case 1:
        put();
        break;
      case 2:
        del();
        break;
      case 3:
        expire();
        break;
      case 4:
      case 5:
        splice();
        break;
      case 6:
        rename();
        break;
      case 7:
        copy();
        break;
      case 8:
        move();
        break;
      case 9:
        swap_or_flush();
        break;
      case 10:
      case 11:
      case 12:
        hash_put();
        break;
      case 13:
        hash_erase();
        break;
      case 14:
        keyspace_.free_slice(LogIndex{index_ - random_.below(4)}, random_.below(40));
        break;
      default:
        keyspace_.compact_slice(1 + random_.below(300));
        keyspace_.return_memory_slice(1 + random_.below(300));
        break;
    }
    RC_ASSERT(touches_.keys == expected_touches_);
  }

  static inline std::size_t snapshots_compared = 0;

  void compare() {
    std::size_t used = 0;
    for (DatabaseIndex database = 0; database < kDatabases; ++database) {
      const Table& table = keyspace_.table(database);
      used += table.memory_bytes();
      std::size_t seen = 0;
      std::size_t expiring = 0;
      std::uint64_t cursor = 0;
      do {
        cursor = table.scan(cursor, 1000, [&](Entry* entry, UnixMs expire_at) {
          used += Keyspace::entry_bytes(*entry);
          ++seen;
          expiring += expire_at != kNoExpiry ? 1 : 0;
          const ModelValue& model = model_[database].at(std::string(entry->key()));
          compare(*entry, expire_at, model);
          RC_ASSERT(entry->access_clock() == model.clock);
        });
      } while (cursor != 0);
      RC_ASSERT(seen == model_[database].size());
      RC_ASSERT(table.size() == seen);
      RC_ASSERT(table.expiring_count() == expiring);
    }
    RC_ASSERT(keyspace_.used_bytes() == used);
  }

  // Begins a snapshot, or tells some more of it; when it has told all, what was told is what was
  // there at the beginning.
  void snapshot() {
    if (!keyspace_.snapshot_running()) {
      std::copy(std::begin(model_), std::end(model_), std::begin(model_at_snapshot_));
      loaded_ = std::make_unique<Keyspace>(kDatabases, 43);
      loader_ = std::make_unique<Loader>(*loaded_);
      abandoned_ = false;
      keyspace_.begin_snapshot(*loader_);
    }
    if (random_.below(20) == 0) {
      keyspace_.abandon_snapshot();
      loader_.reset();
      abandoned_ = true;
    }
    if (keyspace_.snapshot_slice(1 + random_.below(30)) || abandoned_) return;
    for (DatabaseIndex database = 0; database < kDatabases; ++database) {
      const Table& table = loaded_->table(database);
      RC_ASSERT(table.size() == model_at_snapshot_[database].size());
      for (const auto& [key, model] : model_at_snapshot_[database]) {
        const Lookup found = loaded_->find(database, key);
        RC_ASSERT(static_cast<bool>(found));
        compare(*found.entry(), found.expire_at, model);
      }
    }
    ++snapshots_compared;
  }

  void delete_all() {
    while (keyspace_.snapshot_running()) snapshot();
    for (DatabaseIndex database = 0; database < kDatabases; ++database) {
      for (const auto& [key, value] : model_[database]) keyspace_.apply(Delete{database, key});
      model_[database].clear();
    }
    free_all(keyspace_);
    RC_ASSERT(keyspace_.heap_bytes() == 0U);
    // A database that once had an expiry time keeps its timing wheel.
    std::size_t used_min = used_at_start_;
    for (DatabaseIndex database = 0; database < kDatabases; ++database) {
      if (keyspace_.table(database).memory_bytes() >= sizeof(Table) + sizeof(TimingWheel)) {
        used_min += sizeof(TimingWheel);
      }
    }
    RC_ASSERT(keyspace_.used_bytes() == used_min);
  }

 private:
  DatabaseIndex any_database() { return static_cast<DatabaseIndex>(random_.below(kDatabases)); }
  std::string any_key() {
    const std::uint64_t number = random_.below(12);
    return number == 0 ? std::string(300, 'k') : "key" + std::to_string(number);
  }
  // A key that exists, if any does.
  std::string any_known(DatabaseIndex database) {
    if (model_[database].empty()) return {};
    auto at = model_[database].begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_.below(model_[database].size())));
    return at->first;
  }
  UnixMs any_time() { return static_cast<UnixMs>(random_.below(1'000'000'000)); }
  std::string any_text() {
    std::size_t size = random_.below(40);
    const std::uint64_t kind = random_.below(20);
    if (kind == 0) size = kChunkedBytesMin - 2 + random_.below(4);
    if (kind == 1) size = 2 * kChunkBytes + random_.below(1000);
    if (kind == 2) size = 3000;
    return std::string(size, static_cast<char>('a' + random_.below(26)));
  }

  // Applies with a lookup of its own or with one given, which must then be right afterwards.
  template <typename Mutation>
  void apply(const Mutation& mutation, DatabaseIndex database, const std::string& key) {
    expected_touches_.emplace_back(database, key);
    if (random_.below(2) == 0) {
      keyspace_.apply(mutation);
      return;
    }
    Lookup at = keyspace_.find(database, key);
    keyspace_.apply(mutation, &at);
    const auto model = model_[database].find(key);
    RC_ASSERT(static_cast<bool>(at) == (model != model_[database].end()));
    if (!at) {
      RC_ASSERT(at.expire_at == kNoExpiry);
      return;
    }
    RC_ASSERT(std::string(at.entry()->key()) == key);
    RC_ASSERT(at.expire_at == model->second.expire_at);
    RC_ASSERT(keyspace_.table(database).expiry(at.where) == at.expire_at);
  }

  void put() {
    const DatabaseIndex database = any_database();
    const std::string key = any_key();
    ModelValue& value = model_[database][key];
    value.is_hash = false;
    value.fields.clear();
    value.text = any_text();
    value.form = static_cast<unsigned>(random_.below(3));
    value.clock = clock_;
    const auto ttl = static_cast<TtlChange>(random_.below(3));
    const UnixMs expire_at = any_time();
    if (ttl == TtlChange::kClear) value.expire_at = kNoExpiry;
    if (ttl == TtlChange::kSet) value.expire_at = expire_at;
    const Chunked chunks(value.text);
    const ValueView view = random_.below(2) == 0 ? ValueView{{}, &chunks} : ValueView{value.text};
    apply(Put{database, key, view, ttl, expire_at, static_cast<StringForm>(value.form)}, database,
          key);
  }

  void del() {
    const DatabaseIndex database = any_database();
    const std::string key = any_known(database);
    if (model_[database].erase(key) > 0) apply(Delete{database, key}, database, key);
  }

  void expire() {
    const DatabaseIndex database = any_database();
    const std::string key = any_known(database);
    const auto at = model_[database].find(key);
    if (at == model_[database].end()) return;
    at->second.expire_at = random_.below(3) == 0 ? kNoExpiry : any_time();
    apply(Expire{database, key, at->second.expire_at}, database, key);
  }

  void splice() {
    const DatabaseIndex database = any_database();
    const std::string key = any_key();
    const auto known = model_[database].find(key);
    if (known != model_[database].end() && known->second.is_hash) return;
    ModelValue& value = model_[database][key];
    if (known == model_[database].end()) value.clock = clock_;
    const std::string part = any_text();
    const std::uint64_t offset =
        random_.below(2) == 0 ? value.text.size() : random_.below(value.text.size() + 20);
    value.text.resize(std::max<std::size_t>(value.text.size(), offset + part.size()), '\0');
    value.text.replace(offset, part.size(), part);
    value.form = static_cast<unsigned>(StringForm::kRaw);
    const Chunked chunks(part);
    const ValueView view = random_.below(2) == 0 ? ValueView{{}, &chunks} : ValueView{part};
    apply(Splice{database, key, offset, view}, database, key);
  }

  void rename() {
    const DatabaseIndex database = any_database();
    const std::string from = any_known(database);
    if (from.empty()) return;
    const std::string to = any_key();
    ModelValue value = model_[database].at(from);
    model_[database].erase(from);
    model_[database][to] = value;
    keyspace_.apply(Rename{database, from, to});
    expected_touches_ = {{database, from}, {database, to}};
  }

  void copy() {
    const DatabaseIndex database = any_database();
    const std::string from = any_known(database);
    const DatabaseIndex to_database = any_database();
    const std::string to = any_key();
    if (from.empty() || (database == to_database && from == to)) return;
    model_[to_database][to] = model_[database].at(from);
    model_[to_database][to].clock = clock_;
    keyspace_.apply(Copy{database, from, to_database, to});
    expected_touches_ = {{to_database, to}};
  }

  void move() {
    const DatabaseIndex database = any_database();
    const std::string key = any_known(database);
    const DatabaseIndex to_database = any_database();
    if (key.empty() || model_[to_database].count(key) > 0) return;
    model_[to_database][key] = model_[database].at(key);
    model_[database].erase(key);
    keyspace_.apply(Move{database, key, to_database});
    expected_touches_ = {{database, key}, {to_database, key}};
  }

  void swap_or_flush() {
    const DatabaseIndex first = any_database();
    const DatabaseIndex second = any_database();
    switch (random_.below(8)) {
      case 0: {
        keyspace_.apply(Flush{std::nullopt});
        for (DatabaseIndex database = 0; database < kDatabases; ++database) {
          model_[database].clear();
          expected_touches_.emplace_back(database, "*");
        }
        break;
      }
      case 1:
      case 2:
        keyspace_.apply(Flush{first});
        model_[first].clear();
        expected_touches_ = {{first, "*"}};
        break;
      default:
        keyspace_.apply(SwapDatabases{first, second});
        std::swap(model_[first], model_[second]);
        expected_touches_ = {{first, "*"}, {second, "*"}};
    }
  }

  void hash_put() {
    const DatabaseIndex database = any_database();
    const std::string key = any_key();
    const auto known = model_[database].find(key);
    if (known != model_[database].end() && !known->second.is_hash) return;
    ModelValue& value = model_[database][key];
    if (known == model_[database].end()) value.clock = clock_;
    value.is_hash = true;
    const bool many = random_.below(20) == 0;
    const std::size_t count = many ? 100 + random_.below(100) : 1 + random_.below(4);
    std::vector<std::pair<std::string, std::string>> named;
    for (std::size_t i = 0; i < count; ++i) {
      named.emplace_back("f" + std::to_string(random_.below(many ? 2000 : 8)),
                         many ? "v" : any_text());
    }
    std::vector<FieldValue> fields;
    std::vector<Chunked> chunks(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& [field, text] = named[i];
      value.fields[field] = text;
      chunks[i].append(text);
      // As requests give them: chunked from 64 KB on.
      fields.push_back(
          {field, text.size() >= kChunkedBytesMin ? ValueView{{}, &chunks[i]} : ValueView{text}});
    }
    const bool shown_as_table = random_.below(10) == 0;
    if (shown_as_table) value.form = 1;
    apply(HashPut{database, key, fields, shown_as_table}, database, key);
  }

  void hash_erase() {
    const DatabaseIndex database = any_database();
    const std::string key = any_known(database);
    const auto known = model_[database].find(key);
    if (known == model_[database].end() || !known->second.is_hash) return;
    std::vector<std::string> names;
    for (const auto& [field, value] : known->second.fields) {
      if (random_.below(3) == 0) names.push_back(field);
    }
    names.push_back("no such field");
    if (names.size() > 1) names.push_back(names.front());
    for (const std::string& name : names) known->second.fields.erase(name);
    if (known->second.fields.empty()) model_[database].erase(known);
    const std::vector<std::string_view> views(names.begin(), names.end());
    apply(HashErase{database, key, views}, database, key);
  }

  void compare(const Entry& entry, UnixMs expire_at, const ModelValue& model) {
    RC_ASSERT(expire_at == model.expire_at);
    RC_ASSERT(entry.form() == model.form);
    RC_ASSERT((type_of(entry) == ValueType::kHash) == model.is_hash);
    if (!model.is_hash) {
      RC_ASSERT(text_of(string_value(entry)) == model.text);
      return;
    }
    std::map<std::string, std::string> fields;
    hash_for_each(entry, [&](std::string_view field, const ValueView& value) {
      RC_ASSERT(fields.emplace(field, text_of(value)).second);
    });
    RC_ASSERT(fields == model.fields);
    RC_ASSERT(hash_length(entry) == fields.size());
    for (const auto& [field, value] : fields) RC_ASSERT(text_of(*hash_get(entry, field)) == value);
    RC_ASSERT(!hash_get(entry, "no such field").has_value());
  }

  std::unique_ptr<Keyspace> loaded_;
  std::unique_ptr<Loader> loader_;
  bool abandoned_ = false;
  Keyspace keyspace_;
  ModelDatabase model_[kDatabases];
  ModelDatabase model_at_snapshot_[kDatabases];
  TouchRecorder touches_;
  Touched expected_touches_;
  Random random_{0};
  std::uint64_t index_ = 0;
  std::uint32_t clock_ = 0;
  std::size_t used_at_start_ = 0;
};

}  // namespace

TEST_CASE("a keyspace agrees with plain maps after any stream of mutations", "[keyspace][model]") {
  const bool holds = rc::check("mutations, accounting and touched keys", [] {
    const auto choices = *rc::gen::scale(
        6, rc::gen::container<std::vector<std::uint64_t>>(
               rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>()))));
    Pair pair;
    for (const std::uint64_t choice : choices) {
      pair.step(choice);
      if (choice % 4 == 0) pair.compare();
    }
    pair.compare();
    pair.delete_all();
  });
  CHECK(holds);
  CHECK(Pair::snapshots_compared > 50);
}
