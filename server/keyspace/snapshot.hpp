// Snapshot walks a keyspace in slices while it goes on changing, and tells a sink its content as it
// was when the walk began.
//
// Every entry has a colour bit. The walk begins by turning the keyspace's colour: what is there has
// the old colour, what is made later the new one. The walk tells each entry of the old colour and
// turns it; a change of one that it has not reached tells it first (Keyspace calls `preserve`). A
// large hash is told member by member in the same way, under the name that it had at the beginning,
// whatever happens to its key meanwhile; `Table::set_wanted` keeps the retire ring from freeing
// what is still to be told.
//
// Records are mutations: applied to an empty keyspace in the order told they give the content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/keyspace/hash_value.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::keyspace {

// Views are valid during the call only; chunks may be shared beyond it.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  virtual void record(const Put& put) = 0;
  virtual void record(const HashPut& put) = 0;
  virtual void record(const Expire& expire) = 0;
};

class Snapshot {
 public:
  // `colour` is the new one. The tables are those of the databases 0, 1, ...; each must stay alive
  // while it is wanted.
  Snapshot(SnapshotSink& sink, bool colour, const std::vector<Table*>& tables);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  // Tells about `units` entries (large ones count for more). True: there is more to tell.
  bool advance(std::size_t units);
  // From now on nothing is told; `advance` only turns what is left.
  void abandon() { sink_ = nullptr; }
  std::size_t entries_told() const { return entries_told_; }

  // Before `entry`, which has the old colour, changes or goes; `origin` is the database that its
  // table was at the beginning.
  void preserve(DatabaseIndex origin, Entry& entry, UnixMs expire_at);
  // The same for a member of a large hash.
  void preserve_member(const HashTable& hash, Entry& member);

 private:
  struct Origin {
    Table* table;
    DatabaseIndex database;
    std::uint64_t cursor = 0;
  };
  // A large hash that is being told.
  struct OpenHash {
    HashTable* hash;
    DatabaseIndex database;
    std::string key;
    UnixMs expire_at;
    bool shown_as_table;
    std::uint64_t cursor = 0;
  };

  std::size_t walk_table(Origin& origin, std::size_t units);
  std::size_t walk_hash(OpenHash& open, std::size_t units);
  void close_hash(OpenHash& open);
  void tell(DatabaseIndex database, const Entry& entry, UnixMs expire_at);
  void open_hash(DatabaseIndex database, const Entry& entry, UnixMs expire_at);

  SnapshotSink* sink_;
  bool colour_;
  std::vector<Origin> origins_;  // the last is under way
  std::vector<std::unique_ptr<OpenHash>> open_hashes_;
  std::vector<FieldValue> fields_;  // scratch
  std::size_t entries_told_ = 0;
};

}  // namespace holdfast::keyspace
