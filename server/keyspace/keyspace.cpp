#include "server/keyspace/keyspace.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.hpp"

namespace holdfast::keyspace {

ValueType type_of(const Entry& entry) {
  switch (entry.kind()) {
    case Kind::kString:
    case Kind::kChunkedString:
      return ValueType::kString;
    case Kind::kPackedHash:
    case Kind::kTableHash:
      return ValueType::kHash;
  }
  HF_CHECK(false && "an entry of unknown kind");
}

Keyspace::Keyspace(std::size_t database_count, std::uint64_t hash_seed)
    : seed_(hash_seed), retired_(heap_), entry_bytes_(database_count), origins_(database_count) {
  for (std::size_t i = 0; i < database_count; ++i) databases_.push_back(make_table());
}

Keyspace::~Keyspace() {
  snapshot_.reset();
  for (auto& table : databases_) retired_.retire(LogIndex{0}, std::move(table));
}

std::unique_ptr<Table> Keyspace::make_table() {
  return std::make_unique<Table>(heap_, seed_, kKeyspaceSubdirectoryBits);
}

Lookup Keyspace::find(DatabaseIndex database, std::string_view key) const {
  const Table& table = *databases_[database];
  Lookup lookup;
  lookup.where = table.find(key);
  if (lookup.where.entry != nullptr) lookup.expire_at = table.expiry(lookup.where);
  return lookup;
}

Lookup& Keyspace::located(DatabaseIndex database, std::string_view key, Lookup* at,
                          Lookup& own) const {
  if (at != nullptr) return *at;
  own = find(database, key);
  return own;
}

std::size_t Keyspace::entry_bytes(const Entry& entry) {
  std::size_t bytes = entry.allocated_bytes();
  if (entry.kind() == Kind::kChunkedString) {
    bytes += static_cast<const Chunked*>(entry.box())->memory_bytes();
  } else if (entry.kind() == Kind::kTableHash) {
    bytes += static_cast<const HashTable*>(entry.box())->memory_bytes();
  }
  return bytes;
}

std::size_t Keyspace::used_bytes() const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < databases_.size(); ++i) {
    bytes += databases_[i]->memory_bytes() + entry_bytes_[i];
  }
  return bytes;
}

namespace {

void copy_value(const ValueView& value, char* to) {
  if (value.chunks != nullptr) {
    value.chunks->copy_out(0, value.size(), to);
  } else if (!value.bytes.empty()) {
    std::memcpy(to, value.bytes.data(), value.bytes.size());
  }
}

}  // namespace

Entry* Keyspace::make_string(std::string_view key, const ValueView& value, StringForm form) {
  Entry* entry = nullptr;
  if (value.size() >= kChunkedBytesMin) {
    auto chunks = value.chunks != nullptr ? std::make_unique<Chunked>(*value.chunks)
                                          : std::make_unique<Chunked>(value.bytes);
    entry = Entry::create(heap_, key, Kind::kChunkedString, Entry::kBoxBytes);
    entry->set_box(chunks.release());
  } else {
    entry = Entry::create(heap_, key, Kind::kString, value.size());
    copy_value(value, entry->value_data());
  }
  entry->set_form(static_cast<unsigned>(form));
  return entry;
}

void Keyspace::place(DatabaseIndex database, Lookup& at, Entry* fresh) {
  Table& table = *databases_[database];
  entry_bytes_[database] += entry_bytes(*fresh);
  fresh->set_colour(colour_);
  preserve(database, at);
  if (at.where.entry == nullptr) {
    fresh->set_access_clock(access_clock_);
    table.insert(at.where, fresh, kNoExpiry);
    at.expire_at = kNoExpiry;
  } else {
    Entry* old = table.replace(at.where, fresh);
    fresh->set_access_clock(old->access_clock());
    entry_bytes_[database] -= entry_bytes(*old);
    retired_.retire(index_, old);
  }
}

void Keyspace::remove(DatabaseIndex database, Lookup& at, Box box) {
  preserve(database, at);
  Entry* old = databases_[database]->erase(at.where);
  at.expire_at = kNoExpiry;
  entry_bytes_[database] -= entry_bytes(*old);
  if (box == Box::kRetire) {
    retired_.retire(index_, old);
  } else {
    retired_.retire_bare(index_, old);
  }
}

void Keyspace::apply(const Put& put, Lookup* hint) {
  Lookup own;
  Lookup& at = located(put.database, put.key, hint, own);
  place(put.database, at, make_string(put.key, put.value, put.form));
  at.entry()->set_access_clock(access_clock_);
  if (put.ttl != TtlChange::kKeep) {
    const UnixMs expire_at = put.ttl == TtlChange::kSet ? put.expire_at : kNoExpiry;
    if (expire_at != at.expire_at) {
      databases_[put.database]->set_expiry(at.where, expire_at);
      at.expire_at = expire_at;
    }
  }
  touched(put.database, put.key, at.where.hash);
}

void Keyspace::apply(const Delete& del, Lookup* hint) {
  Lookup own;
  Lookup& at = located(del.database, del.key, hint, own);
  HF_CHECK(at.entry() != nullptr);
  // The key may be a view into the entry itself, which lives on in the ring until the index is
  // committed.
  remove(del.database, at);
  touched(del.database, del.key, at.where.hash);
}

void Keyspace::apply(const Expire& expire, Lookup* hint) {
  Lookup own;
  Lookup& at = located(expire.database, expire.key, hint, own);
  HF_CHECK(at.entry() != nullptr);
  preserve(expire.database, at);
  databases_[expire.database]->set_expiry(at.where, expire.expire_at);
  at.expire_at = expire.expire_at;
  touched(expire.database, expire.key, at.where.hash);
}

void Keyspace::apply(const Splice& splice, Lookup* hint) {
  Lookup own;
  Lookup& at = located(splice.database, splice.key, hint, own);
  const ValueView old = at ? string_value(*at.entry()) : ValueView{};
  const std::size_t size = std::max<std::size_t>(
      old.size(), static_cast<std::size_t>(splice.offset) + splice.value.size());
  Entry* fresh = nullptr;
  if (size >= kChunkedBytesMin) {
    // Shares the old value's chunks; only those that change are copied.
    auto chunks = old.chunks != nullptr ? std::make_unique<Chunked>(*old.chunks)
                                        : std::make_unique<Chunked>(old.bytes);
    if (splice.value.chunks != nullptr) {
      std::size_t offset = splice.offset;
      for (std::size_t i = 0; i < splice.value.chunks->chunk_count(); ++i) {
        const std::string_view part = splice.value.chunks->chunk(i);
        chunks->overwrite(offset, part);
        offset += part.size();
      }
    } else {
      chunks->overwrite(splice.offset, splice.value.bytes);
    }
    fresh = Entry::create(heap_, splice.key, Kind::kChunkedString, Entry::kBoxBytes);
    fresh->set_box(chunks.release());
  } else {
    fresh = Entry::create(heap_, splice.key, Kind::kString, size);
    char* data = fresh->value_data();
    if (!old.bytes.empty()) std::memcpy(data, old.bytes.data(), old.bytes.size());
    std::memset(data + old.size(), 0, size - old.size());
    copy_value(splice.value, data + splice.offset);
  }
  fresh->set_form(static_cast<unsigned>(splice.form));
  place(splice.database, at, fresh);
  touched(splice.database, splice.key, at.where.hash);
}

namespace {

// The same value, box included, under another key.
Entry* with_key(EntryHeap& heap, const Entry& entry, std::string_view key) {
  const std::string_view value = entry.value();
  Entry* fresh = Entry::create(heap, key, entry.kind(), value.size());
  if (!value.empty()) std::memcpy(fresh->value_data(), value.data(), value.size());
  fresh->set_form(entry.form());
  fresh->set_access_clock(entry.access_clock());
  return fresh;
}

}  // namespace

void Keyspace::apply(const Rename& rename) {
  Lookup from = find(rename.database, rename.from);
  HF_CHECK(from.entry() != nullptr);
  move_entry(from, rename.database, rename.database, rename.to);
  const Table& table = *databases_[rename.database];
  touched(rename.database, rename.from, from.where.hash);
  touched(rename.database, rename.to, table.hash_of(rename.to));
}

void Keyspace::apply(const Move& move) {
  Lookup from = find(move.database, move.key);
  HF_CHECK(from.entry() != nullptr);
  move_entry(from, move.database, move.to_database, move.key);
  touched(move.database, move.key, from.where.hash);
  touched(move.to_database, move.key, from.where.hash);
}

void Keyspace::move_entry(Lookup& from, DatabaseIndex from_database, DatabaseIndex to_database,
                          std::string_view key) {
  const UnixMs expire_at = from.expire_at;
  const std::uint32_t clock = from.entry()->access_clock();
  Entry* fresh = with_key(heap_, *from.entry(), key);
  remove(from_database, from, Box::kKeep);
  Lookup to = find(to_database, key);
  place(to_database, to, fresh);
  fresh->set_access_clock(clock);
  databases_[to_database]->set_expiry(to.where, expire_at);
}

void Keyspace::apply(const Copy& copy) {
  const Lookup from = find(copy.from_database, copy.from);
  HF_CHECK(from.entry() != nullptr);
  const UnixMs expire_at = from.expire_at;
  Entry* fresh = with_key(heap_, *from.entry(), copy.to);
  if (fresh->kind() == Kind::kChunkedString) {
    fresh->set_box(new Chunked(*static_cast<const Chunked*>(fresh->box())));
  } else if (fresh->kind() == Kind::kTableHash) {
    const HashTable& source = *static_cast<const HashTable*>(fresh->box());
    auto target = std::make_unique<HashTable>(heap_, seed_);
    hash_for_each(*from.entry(), [&](std::string_view field, ValueView value) {
      put_member(*target, {field, value});
    });
    HF_CHECK(target->table.size() == source.table.size());
    fresh->set_box(target.release());
  }
  Lookup to = find(copy.to_database, copy.to);
  place(copy.to_database, to, fresh);
  fresh->set_access_clock(access_clock_);
  databases_[copy.to_database]->set_expiry(to.where, expire_at);
  touched(copy.to_database, copy.to, to.where.hash);
}

void Keyspace::apply(const SwapDatabases& swap) {
  marks_.note_all(index_);
  if (observer_ != nullptr) {
    const auto holds = [&](std::string_view key) {
      return find(swap.first, key) || find(swap.second, key);
    };
    observer_->database_touched(swap.first, holds);
    observer_->database_touched(swap.second, holds);
  }
  std::swap(databases_[swap.first], databases_[swap.second]);
  std::swap(entry_bytes_[swap.first], entry_bytes_[swap.second]);
  std::swap(origins_[swap.first], origins_[swap.second]);
}

void Keyspace::apply(const Flush& flush) {
  marks_.note_all(index_);
  for (DatabaseIndex database = 0; database < databases_.size(); ++database) {
    if (flush.database.has_value() && *flush.database != database) continue;
    if (observer_ != nullptr) {
      observer_->database_touched(database,
                                  [&](std::string_view key) { return bool(find(database, key)); });
    }
    if (databases_[database]->empty()) continue;
    retired_.retire(index_, std::exchange(databases_[database], make_table()));
    entry_bytes_[database] = 0;
  }
}

void Keyspace::begin_anew(LogIndex index) {
  begin_entry(index);
  apply(Flush{});
  marks_.begin_anew(index);
  retired_.release_all();
}

void Keyspace::put_member(HashTable& hash, const FieldValue& field) {
  Locator where = hash.table.find(field.field);
  Entry* fresh = make_string(field.field, field.value, StringForm::kByContent);
  hash.member_bytes += entry_bytes(*fresh);
  fresh->set_colour(colour_);
  if (where.entry == nullptr) {
    hash.table.insert(where, fresh);
  } else {
    preserve_member(hash, *where.entry);
    Entry* old = hash.table.replace(where, fresh);
    hash.member_bytes -= entry_bytes(*old);
    retired_.retire(index_, old);
  }
}

void Keyspace::erase_member(HashTable& hash, std::string_view field) {
  Locator where = hash.table.find(field);
  if (where.entry == nullptr) return;
  preserve_member(hash, *where.entry);
  Entry* old = hash.table.erase(where);
  hash.member_bytes -= entry_bytes(*old);
  retired_.retire(index_, old);
}

HashTable* Keyspace::table_from_packed(std::string_view packed) {
  auto hash = std::make_unique<HashTable>(heap_, seed_);
  if (!packed.empty()) {
    packed_for_each(packed, [&](std::string_view field, ValueView value) {
      put_member(*hash, {field, value});
    });
  }
  return hash.release();
}

void Keyspace::apply(const HashPut& put, Lookup* hint) {
  Lookup own;
  Lookup& at = located(put.database, put.key, hint, own);
  Entry* old = at.entry();
  if (old != nullptr && old->kind() == Kind::kTableHash) {
    preserve(put.database, at);
    HashTable& hash = *static_cast<HashTable*>(old->box());
    entry_bytes_[put.database] -= hash.memory_bytes();
    for (const FieldValue& field : put.fields) put_member(hash, field);
    entry_bytes_[put.database] += hash.memory_bytes();
    if (put.shown_as_table) old->set_form(1);
  } else {
    const std::string_view packed = old != nullptr ? old->value() : std::string_view{};
    const unsigned form = put.shown_as_table || (old != nullptr && old->form() != 0) ? 1 : 0;
    Entry* fresh = nullptr;
    if (packed_with(packed, put.fields, packed_)) {
      fresh = Entry::create(heap_, put.key, Kind::kPackedHash, packed_.size());
      std::memcpy(fresh->value_data(), packed_.data(), packed_.size());
    } else {
      HashTable* hash = table_from_packed(packed);
      for (const FieldValue& field : put.fields) put_member(*hash, field);
      fresh = Entry::create(heap_, put.key, Kind::kTableHash, Entry::kBoxBytes);
      fresh->set_box(hash);
    }
    fresh->set_form(form);
    place(put.database, at, fresh);
  }
  touched(put.database, put.key, at.where.hash);
}

void Keyspace::apply(const HashErase& erase, Lookup* hint) {
  Lookup own;
  Lookup& at = located(erase.database, erase.key, hint, own);
  Entry* old = at.entry();
  HF_CHECK(old != nullptr);
  if (old->kind() == Kind::kTableHash) {
    preserve(erase.database, at);
    HashTable& hash = *static_cast<HashTable*>(old->box());
    entry_bytes_[erase.database] -= hash.memory_bytes();
    for (const std::string_view field : erase.fields) erase_member(hash, field);
    // Gives back the memory of emptied segments as it goes: a look at a few costs less than the
    // erasing did.
    hash.table.merge_slice(1 + erase.fields.size() / 16);
    entry_bytes_[erase.database] += hash.memory_bytes();
    if (hash.table.empty()) remove(erase.database, at);
  } else {
    packed_without(old->value(), erase.fields, packed_);
    if (packed_count(packed_) == 0) {
      remove(erase.database, at);
    } else {
      Entry* fresh = Entry::create(heap_, erase.key, Kind::kPackedHash, packed_.size());
      std::memcpy(fresh->value_data(), packed_.data(), packed_.size());
      fresh->set_form(old->form());
      place(erase.database, at, fresh);
    }
  }
  touched(erase.database, erase.key, at.where.hash);
}

void Keyspace::begin_snapshot(SnapshotSink& sink) {
  HF_CHECK(snapshot_ == nullptr);
  colour_ = !colour_;
  std::vector<Table*> tables;
  for (DatabaseIndex database = 0; database < databases_.size(); ++database) {
    origins_[database] = database;
    tables.push_back(databases_[database].get());
  }
  snapshot_ = std::make_unique<Snapshot>(sink, colour_, tables);
}

bool Keyspace::snapshot_slice(std::size_t units) {
  HF_CHECK(snapshot_ != nullptr);
  if (snapshot_->advance(units)) return true;
  snapshot_.reset();
  return false;
}

void Keyspace::abandon_snapshot() {
  if (snapshot_ != nullptr) snapshot_->abandon();
}

UnixMs Keyspace::next_due() const {
  UnixMs earliest = std::numeric_limits<UnixMs>::max();
  for (const auto& table : databases_) earliest = std::min(earliest, table->next_due());
  return earliest;
}

bool Keyspace::compact_slice(std::size_t budget) {
  for (std::size_t tried = 0; tried < databases_.size(); ++tried) {
    Table& table = *databases_[compact_next_];
    compact_next_ = (compact_next_ + 1) % databases_.size();
    if (table.merge_slice(budget)) return true;
  }
  return false;
}

}  // namespace holdfast::keyspace
