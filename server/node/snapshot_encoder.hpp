// SnapshotEncoder turns what a keyspace snapshot tells into blocks of mutations for storage.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rope.hpp"
#include "replication/log/storage.hpp"
#include "server/keyspace/mutation_codec.hpp"
#include "server/keyspace/snapshot.hpp"

namespace holdfast::node {

class SnapshotEncoder : public keyspace::SnapshotSink {
 public:
  // Blocks of about this size pack well.
  static constexpr std::size_t kBlockBytes = 256 * 1024;

  void record(const keyspace::Put& put) override { add(put); }
  void record(const keyspace::HashPut& put) override { add(put); }
  void record(const keyspace::Expire& expire) override { add(expire); }

  // Closes the block that is open, whatever its size.
  void finish() {
    if (!arena_.empty()) close();
  }
  std::vector<log::SnapshotBlockRequest> take_blocks() { return std::exchange(blocks_, {}); }
  std::size_t open_bytes() const { return arena_.size(); }

 private:
  template <typename Mutation>
  void add(const Mutation& mutation) {
    keyspace::encode(mutation, arena_);
    ++records_;
    if (arena_.size() >= kBlockBytes) close();
  }
  void close() { blocks_.push_back({arena_.take(), std::exchange(records_, 0)}); }

  RopeArena arena_;
  std::uint64_t records_ = 0;
  std::vector<log::SnapshotBlockRequest> blocks_;
};

}  // namespace holdfast::node
