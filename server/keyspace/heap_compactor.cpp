#include "server/keyspace/heap_compactor.hpp"

#include <algorithm>

#include "server/keyspace/hash_value.hpp"

namespace holdfast::keyspace {

namespace {

constexpr std::size_t kGainShare = 8;
constexpr std::size_t kMarkedPerUnit = 2;    // pages
constexpr std::size_t kUnitsPerReturn = 64;  // of a page: the system clears its page tables

}  // namespace

bool HeapCompactor::slice(const Databases& databases, std::size_t units) {
  const std::size_t returned = heap_.return_pages(1 + units / kUnitsPerReturn);
  units -= std::min(units, returned * kUnitsPerReturn);
  switch (phase_) {
    case Phase::kIdle:
      if (!is_worth_it()) return returned > 0;
      phase_ = Phase::kMarking;
      break;
    case Phase::kMarking:
      if (heap_.mark_for_evacuation(1 + units * kMarkedPerUnit)) break;
      database_ = 0;
      phase_ = Phase::kWalking;
      break;
    case Phase::kWalking:
      walk(databases, units);
      break;
    case Phase::kEnding:
      if (heap_.end_evacuation(1 + units * kMarkedPerUnit)) break;
      used_at_last_end_ = heap_.used_bytes();
      phase_ = Phase::kIdle;
      break;
  }
  return true;
}

bool HeapCompactor::is_worth_it() const {
  if (heap_.used_bytes() == used_at_last_end_) return false;
  if (gain_min_bytes_ == 0) return true;
  const std::size_t gain_bytes = heap_.evacuation_gain_pages() * EntryHeap::kPageBytes;
  return gain_bytes >= gain_min_bytes_ && gain_bytes >= heap_.resident_bytes() / kGainShare;
}

void HeapCompactor::walk(const Databases& databases, std::size_t units) {
  while (units > 0 && phase_ == Phase::kWalking) {
    Table& table = *databases[database_];
    const std::size_t count = std::min<std::size_t>(units, 64);
    units -= count;
    if (!hashes_.empty()) {
      const Locator where = table.find(hashes_.back());
      if (where.entry != nullptr && where.entry->kind() == Kind::kTableHash) {
        Table& members = static_cast<HashTable*>(where.entry->box())->table;
        hash_cursor_ =
            members.relocate(hash_cursor_, count, [this](Entry* entry) { return moved(entry); });
        if (hash_cursor_ != 0) continue;
      }
      hashes_.pop_back();
      hash_cursor_ = 0;
      continue;
    }
    if (walked_) {
      walked_ = false;
      if (++database_ == databases.size()) phase_ = Phase::kEnding;
      continue;
    }
    cursor_ = table.relocate(cursor_, count, [this](Entry* entry) {
      if (entry->kind() == Kind::kTableHash) hashes_.emplace_back(entry->key());
      return moved(entry);
    });
    walked_ = cursor_ == 0;
  }
}

Entry* HeapCompactor::moved(Entry* entry) {
  if (!heap_.must_move(entry, entry->size_bytes())) return entry;
  Entry* place = Entry::clone(heap_, *entry);
  Entry::destroy(heap_, entry);
  return place;
}

}  // namespace holdfast::keyspace
