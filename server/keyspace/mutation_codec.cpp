#include "server/keyspace/mutation_codec.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.hpp"
#include "server/keyspace/keyspace.hpp"

namespace holdfast::keyspace {

namespace {

enum Tag : std::uint8_t {
  kPut = 1,
  kDelete = 2,
  kExpire = 3,
  kSplice = 4,
  kRename = 5,
  kCopy = 6,
  kMove = 7,
  kSwap = 8,
  kFlush = 9,
  kFlushAll = 10,
  kHashPut = 11,
  kHashErase = 12,
  kMarker = 13,
};

constexpr unsigned kFormShift = 2;
// More than any head before a key needs: tag, flags, database, length.
constexpr std::size_t kHeadBytesMax = 2 + kVarintBytesMax + kVarintBytesMax;

// What every mutation begins with.
char* put_tag(char* to, Tag tag) {
  return put_u8(to, tag);
}

bool is_short(const ValueView& value) {
  return value.chunks == nullptr && value.bytes.size() < kChunkedBytesMin;
}

void append_value(const ValueView& value, RopeArena& arena) {
  const std::size_t size = value.size();
  const bool is_shared = value.chunks != nullptr && size >= kChunkedBytesMin;
  char* to = arena.reserve(kVarintBytesMax + (is_shared ? 0 : std::min(size, kChunkedBytesMin)));
  to = put_varint(to, size);
  if (is_short(value)) return arena.commit(put_bytes(to, value.bytes));
  if (value.chunks == nullptr) {
    arena.commit(to);
    arena.append(value.bytes);
  } else if (is_shared) {
    arena.commit(to);
    arena.append_chunks(*value.chunks);
  } else {
    value.chunks->copy_out(0, size, to);
    arena.commit(to + size);
  }
}

}  // namespace

void encode(const Put& put, RopeArena& arena) {
  const bool is_whole = is_short(put.value);
  char* to = arena.reserve(kHeadBytesMax + put.key.size() +
                           (is_whole ? kVarintBytesMax + put.value.bytes.size() + 8 : 0));
  to = put_tag(to, kPut);
  to = put_u8(to, static_cast<std::uint8_t>(static_cast<unsigned>(put.ttl) |
                                            static_cast<unsigned>(put.form) << kFormShift));
  to = put_string(put_varint(to, put.database), put.key);
  if (is_whole) {
    to = put_string(to, put.value.bytes);
    if (put.ttl == TtlChange::kSet) to = put_i64(to, put.expire_at);
    return arena.commit(to);
  }
  arena.commit(to);
  append_value(put.value, arena);
  if (put.ttl == TtlChange::kSet) arena.commit(put_i64(arena.reserve(8), put.expire_at));
}

void encode(const Delete& del, RopeArena& arena) {
  char* to = put_tag(arena.reserve(kHeadBytesMax + del.key.size()), kDelete);
  to = put_u8(to, static_cast<std::uint8_t>(del.reason));
  arena.commit(put_string(put_varint(to, del.database), del.key));
}

void encode(const Expire& expire, RopeArena& arena) {
  char* to = put_tag(arena.reserve(kHeadBytesMax + expire.key.size() + 8), kExpire);
  to = put_string(put_varint(to, expire.database), expire.key);
  arena.commit(put_i64(to, expire.expire_at));
}

void encode(const Splice& splice, RopeArena& arena) {
  char* to = put_tag(arena.reserve(kHeadBytesMax + splice.key.size() + kVarintBytesMax), kSplice);
  to = put_u8(to, static_cast<std::uint8_t>(splice.form));
  to = put_string(put_varint(to, splice.database), splice.key);
  arena.commit(put_varint(to, splice.offset));
  append_value(splice.value, arena);
}

void encode(const Rename& rename, RopeArena& arena) {
  char* to = arena.reserve(kHeadBytesMax + rename.from.size() + kVarintBytesMax + rename.to.size());
  to = put_varint(put_tag(to, kRename), rename.database);
  arena.commit(put_string(put_string(to, rename.from), rename.to));
}

void encode(const Copy& copy, RopeArena& arena) {
  char* to = arena.reserve(kHeadBytesMax + copy.from.size() + kHeadBytesMax + copy.to.size());
  to = put_string(put_varint(put_tag(to, kCopy), copy.from_database), copy.from);
  arena.commit(put_string(put_varint(to, copy.to_database), copy.to));
}

void encode(const Move& move, RopeArena& arena) {
  char* to = put_tag(arena.reserve(kHeadBytesMax + move.key.size() + kVarintBytesMax), kMove);
  to = put_string(put_varint(to, move.database), move.key);
  arena.commit(put_varint(to, move.to_database));
}

void encode(const SwapDatabases& swap, RopeArena& arena) {
  char* to = put_tag(arena.reserve(kHeadBytesMax), kSwap);
  arena.commit(put_varint(put_varint(to, swap.first), swap.second));
}

void encode(const Flush& flush, RopeArena& arena) {
  char* to = arena.reserve(kHeadBytesMax);
  arena.commit(flush.database.has_value() ? put_varint(put_tag(to, kFlush), *flush.database)
                                          : put_tag(to, kFlushAll));
}

void encode(const HashPut& put, RopeArena& arena) {
  char* to = put_tag(arena.reserve(kHeadBytesMax + put.key.size() + kVarintBytesMax), kHashPut);
  to = put_u8(to, put.shown_as_table ? 1 : 0);
  to = put_string(put_varint(to, put.database), put.key);
  arena.commit(put_varint(to, put.fields.size()));
  for (const FieldValue& field : put.fields) {
    arena.commit(put_string(arena.reserve(kVarintBytesMax + field.field.size()), field.field));
    append_value(field.value, arena);
  }
}

void encode(const HashErase& erase, RopeArena& arena) {
  char* to = put_tag(arena.reserve(kHeadBytesMax + erase.key.size() + kVarintBytesMax), kHashErase);
  to = put_string(put_varint(to, erase.database), erase.key);
  arena.commit(put_varint(to, erase.fields.size()));
  for (const std::string_view field : erase.fields)
    arena.commit(put_string(arena.reserve(kVarintBytesMax + field.size()), field));
}

void encode(const Marker&, RopeArena& arena) {
  arena.commit(put_tag(arena.reserve(1), kMarker));
}

bool MutationDecoder::refuse(std::string why) {
  if (error_.empty()) error_ = fmt::format("mutation {}: {}", count_ + 1, why);
  reader_.fail();
  return false;
}

DatabaseIndex MutationDecoder::database() {
  const std::uint64_t number = reader_.varint();
  if (number >= limits_.database_count) {
    refuse(fmt::format("database {}, but server.databases is {}", number, limits_.database_count));
    return 0;
  }
  return static_cast<DatabaseIndex>(number);
}

std::string_view MutationDecoder::string() {
  const std::uint64_t size = reader_.varint();
  if (size > limits_.string_bytes_max) {
    refuse(fmt::format("a string of {} bytes", size));
    return {};
  }
  return reader_.bytes(static_cast<std::size_t>(size));
}

ValueView MutationDecoder::value() {
  const std::uint64_t size = reader_.varint();
  if (size > limits_.string_bytes_max) {
    refuse(fmt::format("a value of {} bytes", size));
    return {};
  }
  if (size < kChunkedBytesMin) return {reader_.bytes(static_cast<std::size_t>(size))};
  Chunked& chunks = chunks_.emplace_back();
  reader_.chunks(static_cast<std::size_t>(size), chunks);
  return {{}, &chunks};
}

Put MutationDecoder::put() {
  Put put{};
  const unsigned flags = reader_.u8();
  const unsigned ttl = flags & 3;
  const unsigned form = flags >> kFormShift;
  if (ttl > static_cast<unsigned>(TtlChange::kSet) ||
      form > static_cast<unsigned>(StringForm::kRaw))
    refuse(fmt::format("flags {} of a put", flags));
  put.ttl = static_cast<TtlChange>(ttl);
  put.form = static_cast<StringForm>(form);
  put.database = database();
  put.key = string();
  put.value = value();
  if (put.ttl == TtlChange::kSet) put.expire_at = reader_.i64();
  return put;
}

Splice MutationDecoder::splice() {
  Splice splice{};
  const unsigned form = reader_.u8();
  if (form > static_cast<unsigned>(StringForm::kRaw)) refuse(fmt::format("string form {}", form));
  splice.form = static_cast<StringForm>(form);
  splice.database = database();
  splice.key = string();
  splice.offset = reader_.varint();
  splice.value = value();
  const std::uint64_t bytes_max = limits_.string_bytes_max;
  if (splice.offset > bytes_max || splice.value.size() > bytes_max - splice.offset)
    refuse(fmt::format("a splice at {} with {} bytes", splice.offset, splice.value.size()));
  return splice;
}

std::size_t MutationDecoder::field_count(std::size_t field_bytes_min) {
  const std::uint64_t count = reader_.varint();
  if (count == 0 || count > reader_.remaining() / field_bytes_min) {
    refuse(fmt::format("{} fields in {} bytes", count, reader_.remaining()));
    return 0;
  }
  return static_cast<std::size_t>(count);
}

HashPut MutationDecoder::hash_put() {
  HashPut put{};
  const unsigned shown_as_table = reader_.u8();
  if (shown_as_table > 1) refuse(fmt::format("flags {} of a hash", shown_as_table));
  put.shown_as_table = shown_as_table != 0;
  put.database = database();
  put.key = string();
  const std::size_t count = field_count(2);
  fields_.clear();
  for (std::size_t i = 0; i < count && reader_.ok(); ++i) {
    const std::string_view field = string();
    fields_.push_back({field, value()});
  }
  put.fields = fields_;
  return put;
}

HashErase MutationDecoder::hash_erase() {
  HashErase erase{};
  erase.database = database();
  erase.key = string();
  const std::size_t count = field_count(1);
  names_.clear();
  for (std::size_t i = 0; i < count && reader_.ok(); ++i) names_.push_back(string());
  erase.fields = names_;
  return erase;
}

bool MutationDecoder::next() {
  if (!reader_.ok() || reader_.remaining() == 0) return false;
  reader_.forget();
  chunks_.clear();
  if (!decode(reader_.u8())) return false;
  if (!reader_.ok()) return refuse("ends before its end");
  ++count_;
  return true;
}

// Braces evaluate from left to right: the order of members is the order of bytes.
bool MutationDecoder::decode(std::uint8_t tag) {
  switch (tag) {
    case kPut:
      mutation_ = put();
      return true;
    case kDelete: {
      const unsigned reason = reader_.u8();
      if (reason > static_cast<unsigned>(DeleteReason::kEvicted))
        return refuse(fmt::format("reason {} of a delete", reason));
      const DatabaseIndex index = database();
      mutation_ = Delete{index, string(), static_cast<DeleteReason>(reason)};
      return true;
    }
    case kExpire:
      mutation_ = Expire{database(), string(), reader_.i64()};
      return true;
    case kSplice:
      mutation_ = splice();
      return true;
    case kRename:
      mutation_ = Rename{database(), string(), string()};
      return true;
    case kCopy:
      mutation_ = Copy{database(), string(), database(), string()};
      return true;
    case kMove:
      mutation_ = Move{database(), string(), database()};
      return true;
    case kSwap:
      mutation_ = SwapDatabases{database(), database()};
      return true;
    case kFlush:
      mutation_ = Flush{database()};
      return true;
    case kFlushAll:
      mutation_ = Flush{};
      return true;
    case kHashPut:
      mutation_ = hash_put();
      return true;
    case kHashErase:
      mutation_ = hash_erase();
      return true;
    case kMarker:
      mutation_ = Marker{};
      return true;
    default:
      return refuse(fmt::format("unknown kind {}: written by a newer version?", tag));
  }
}

namespace {

constexpr const char* kNoKey = "its key does not exist";

struct CheckedApply {
  Keyspace& keyspace;

  bool is(const Lookup& at, ValueType type) const { return type_of(*at.entry()) == type; }

  const char* operator()(const Put& put) const {
    keyspace.apply(put);
    return nullptr;
  }
  const char* operator()(const Delete& del) const {
    Lookup at = keyspace.find(del.database, del.key);
    if (!at) return kNoKey;
    keyspace.apply(del, &at);
    return nullptr;
  }
  const char* operator()(const Expire& expire) const {
    Lookup at = keyspace.find(expire.database, expire.key);
    if (!at) return kNoKey;
    keyspace.apply(expire, &at);
    return nullptr;
  }
  const char* operator()(const Splice& splice) const {
    Lookup at = keyspace.find(splice.database, splice.key);
    if (at && !is(at, ValueType::kString)) return "its key holds no string";
    keyspace.apply(splice, &at);
    return nullptr;
  }
  const char* operator()(const Rename& rename) const {
    if (!keyspace.find(rename.database, rename.from)) return kNoKey;
    keyspace.apply(rename);
    return nullptr;
  }
  const char* operator()(const Copy& copy) const {
    if (!keyspace.find(copy.from_database, copy.from)) return kNoKey;
    if (copy.from_database == copy.to_database && copy.from == copy.to)
      return "it copies a key onto itself";
    keyspace.apply(copy);
    return nullptr;
  }
  const char* operator()(const Move& move) const {
    if (!keyspace.find(move.database, move.key)) return kNoKey;
    if (keyspace.find(move.to_database, move.key)) return "the target exists";
    keyspace.apply(move);
    return nullptr;
  }
  const char* operator()(const SwapDatabases& swap) const {
    keyspace.apply(swap);
    return nullptr;
  }
  const char* operator()(const Flush& flush) const {
    keyspace.apply(flush);
    return nullptr;
  }
  const char* operator()(const HashPut& put) const {
    Lookup at = keyspace.find(put.database, put.key);
    if (at && !is(at, ValueType::kHash)) return "its key holds no hash";
    keyspace.apply(put, &at);
    return nullptr;
  }
  const char* operator()(const HashErase& erase) const {
    Lookup at = keyspace.find(erase.database, erase.key);
    if (!at) return kNoKey;
    if (!is(at, ValueType::kHash)) return "its key holds no hash";
    keyspace.apply(erase, &at);
    return nullptr;
  }
  const char* operator()(const Marker& marker) const {
    keyspace.apply(marker);
    return nullptr;
  }
};

}  // namespace

MutationLimits limits_of(const Keyspace& keyspace) {
  return {.database_count = static_cast<DatabaseIndex>(keyspace.database_count())};
}

namespace {

template <typename Bytes>
Result<std::size_t> apply_all(const Bytes& mutations, Keyspace& keyspace) {
  MutationDecoder decoder(mutations, limits_of(keyspace));
  while (decoder.next()) {
    const char* why_not = apply_checked(decoder.mutation(), keyspace);
    if (why_not != nullptr)
      return fail(fmt::format("mutation {} does not fit the data: {}", decoder.count(), why_not));
  }
  if (!decoder.ok()) return fail(decoder.error());
  return decoder.count();
}

}  // namespace

const char* apply_checked(const Mutation& mutation, Keyspace& keyspace) {
  return std::visit(CheckedApply{keyspace}, mutation);
}

Result<std::size_t> apply_encoded(const Rope& mutations, Keyspace& keyspace) {
  return apply_all(mutations, keyspace);
}
Result<std::size_t> apply_encoded(std::string_view mutations, Keyspace& keyspace) {
  return apply_all(mutations, keyspace);
}

}  // namespace holdfast::keyspace
