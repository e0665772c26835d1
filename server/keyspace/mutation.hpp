// Mutations are the only way to change data: what a command decided, not the command. Each is
// deterministic and is applied exactly once, in log order, with the same result on every node; it
// is not necessarily idempotent.
//
// They are plain views: keys and values point into the request (or a decoded log entry) and are
// copied into their home by `Keyspace::apply`. Times are absolute wall-clock milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/chunked.hpp"
#include "base/time.hpp"

namespace holdfast::keyspace {

using DatabaseIndex = std::uint32_t;

// A string value given in or looked at: contiguous bytes, or chunks that may be shared.
struct ValueView {
  std::string_view bytes;
  const Chunked* chunks = nullptr;

  std::size_t size() const { return chunks != nullptr ? chunks->size() : bytes.size(); }
};

// How OBJECT ENCODING names a string: by its content ("int" if it is a canonical integer, else
// embstr up to 44 bytes, else raw), never "int", or always raw.
enum class StringForm : std::uint8_t { kByContent = 0, kNotInteger = 1, kRaw = 2 };

enum class TtlChange : std::uint8_t { kClear, kKeep, kSet };

struct Put {
  DatabaseIndex database;
  std::string_view key;
  ValueView value;
  TtlChange ttl = TtlChange::kClear;
  UnixMs expire_at = 0;  // with kSet
  StringForm form = StringForm::kByContent;
};

enum class DeleteReason : std::uint8_t { kCommand, kExpired, kEvicted };

struct Delete {
  DatabaseIndex database;
  std::string_view key;
  DeleteReason reason = DeleteReason::kCommand;
};

// expire_at = kNoExpiry persists the key.
struct Expire {
  DatabaseIndex database;
  std::string_view key;
  UnixMs expire_at;
};

// Writes `value` into the string at `offset`, growing it with zero bytes; creates it if absent.
// APPEND, SETRANGE.
struct Splice {
  DatabaseIndex database;
  std::string_view key;
  std::uint64_t offset;
  ValueView value;
  StringForm form = StringForm::kRaw;
};

// `to` is replaced; the expiry time goes along. `from` exists.
struct Rename {
  DatabaseIndex database;
  std::string_view from;
  std::string_view to;
};

// The target is replaced; the expiry time is copied. The source exists.
struct Copy {
  DatabaseIndex from_database;
  std::string_view from;
  DatabaseIndex to_database;
  std::string_view to;
};

// The key exists in `database` and not in `to_database`.
struct Move {
  DatabaseIndex database;
  std::string_view key;
  DatabaseIndex to_database;
};

struct SwapDatabases {
  DatabaseIndex first;
  DatabaseIndex second;
};

// All databases if none is named.
struct Flush {
  std::optional<DatabaseIndex> database;
};

struct FieldValue {
  std::string_view field;
  ValueView value;
};

// Puts the fields in order (of a field named twice the last value stays); creates the hash if
// absent. `shown_as_table`: from now on OBJECT ENCODING says "hashtable".
struct HashPut {
  DatabaseIndex database;
  std::string_view key;
  std::span<const FieldValue> fields;
  bool shown_as_table = false;
};

// Absent fields are passed over; a hash left without fields is deleted.
struct HashErase {
  DatabaseIndex database;
  std::string_view key;
  std::span<const std::string_view> fields;
};

// Changes nothing: it marks an index at which every node takes a digest of its data. An entry of
// its own.
struct Marker {};

}  // namespace holdfast::keyspace
