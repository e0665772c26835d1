// The one encoding of mutations: in log entries, between nodes, and in snapshots.
//
//   mutations  := mutation*
//   mutation   := put | delete | expire | splice | rename | copy | move | swap | flush | flush_all
//               | hash_put | hash_erase | marker
//   put        := 1:u8 flags:u8 database key:string value:string [expire_at:i64]
//                 flags: bits 0..1 TtlChange (2 = set, then expire_at follows), bits 2..3
//                 StringForm, others zero
//   delete     := 2:u8 reason:u8 database key:string
//   expire     := 3:u8 database key:string expire_at:i64
//   splice     := 4:u8 form:u8 database key:string offset:varint value:string
//   rename     := 5:u8 database from:string to:string
//   copy       := 6:u8 from_database from:string to_database to:string
//   move       := 7:u8 database key:string to_database
//   swap       := 8:u8 database database
//   flush      := 9:u8 database
//   flush_all  := 10:u8
//   hash_put   := 11:u8 shown_as_table:u8 database key:string count:varint {field:string
//                 value:string}
//   hash_erase := 12:u8 database key:string count:varint {field:string}
//   marker     := 13:u8
//   database   := varint                 (varint and string: base/bytes.hpp; numbers little-endian)
//
// A tag's meaning never changes and no tag is used twice: what must mean something else gets a new
// tag. An unknown tag is refused: it comes from a newer version. Pure; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <variant>
#include <vector>

#include "base/chunked.hpp"
#include "base/result.hpp"
#include "base/rope.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::keyspace {

class Keyspace;

// Appends to the rope that the arena is building. Keys and values below kChunkedBytesMin are
// copied; longer values in chunks are shared, so the Chunked may be changed afterwards (it copies),
// but a chunk must not be written by any other way.
void encode(const Put& put, RopeArena& arena);
void encode(const Delete& del, RopeArena& arena);
void encode(const Expire& expire, RopeArena& arena);
void encode(const Splice& splice, RopeArena& arena);
void encode(const Rename& rename, RopeArena& arena);
void encode(const Copy& copy, RopeArena& arena);
void encode(const Move& move, RopeArena& arena);
void encode(const SwapDatabases& swap, RopeArena& arena);
void encode(const Flush& flush, RopeArena& arena);
void encode(const HashPut& put, RopeArena& arena);
void encode(const HashErase& erase, RopeArena& arena);
void encode(const Marker& marker, RopeArena& arena);

using Mutation = std::variant<Put, Delete, Expire, Splice, Rename, Copy, Move, SwapDatabases, Flush,
                              HashPut, HashErase, Marker>;

struct MutationLimits {
  DatabaseIndex database_count = 16;
  // Of a key, a value, and a string after a splice.
  std::uint64_t string_bytes_max = (std::uint64_t{1} << 32) - 1;
};

// What is to be applied to this keyspace.
MutationLimits limits_of(const Keyspace& keyspace);

// Reads mutations one after the other, from any bytes:
//
//   MutationDecoder decoder(entry.payload, limits);
//   while (decoder.next()) std::visit(..., decoder.mutation());
//   if (!decoder.ok()) ... decoder.error()
//
// The views of a mutation live until the next call of `next` at the longest; what is decoded
// outlives the decoder. Values of kChunkedBytesMin and more come as chunks, shared with the rope
// where they are chunks there.
class MutationDecoder {
 public:
  MutationDecoder(const Rope& mutations, const MutationLimits& limits)
      : reader_(mutations), limits_(limits) {}
  MutationDecoder(std::string_view mutations, const MutationLimits& limits)
      : reader_(mutations), limits_(limits) {}

  // False: at the end, or what follows is no mutation.
  bool next();
  const Mutation& mutation() const { return mutation_; }
  bool ok() const { return error_.empty(); }
  // Says which mutation, counted from 1, is wrong in what.
  const std::string& error() const { return error_; }
  std::size_t count() const { return count_; }

 private:
  bool refuse(std::string why);
  DatabaseIndex database();
  std::string_view string();
  ValueView value();
  bool decode(std::uint8_t tag);
  Put put();
  Splice splice();
  HashPut hash_put();
  HashErase hash_erase();
  std::size_t field_count(std::size_t field_bytes_min);

  RopeReader reader_;
  MutationLimits limits_;
  Mutation mutation_;
  std::size_t count_ = 0;
  std::string error_;
  // What the current mutation's views point to:
  std::deque<Chunked> chunks_;
  std::vector<FieldValue> fields_;
  std::vector<std::string_view> names_;
};

// Applies one mutation if the keyspace has what it requires; else says what is missing, and nothing
// is changed. Null: applied.
const char* apply_checked(const Mutation& mutation, Keyspace& keyspace);

// Decodes and applies, within the log entry that `keyspace` has begun. Gives the number of
// mutations. On an error those before the bad one are applied: the keyspace is then of no use.
Result<std::size_t> apply_encoded(const Rope& mutations, Keyspace& keyspace);
Result<std::size_t> apply_encoded(std::string_view mutations, Keyspace& keyspace);

}  // namespace holdfast::keyspace
