#include "server/node/digest.hpp"

#include <fmt/format.h>

#include "server/keyspace/hash.hpp"
#include "server/keyspace/mutation_codec.hpp"

namespace holdfast::node {

namespace {
constexpr std::uint64_t kSeed = 0x486f6c6466617374;  // the same on all members
}

void Digest::begin(keyspace::Keyspace& keyspace, LogIndex index) {
  is_running_ = true;
  index_ = index;
  sum_ = 0;
  keys_ = 0;
  for (keyspace::DatabaseIndex i = 0; i < keyspace.database_count(); ++i)
    keys_ += keyspace.table(i).size();
  keyspace.begin_snapshot(*this);
}

bool Digest::slice(keyspace::Keyspace& keyspace, std::size_t units) {
  if (!is_running_) return false;
  if (keyspace.snapshot_running() && keyspace.snapshot_slice(units)) return true;
  is_running_ = false;
  return false;
}

std::string Digest::json() const {
  return fmt::format(R"({{"index":{},"digest":"{}","keys":{}}})", index_.value, text(), keys_);
}

std::string Digest::text() const {
  return fmt::format("{:016x}", sum_);
}

template <typename Mutation>
void Digest::add(const Mutation& mutation) {
  keyspace::encode(mutation, arena_);
  const std::string bytes = arena_.take().str();
  sum_ += keyspace::key_hash(kSeed, bytes);
}

void Digest::record(const keyspace::Put& put) {
  add(put);
}

// A large hash is told in parts whose borders differ between members: field by field.
void Digest::record(const keyspace::HashPut& put) {
  for (const keyspace::FieldValue& field : put.fields)
    add(keyspace::HashPut{put.database, put.key, {&field, 1}, false});
}

void Digest::record(const keyspace::Expire& expire) {
  add(expire);
}

}  // namespace holdfast::node
