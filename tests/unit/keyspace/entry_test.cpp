#include "server/keyspace/entry.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace holdfast::keyspace;

TEST_CASE("an entry keeps key and value at every boundary of its length fields", "[keyspace]") {
  EntryHeap heap;
  for (std::size_t key_size : {0, 1, 8, 253, 254, 255, 256, 70000}) {
    for (std::size_t value_size : {0, 1, 300, 65533, 65534, 65535, 65536, 1 << 20}) {
      CAPTURE(key_size, value_size);
      const std::string key(key_size, 'k');
      const std::string value(value_size, 'v');
      Entry* entry = Entry::create(heap, key, Kind::kPackedHash, value_size);
      std::memcpy(entry->value_data(), value.data(), value_size);

      CHECK(reinterpret_cast<std::uintptr_t>(entry) % 8 == 0);
      CHECK(entry->kind() == Kind::kPackedHash);
      CHECK((entry->key() == key));
      CHECK((entry->value() == value));
      const std::size_t extensions = (key_size >= 255 ? 4 : 0) + (value_size >= 65535 ? 4 : 0);
      CHECK(entry->size_bytes() == 8 + extensions + key_size + value_size);

      Entry* copy = Entry::clone(heap, *entry);
      CHECK((copy->value() == value));
      Entry::destroy(heap, entry);
      CHECK((copy->key() == key));
      Entry::destroy(heap, copy);
      CHECK(heap.used_bytes() == 0);
    }
  }
}

TEST_CASE("the small fields of an entry do not disturb each other", "[keyspace]") {
  EntryHeap heap;
  Entry* entry = Entry::create(heap, "key", Kind::kTableHash, Entry::kBoxBytes);
  CHECK(entry->form() == 0);
  CHECK_FALSE(entry->colour());
  CHECK(entry->access_clock() == 0);

  int box = 0;
  entry->set_box(&box);
  entry->set_form(2);
  entry->set_colour(true);
  entry->set_access_clock(0xabcdef);
  CHECK(entry->form() == 2);
  CHECK(entry->colour());
  CHECK(entry->access_clock() == 0xabcdef);
  CHECK(entry->kind() == Kind::kTableHash);
  CHECK(entry->box() == &box);
  CHECK(entry->key() == "key");

  entry->set_colour(false);
  entry->set_form(1);
  CHECK(entry->form() == 1);
  CHECK_FALSE(entry->colour());
  CHECK(entry->kind() == Kind::kTableHash);
  Entry::destroy(heap, entry);
}
