#include "server/keyspace/snapshot.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace holdfast::keyspace {

namespace {

constexpr std::size_t kStepEntries = 32;
constexpr std::size_t kBytesPerUnit = 1024;

std::size_t units_of(std::size_t byte_count) {
  return 1 + byte_count / kBytesPerUnit;
}

}  // namespace

Snapshot::Snapshot(SnapshotSink& sink, bool colour, const std::vector<Table*>& tables)
    : sink_(&sink), colour_(colour) {
  for (std::size_t i = tables.size(); i-- > 0;) {
    if (tables[i]->empty()) continue;
    tables[i]->set_wanted(true);
    origins_.push_back({tables[i], static_cast<DatabaseIndex>(i)});
  }
}

Snapshot::~Snapshot() {
  for (const auto& open : open_hashes_) {
    open->hash->table.set_wanted(false);
    open->hash->told_as = nullptr;
  }
  for (const Origin& origin : origins_) origin.table->set_wanted(false);
}

bool Snapshot::advance(std::size_t units) {
  while (units > 0) {
    std::size_t used = 0;
    if (!open_hashes_.empty()) {
      used = walk_hash(*open_hashes_.back(), units);
    } else if (!origins_.empty()) {
      used = walk_table(origins_.back(), units);
    } else {
      return false;
    }
    units -= std::min(units, used);
  }
  return !open_hashes_.empty() || !origins_.empty();
}

std::size_t Snapshot::walk_table(Origin& origin, std::size_t units) {
  std::size_t used = 1;
  origin.cursor = origin.table->scan(origin.cursor, std::min(units, kStepEntries),
                                     [&](Entry* entry, UnixMs expire_at) {
                                       if (entry->colour() == colour_) return;
                                       used += units_of(entry->size_bytes());
                                       preserve(origin.database, *entry, expire_at);
                                     });
  if (origin.cursor == 0) {
    origin.table->set_wanted(false);
    origins_.pop_back();
  }
  return used;
}

void Snapshot::preserve(DatabaseIndex origin, Entry& entry, UnixMs expire_at) {
  entry.set_colour(colour_);
  ++entries_told_;
  if (entry.kind() == Kind::kTableHash) {
    open_hash(origin, entry, expire_at);
  } else if (sink_ != nullptr) {
    tell(origin, entry, expire_at);
  }
}

void Snapshot::tell(DatabaseIndex database, const Entry& entry, UnixMs expire_at) {
  if (entry.kind() == Kind::kPackedHash) {
    fields_.clear();
    packed_for_each(entry.value(), [this](std::string_view field, ValueView value) {
      fields_.push_back({field, value});
    });
    sink_->record(HashPut{database, entry.key(), fields_, entry.form() != 0});
    if (expire_at != kNoExpiry) sink_->record(Expire{database, entry.key(), expire_at});
    return;
  }
  sink_->record(Put{database, entry.key(), string_value(entry),
                    expire_at == kNoExpiry ? TtlChange::kClear : TtlChange::kSet,
                    expire_at == kNoExpiry ? 0 : expire_at, static_cast<StringForm>(entry.form())});
}

void Snapshot::open_hash(DatabaseIndex database, const Entry& entry, UnixMs expire_at) {
  auto* hash = static_cast<HashTable*>(entry.box());
  HF_CHECK(hash->told_as == nullptr);
  open_hashes_.push_back(std::make_unique<OpenHash>(
      OpenHash{hash, database, std::string(entry.key()), expire_at, entry.form() != 0}));
  hash->told_as = open_hashes_.back().get();
  hash->table.set_wanted(true);
}

std::size_t Snapshot::walk_hash(OpenHash& open, std::size_t units) {
  std::size_t used = 1;
  fields_.clear();
  open.cursor =
      open.hash->table.scan(open.cursor, std::min(units, kStepEntries), [&](Entry* member, UnixMs) {
        if (member->colour() == colour_) return;
        member->set_colour(colour_);
        used += units_of(member->size_bytes());
        fields_.push_back({member->key(), string_value(*member)});
      });
  if (!fields_.empty() && sink_ != nullptr)
    sink_->record(HashPut{open.database, open.key, fields_, open.shown_as_table});
  if (open.cursor == 0) close_hash(open);
  return used;
}

void Snapshot::close_hash(OpenHash& open) {
  // Only now: an expiry time needs a key, and the first member was told by now.
  if (open.expire_at != kNoExpiry && sink_ != nullptr)
    sink_->record(Expire{open.database, open.key, open.expire_at});
  open.hash->table.set_wanted(false);
  open.hash->told_as = nullptr;
  HF_CHECK(open_hashes_.back().get() == &open);
  open_hashes_.pop_back();
}

void Snapshot::preserve_member(const HashTable& hash, Entry& member) {
  const auto* open = static_cast<const OpenHash*>(hash.told_as);
  HF_CHECK(open != nullptr);
  member.set_colour(colour_);
  if (sink_ == nullptr) return;
  const FieldValue field{member.key(), string_value(member)};
  sink_->record(HashPut{open->database, open->key, {&field, 1}, open->shown_as_table});
}

}  // namespace holdfast::keyspace
