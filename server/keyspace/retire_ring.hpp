// RetireRing keeps what mutations displaced (entries, whole tables) until the log index that
// displaced them is committed, and then frees it in slices, so that neither a DEL of a million
// fields nor a FLUSHALL costs more than its share of a turn.
//
// Retired bytes no longer count as used. Not thread-safe. Work is counted in units of about one
// small entry or one chunk.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/block_queue.hpp"
#include "base/chunked.hpp"
#include "base/ids.hpp"
#include "server/keyspace/entry.hpp"
#include "server/keyspace/hash_value.hpp"
#include "server/keyspace/table.hpp"

namespace holdfast::keyspace {

class RetireRing {
 public:
  explicit RetireRing(EntryHeap& heap) : heap_(heap) {}
  ~RetireRing();

  // With its box, or without when the box lives on in another entry.
  void retire(LogIndex index, Entry* entry) { ring_.push_back({index, entry, nullptr, true}); }
  void retire_bare(LogIndex index, Entry* entry) {
    ring_.push_back({index, entry, nullptr, false});
  }
  void retire(LogIndex index, std::unique_ptr<Table> table) {
    ring_.push_back({index, nullptr, std::move(table), true});
  }

  // Frees up to `units` of what was retired at or below `committed` and that no snapshot wants.
  // True if there is more to free.
  bool free_slice(LogIndex committed, std::size_t units);
  // What is there now waits for no commitment any more.
  void release_all() { released_count_ = ring_.size(); }
  bool empty() const {
    return ring_.empty() && tables_.empty() && hashes_.empty() && chunks_.empty() &&
           wanted_tables_.empty() && wanted_hashes_.empty();
  }

  // Large ones that are being freed count once.
  std::size_t count() const {
    return ring_.size() + tables_.size() + hashes_.size() + chunks_.size() + wanted_tables_.size() +
           wanted_hashes_.size();
  }

 private:
  struct Retired {
    LogIndex index;
    Entry* entry = nullptr;
    std::unique_ptr<Table> table;
    bool with_box = true;
  };

  void free_entry(Entry* entry, bool with_box);
  void take_unwanted();

  EntryHeap& heap_;
  BlockQueue<Retired> ring_;
  std::size_t released_count_ = 0;  // of the ring's oldest: see release_all
  // Committed, too large for one step, under way:
  std::vector<std::unique_ptr<Table>> tables_;
  std::vector<std::unique_ptr<HashTable>> hashes_;
  std::vector<std::unique_ptr<Chunked>> chunks_;
  // Committed, but a snapshot still reads them:
  std::vector<std::unique_ptr<Table>> wanted_tables_;
  std::vector<std::unique_ptr<HashTable>> wanted_hashes_;
};

}  // namespace holdfast::keyspace
