#include "server/keyspace/hash_value.hpp"

#include <bitset>

#include "base/check.hpp"

namespace holdfast::keyspace {

namespace {

constexpr std::size_t kCountBytes = 2;

void put_varint(std::string& out, std::size_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(0x80 | (value & 0x7f));
    value >>= 7;
  }
  out += static_cast<char>(value);
}

std::size_t take_varint(const char*& at) {
  std::size_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

void put_field(std::string& out, std::string_view field, std::string_view value) {
  put_varint(out, field.size());
  out += field;
  put_varint(out, value.size());
  out += value;
}

void set_count(std::string& packed, std::size_t count) {
  packed[0] = static_cast<char>(count & 0xff);
  packed[1] = static_cast<char>(count >> 8);
}

// Iterates the packed fields; `visit` returns false to stop.
template <typename Visit>
void walk(std::string_view packed, Visit visit) {
  const char* at = packed.data() + kCountBytes;
  const char* end = packed.data() + packed.size();
  while (at < end) {
    const std::size_t field_length = take_varint(at);
    const std::string_view field(at, field_length);
    at += field_length;
    const std::size_t value_length = take_varint(at);
    const std::string_view value(at, value_length);
    at += value_length;
    if (!visit(field, value)) return;
  }
}

HashTable& table_of(const Entry& entry) {
  return *static_cast<HashTable*>(entry.box());
}

}  // namespace

ValueView string_value(const Entry& entry) {
  if (entry.kind() == Kind::kChunkedString) return {{}, static_cast<const Chunked*>(entry.box())};
  return {entry.value(), nullptr};
}

std::size_t packed_count(std::string_view packed) {
  return static_cast<unsigned char>(packed[0]) +
         (static_cast<std::size_t>(static_cast<unsigned char>(packed[1])) << 8);
}

void packed_for_each(std::string_view packed, FieldVisitor visit) {
  walk(packed, [&](std::string_view field, std::string_view value) {
    visit(field, ValueView{value});
    return true;
  });
}

std::size_t hash_length(const Entry& entry) {
  if (entry.kind() == Kind::kPackedHash) return packed_count(entry.value());
  return table_of(entry).table.size();
}

std::optional<ValueView> hash_get(const Entry& entry, std::string_view field) {
  if (entry.kind() == Kind::kTableHash) {
    const Locator where = table_of(entry).table.find(field);
    if (where.entry == nullptr) return std::nullopt;
    return string_value(*where.entry);
  }
  std::optional<ValueView> found;
  walk(entry.value(), [&](std::string_view name, std::string_view value) {
    if (name != field) return true;
    found = ValueView{value};
    return false;
  });
  return found;
}

void hash_for_each(const Entry& entry, FieldVisitor visit) {
  if (entry.kind() == Kind::kPackedHash) {
    packed_for_each(entry.value(), visit);
    return;
  }
  std::uint64_t cursor = 0;
  do {
    cursor = table_of(entry).table.scan(
        cursor, 1024, [&](Entry* member, UnixMs) { visit(member->key(), string_value(*member)); });
  } while (cursor != 0);
}

std::uint64_t hash_scan(const Entry& entry, std::uint64_t cursor, std::size_t count,
                        FieldVisitor visit) {
  if (entry.kind() == Kind::kPackedHash) {
    packed_for_each(entry.value(), visit);
    return 0;
  }
  return table_of(entry).table.scan(
      cursor, count, [&](Entry* member, UnixMs) { visit(member->key(), string_value(*member)); });
}

FieldValue hash_random(const Entry& entry, Random& random) {
  if (entry.kind() == Kind::kTableHash) {
    const Entry* member = table_of(entry).table.random_entry(random);
    HF_CHECK(member != nullptr);
    return {member->key(), string_value(*member)};
  }
  std::size_t left = random.below(packed_count(entry.value()));
  FieldValue found;
  walk(entry.value(), [&](std::string_view field, std::string_view value) {
    found = {field, ValueView{value}};
    return left-- > 0;
  });
  return found;
}

bool packed_with(std::string_view packed, std::span<const FieldValue> fields, std::string& next) {
  if (fields.size() > kPackedFieldsMax) return false;
  std::size_t bytes = packed.size();
  for (const FieldValue& one : fields) {
    bytes += one.field.size() + one.value.size();
    if (one.value.chunks != nullptr || bytes > 2 * kPackedBytesMax) return false;
  }

  // A field named twice counts with its last value, at the place of its first.
  const auto last_value_of = [&](std::string_view name) -> const FieldValue* {
    for (auto it = fields.rbegin(); it != fields.rend(); ++it) {
      if (it->field == name) return &*it;
    }
    return nullptr;
  };
  std::bitset<kPackedFieldsMax> known;  // of `fields`: packed already
  next.assign(kCountBytes, '\0');
  std::size_t count = 0;
  if (!packed.empty()) {
    walk(packed, [&](std::string_view field, std::string_view value) {
      const FieldValue* fresh = last_value_of(field);
      if (fresh != nullptr) {
        value = fresh->value.bytes;
        known.set(static_cast<std::size_t>(fresh - fields.data()));
      }
      put_field(next, field, value);
      ++count;
      return true;
    });
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const FieldValue* last = last_value_of(fields[i].field);
    const auto number = static_cast<std::size_t>(last - fields.data());
    if (known.test(number)) continue;
    known.set(number);
    put_field(next, fields[i].field, last->value.bytes);
    ++count;
  }
  if (count > kPackedFieldsMax || next.size() > kPackedBytesMax) return false;
  set_count(next, count);
  return true;
}

void packed_without(std::string_view packed, std::span<const std::string_view> fields,
                    std::string& next) {
  next.assign(kCountBytes, '\0');
  std::size_t count = 0;
  walk(packed, [&](std::string_view field, std::string_view value) {
    for (const std::string_view gone : fields) {
      if (gone == field) return true;
    }
    put_field(next, field, value);
    ++count;
    return true;
  });
  set_count(next, count);
}

}  // namespace holdfast::keyspace
