#include "server/keyspace/retire_ring.hpp"

#include <algorithm>
#include <limits>

namespace holdfast::keyspace {

namespace {
constexpr std::size_t kTableStepEntries = 64;
constexpr std::size_t kChunkStep = 4;
}  // namespace

// No snapshot outlives the keyspace.
RetireRing::~RetireRing() {
  while (free_slice(LogIndex{std::numeric_limits<std::uint64_t>::max()}, 1'000'000)) {
  }
}

void RetireRing::free_entry(Entry* entry, bool with_box) {
  if (with_box && entry->kind() == Kind::kChunkedString) {
    chunks_.emplace_back(static_cast<Chunked*>(entry->box()));
  } else if (with_box && entry->kind() == Kind::kTableHash) {
    auto* hash = static_cast<HashTable*>(entry->box());
    (hash->table.wanted() ? wanted_hashes_ : hashes_).emplace_back(hash);
  }
  Entry::destroy(heap_, entry);
}

void RetireRing::take_unwanted() {
  std::erase_if(wanted_hashes_, [this](auto& hash) {
    if (hash->table.wanted()) return false;
    hashes_.push_back(std::move(hash));
    return true;
  });
  std::erase_if(wanted_tables_, [this](auto& table) {
    if (table->wanted()) return false;
    tables_.push_back(std::move(table));
    return true;
  });
}

bool RetireRing::free_slice(LogIndex committed, std::size_t units) {
  if (!wanted_hashes_.empty() || !wanted_tables_.empty()) take_unwanted();
  const auto visit = [this](Entry* entry) { free_entry(entry, true); };
  while (units > 0) {
    if (!chunks_.empty()) {
      if (chunks_.back()->drop_chunks(kChunkStep)) chunks_.pop_back();
      units -= std::min<std::size_t>(units, 4 * kChunkStep);
    } else if (!hashes_.empty()) {
      // The visitor may add to chunks_, never to hashes_: members are strings.
      if (hashes_.back()->table.drain(kTableStepEntries, visit)) hashes_.pop_back();
      units -= std::min(units, kTableStepEntries);
    } else if (!ring_.empty() && (released_count_ > 0 || ring_.front().index <= committed)) {
      if (released_count_ > 0) --released_count_;
      Retired retired = std::move(ring_.front());
      ring_.pop_front();
      if (retired.table != nullptr) {
        auto& waiting = retired.table->wanted() ? wanted_tables_ : tables_;
        waiting.push_back(std::move(retired.table));
      } else {
        free_entry(retired.entry, retired.with_box);
      }
      --units;
    } else if (!tables_.empty()) {
      if (tables_.back()->drain(kTableStepEntries, visit)) tables_.pop_back();
      units -= std::min(units, kTableStepEntries);
    } else {
      return false;
    }
  }
  return !chunks_.empty() || !hashes_.empty() || !tables_.empty() ||
         (!ring_.empty() && (released_count_ > 0 || ring_.front().index <= committed));
}

}  // namespace holdfast::keyspace
