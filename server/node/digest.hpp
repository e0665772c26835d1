// Digest is a hash over the logical content of a keyspace at one log index: members at the same
// index have the same one. It is the sum of the hashes of what a snapshot tells, so the order,
// which differs between members, does not matter.
//
// It walks in slices, by the same walk as a snapshot; only one of them is under way at a time. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.hpp"
#include "base/rope.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/snapshot.hpp"

namespace holdfast::node {

class Digest : public keyspace::SnapshotSink {
 public:
  // The content as it is now, at `index`. REQUIRES: no walk is under way.
  void begin(keyspace::Keyspace& keyspace, LogIndex index);
  bool is_running() const { return is_running_; }
  // True: there is more to do. When it is not running any more, `json` has the outcome.
  bool slice(keyspace::Keyspace& keyspace, std::size_t units);
  // The data is replaced: what was begun is void.
  void cancel() { is_running_ = false; }
  std::string json() const;
  // Of the outcome:
  std::string text() const;  // 16 hex digits
  std::uint64_t keys() const { return keys_; }

  void record(const keyspace::Put& put) override;
  void record(const keyspace::HashPut& put) override;
  void record(const keyspace::Expire& expire) override;

 private:
  template <typename Mutation>
  void add(const Mutation& mutation);

  bool is_running_ = false;
  LogIndex index_;
  std::uint64_t sum_ = 0;
  std::uint64_t keys_ = 0;
  RopeArena arena_;
};

}  // namespace holdfast::node
