// A Table beside a std::map that must agree with it. Each step does the same to both and compares
// what is cheap; check_all compares everything.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "server/keyspace/table.hpp"

// REQUIRE for conditions that are met millions of times.
#define EXPECT_HERE(...)                    \
  do {                                      \
    if (!(__VA_ARGS__)) FAIL(#__VA_ARGS__); \
  } while (false)

namespace holdfast::keyspace {

class TableModel {
 public:
  explicit TableModel(int subdirectory_bits, Table::HashFunction hash = key_hash)
      : table(heap, 42, subdirectory_bits, hash) {}
  ~TableModel() {
    for (Entry* entry : displaced_) Entry::destroy(heap, entry);
  }

  // Insert or replace.
  void put(const std::string& key, const std::string& value, UnixMs expire_at = kNoExpiry) {
    Entry* entry = make(key, value);
    Locator where = table.find(key);
    const auto known = model.find(key);
    EXPECT_HERE((where.entry != nullptr) == (known != model.end()));
    if (where.entry == nullptr) {
      table.insert(where, entry, expire_at);
      model[key] = {value, stored(expire_at)};
    } else {
      Entry* before = table.replace(where, entry);
      EXPECT_HERE(before->value() == known->second.value);
      displaced_.push_back(before);
      known->second.value = value;
    }
    EXPECT_HERE(where.entry == entry);
    EXPECT_HERE(table.expiry(where) == model[key].expire_at);
  }

  void erase(const std::string& key) {
    Locator where = table.find(key);
    const auto known = model.find(key);
    EXPECT_HERE((where.entry != nullptr) == (known != model.end()));
    if (where.entry == nullptr) return;
    Entry* entry = table.erase(where);
    EXPECT_HERE(entry->key() == key);
    EXPECT_HERE(entry->value() == known->second.value);
    Entry::destroy(heap, entry);
    model.erase(known);
  }

  void expire(const std::string& key, UnixMs expire_at) {
    Locator where = table.find(key);
    if (where.entry == nullptr) return;
    table.set_expiry(where, expire_at);
    model[key].expire_at = stored(expire_at);
    EXPECT_HERE(table.expiry(where) == stored(expire_at));
  }

  void check_key(const std::string& key) const {
    const Locator where = table.find(key);
    const auto known = model.find(key);
    EXPECT_HERE((where.entry != nullptr) == (known != model.end()));
    if (where.entry == nullptr) return;
    EXPECT_HERE(where.entry->value() == known->second.value);
    EXPECT_HERE(table.expiry(where) == known->second.expire_at);
  }

  // Erases all that is due, as the server does, and holds it against the model.
  void expire_due(UnixMs now, std::size_t at_once) {
    std::set<std::string> due;
    for (const auto& [key, item] : model)
      if (is_expired(item.expire_at, now)) due.insert(key);
    std::vector<Entry*> out(at_once);
    while (table.next_due() <= now) {
      const std::size_t count = table.collect_due(now, out.data(), out.size());
      EXPECT_HERE(count <= at_once);
      for (std::size_t i = 0; i < count; ++i) {
        const std::string key(out[i]->key());
        EXPECT_HERE(due.erase(key) == 1);
        erase(key);
      }
    }
    EXPECT_HERE(due.empty());
  }

  void check_counts() const {
    EXPECT_HERE(table.size() == model.size());
    std::size_t expiring = 0;
    UnixMs earliest = TimingWheel::kNever;
    for (const auto& [key, item] : model) {
      if (item.expire_at == kNoExpiry) continue;
      ++expiring;
      earliest = std::min(earliest, item.expire_at);
    }
    EXPECT_HERE(table.expiring_count() == expiring);
    EXPECT_HERE(table.next_due() <= earliest);
  }

  void check_all() const {
    check_counts();
    for (const auto& [key, item] : model) check_key(key);
    std::map<std::string, UnixMs> seen;
    std::uint64_t cursor = 0;
    do {
      cursor = table.scan(cursor, 50, [&](Entry* entry, UnixMs expire_at) {
        EXPECT_HERE(seen.emplace(entry->key(), expire_at).second);
      });
      EXPECT_HERE(cursor < std::uint64_t{1} << Table::kCursorBits);
    } while (cursor != 0);
    EXPECT_HERE(seen.size() == model.size());
    for (const auto& [key, item] : model) EXPECT_HERE(seen.at(key) == item.expire_at);
  }

  Entry* make(std::string_view key, std::string_view value) {
    Entry* entry = Entry::create(heap, key, Kind::kString, value.size());
    if (!value.empty()) std::memcpy(entry->value_data(), value.data(), value.size());
    return entry;
  }

  static UnixMs stored(UnixMs expire_at) {
    return expire_at == kNoExpiry ? kNoExpiry : std::max<UnixMs>(expire_at, 0);
  }

  struct Item {
    std::string value;
    UnixMs expire_at = kNoExpiry;
  };
  EntryHeap heap;
  Table table;
  std::map<std::string, Item> model;

 private:
  std::vector<Entry*> displaced_;
};

}  // namespace holdfast::keyspace
