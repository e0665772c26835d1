// Loader applies to an empty keyspace what recovery reads, in slices: the mutations of a snapshot,
// then the entries behind it. It holds the few blocks that were read ahead. Bad content is an
// error that ends loading: the files were intact (their checksums said so), so it comes from a
// newer version, or from a bug.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "replication/log/storage.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/mutation_codec.hpp"

namespace holdfast::node {

class Loader {
 public:
  explicit Loader(keyspace::Keyspace& keyspace)
      : keyspace_(keyspace), limits_(keyspace::limits_of(keyspace)) {}

  void add(log::LoadedBlock block) { blocks_.push_back(std::move(block)); }
  std::size_t blocks_waiting() const { return blocks_.size(); }

  // Applies about `units` mutations. True: there is more at hand.
  bool slice(std::size_t units);

  // Not empty: why loading cannot go on.
  const std::string& error() const { return error_; }
  std::uint64_t bytes_loaded() const { return bytes_loaded_; }
  // Of the entries behind the snapshot.
  std::uint64_t log_bytes() const { return log_bytes_; }
  // Of the last entry applied; 0: none behind the snapshot.
  LogIndex last_index() const { return last_index_; }

 private:
  bool next_rope();

  keyspace::Keyspace& keyspace_;
  keyspace::MutationLimits limits_;
  std::deque<log::LoadedBlock> blocks_;
  std::size_t next_entry_ = 0;  // of the first block
  bool snapshot_done_ = false;  // of the first block
  Rope rope_;                   // being applied
  std::optional<keyspace::MutationDecoder> decoder_;
  std::uint64_t bytes_loaded_ = 0;
  std::uint64_t log_bytes_ = 0;
  LogIndex last_index_;
  std::string error_;
};

}  // namespace holdfast::node
