// A hash value: small ones packed into their entry, large ones in a Table of their own.
//
//   packed := count:u16 { field_length:varint field value_length:varint value }        (in the
//   order of insertion)
//
// A packed hash is never changed in place: a change builds the next entry, and the old one goes to
// the retire ring as it is. A hash becomes a table when it exceeds kPackedFieldsMax or
// kPackedBytesMax, and stays one. What OBJECT ENCODING says is kept apart (the entry's form bit),
// because it follows Redis's limits and not ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "server/keyspace/entry.hpp"
#include "server/keyspace/function_ref.hpp"
#include "server/keyspace/mutation.hpp"
#include "server/keyspace/table.hpp"

namespace holdfast::keyspace {

inline constexpr std::size_t kPackedFieldsMax = 128;
inline constexpr std::size_t kPackedBytesMax = 4096;

// The home of a large hash. Members are entries of kind kString or kChunkedString.
struct HashTable {
  HashTable(EntryHeap& heap, std::uint64_t seed) : table(heap, seed, kCollectionSubdirectoryBits) {}

  Table table;
  std::size_t member_bytes = 0;  // entries and chunks
  void* told_as = nullptr;       // a Snapshot's, while it tells this hash

  std::size_t memory_bytes() const { return table.memory_bytes() + member_bytes; }
};

// Reading. REQUIRES: `entry` is of kind kPackedHash or kTableHash. Views live as long as the entry.
using FieldVisitor = FunctionRef<void(std::string_view field, ValueView value)>;

std::size_t hash_length(const Entry& entry);
std::optional<ValueView> hash_get(const Entry& entry, std::string_view field);
void hash_for_each(const Entry& entry, FieldVisitor visit);
// As Table::scan; a packed hash comes whole and the next cursor is 0.
std::uint64_t hash_scan(const Entry& entry, std::uint64_t cursor, std::size_t count,
                        FieldVisitor visit);
// One field, about equally likely each. REQUIRES: not empty.
FieldValue hash_random(const Entry& entry, Random& random);

// The value of a string entry (kString or kChunkedString).
ValueView string_value(const Entry& entry);

// Building packed hashes, in `next`. `packed` is empty for a hash that does not exist yet. False:
// it would be too large, take a table.
bool packed_with(std::string_view packed, std::span<const FieldValue> fields, std::string& next);
void packed_without(std::string_view packed, std::span<const std::string_view> fields,
                    std::string& next);
std::size_t packed_count(std::string_view packed);
void packed_for_each(std::string_view packed, FieldVisitor visit);

}  // namespace holdfast::keyspace
