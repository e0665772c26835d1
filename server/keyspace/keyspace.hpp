// Keyspace is all data of a node: the databases, and the one function that changes them, `apply`.
//
// `find` is the probe; its Lookup may be handed to `apply`, which then does not probe again. What a
// mutation displaces goes to the retire ring under the log index set by `begin_entry`. `apply`
// never fails: whoever emits a mutation has checked what the mutation requires. Same mutations in
// the same order give the same content on every node; the layout may differ. Not thread-safe; sees
// no clock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "server/keyspace/entry_heap.hpp"
#include "server/keyspace/function_ref.hpp"
#include "server/keyspace/hash_value.hpp"
#include "server/keyspace/heap_compactor.hpp"
#include "server/keyspace/mutation.hpp"
#include "server/keyspace/retire_ring.hpp"
#include "server/keyspace/snapshot.hpp"
#include "server/keyspace/table.hpp"
#include "server/keyspace/write_marks.hpp"

namespace holdfast::keyspace {

// Is told once for each key that a mutation touched, after the change. WATCH today; wake-ups and
// events later.
class KeyObserver {
 public:
  virtual ~KeyObserver() = default;
  virtual void key_touched(DatabaseIndex database, std::string_view key) = 0;
  // Before the change: every key of the database is about to go, or to change places with another
  // database's. `holds` tells of a key whether it is there before or after.
  virtual void database_touched(DatabaseIndex database,
                                FunctionRef<bool(std::string_view)> holds) = 0;
};

// Is told of a Marker when it is applied: the data is as it is at `index` until it returns.
class MarkerObserver {
 public:
  virtual ~MarkerObserver() = default;
  virtual void marker_applied(LogIndex index) = 0;
};

// Where a key was found, or would be. Valid until the next apply that did not go through it.
struct Lookup {
  Locator where;
  UnixMs expire_at = kNoExpiry;

  Entry* entry() const { return where.entry; }
  explicit operator bool() const { return where.entry != nullptr; }
};

enum class ValueType : std::uint8_t { kString, kHash };
ValueType type_of(const Entry& entry);

class Keyspace {
 public:
  Keyspace(std::size_t database_count, std::uint64_t hash_seed);
  ~Keyspace();

  std::size_t database_count() const { return databases_.size(); }
  const Table& table(DatabaseIndex database) const { return *databases_[database]; }
  Table& table(DatabaseIndex database) { return *databases_[database]; }
  void set_observer(KeyObserver* observer) { observer_ = observer; }
  void set_marker_observer(MarkerObserver* observer) { marker_observer_ = observer; }

  Lookup find(DatabaseIndex database, std::string_view key) const;
  // On which entry a reply about the key depends on: `hash` is Lookup::where.hash.
  LogIndex last_write(std::uint64_t hash) const { return marks_.last_write(hash); }

  // Mutations that follow belong to this log entry.
  void begin_entry(LogIndex index) { index_ = index; }
  // The same; keys that they make are stamped with `access_clock` (see Entry), as if just looked
  // at.
  void begin_entry(LogIndex index, std::uint32_t access_clock) {
    index_ = index;
    access_clock_ = access_clock;
  }
  // All data goes, and entries above `index` never were: others may take their
  // places.
  void begin_anew(LogIndex index);
  void apply(const Put& put, Lookup* at = nullptr);
  void apply(const Delete& del, Lookup* at = nullptr);
  void apply(const Expire& expire, Lookup* at = nullptr);
  void apply(const Splice& splice, Lookup* at = nullptr);
  void apply(const Rename& rename);
  void apply(const Copy& copy);
  void apply(const Move& move);
  void apply(const SwapDatabases& swap);
  void apply(const Flush& flush);
  void apply(const HashPut& put, Lookup* at = nullptr);
  void apply(const HashErase& erase, Lookup* at = nullptr);
  void apply(const Marker&) {
    if (marker_observer_ != nullptr) marker_observer_->marker_applied(index_);
  }

  std::size_t retired_count() const { return retired_.count(); }
  // Bytes of entries, values and tables, by what the allocator sets aside for them; what is retired
  // does not count.
  std::size_t used_bytes() const;
  // Of one entry with its value, as MEMORY USAGE shows it.
  static std::size_t entry_bytes(const Entry& entry);

  // The earliest time at which collect_due may have work, over all databases.
  UnixMs next_due() const;
  bool free_slice(LogIndex committed, std::size_t units) {
    return retired_.free_slice(committed, units);
  }

  // A walk over the content as it is now, told to `sink` by slices (see Snapshot). One at a time.
  // REQUIRES: none is running. `sink` outlives it.
  void begin_snapshot(SnapshotSink& sink);
  bool snapshot_running() const { return snapshot_ != nullptr; }
  // Tells about `units` entries. True: there is more. REQUIRES: one is running.
  bool snapshot_slice(std::size_t units);
  // The sink hears nothing more and may go; the next snapshot begins when slices have turned what
  // is left.
  void abandon_snapshot();

  // Merges sparse segments after mass deletion. True if something was done.
  bool compact_slice(std::size_t budget);
  // Gives memory that many entries have left behind back to the system, in steps of about `units`
  // entries; not while a snapshot runs. True: there is more to do.
  bool return_memory_slice(std::size_t units) {
    return snapshot_ == nullptr && compactor_.slice(databases_, units);
  }
  // See EntryHeap.
  void set_return_to_system(EntryHeap::ReturnToSystem returns) {
    heap_.set_return_to_system(returns);
  }
  HeapCompactor& compactor() { return compactor_; }
  // What the heap of entries holds beyond what is in use: used_bytes() and this are about what the
  // keyspace has in RSS.
  std::size_t slack_bytes() const {
    return heap_.resident_bytes() - std::min(heap_.resident_bytes(), heap_.used_bytes());
  }
  // Bytes of all entries, retired ones included; not of what their boxes hold outside the heap.
  std::size_t heap_bytes() const { return heap_.used_bytes(); }

 private:
  Lookup& located(DatabaseIndex database, std::string_view key, Lookup* at, Lookup& own) const;
  Entry* make_string(std::string_view key, const ValueView& value, StringForm form);
  // Puts `fresh` in the looked-up place and retires what it displaces, whose expiry time and access
  // clock it takes over.
  void place(DatabaseIndex database, Lookup& at, Entry* fresh);
  // Retires the located entry with its box, or without when the box lives on in another entry.
  // `at` says "absent" afterwards, but not where.
  enum class Box { kRetire, kKeep };
  void remove(DatabaseIndex database, Lookup& at, Box box = Box::kRetire);
  // The value goes along, box included, under the new key.
  void move_entry(Lookup& from, DatabaseIndex from_database, DatabaseIndex to_database,
                  std::string_view key);
  // Before the located entry, if there is one, changes or goes.
  void preserve(DatabaseIndex database, const Lookup& at) {
    if (snapshot_ != nullptr && at && at.entry()->colour() != colour_) [[unlikely]]
      snapshot_->preserve(origins_[database], *at.entry(), at.expire_at);
  }
  void preserve_member(const HashTable& hash, Entry& member) {
    if (snapshot_ != nullptr && member.colour() != colour_) [[unlikely]]
      snapshot_->preserve_member(hash, member);
  }
  void touched(DatabaseIndex database, std::string_view key, std::uint64_t hash) {
    marks_.note(hash, index_);
    if (observer_ != nullptr) observer_->key_touched(database, key);
  }
  HashTable* table_from_packed(std::string_view packed);
  void put_member(HashTable& hash, const FieldValue& field);
  void erase_member(HashTable& hash, std::string_view field);
  std::unique_ptr<Table> make_table();

  EntryHeap heap_;
  std::uint64_t seed_;
  RetireRing retired_;
  std::vector<std::size_t> entry_bytes_;  // entries and values, by database
  std::vector<std::unique_ptr<Table>> databases_;
  std::string packed_;  // scratch for the next packed hash
  std::unique_ptr<Snapshot> snapshot_;
  bool colour_ = false;                 // of new entries
  std::vector<DatabaseIndex> origins_;  // which database a table was when the snapshot began
  LogIndex index_;
  WriteMarks marks_;
  std::uint32_t access_clock_ = 0;
  KeyObserver* observer_ = nullptr;
  MarkerObserver* marker_observer_ = nullptr;
  std::size_t compact_next_ = 0;
  HeapCompactor compactor_{heap_};
};

}  // namespace holdfast::keyspace
