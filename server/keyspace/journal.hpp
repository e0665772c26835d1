// Journal is the one way from a decision to the data: it opens a log entry, applies and encodes the
// mutations that belong to it, and closes it. A command, a whole MULTI, a batch of expired keys are
// one entry each.
//
// It counts the entries (`last_index`); who keeps the log takes them out of `closed`, in order.
// While nobody keeps one (recording off) mutations are applied and counted but not encoded.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.hpp"
#include "base/ids.hpp"
#include "base/rope.hpp"
#include "base/time.hpp"
#include "server/keyspace/keyspace.hpp"
#include "server/keyspace/mutation_codec.hpp"

namespace holdfast::keyspace {

struct ClosedEntry {
  LogIndex index;
  UnixMs time = 0;
  Rope mutations;
};

class Journal {
 public:
  explicit Journal(Keyspace& keyspace) : keyspace_(keyspace) {}

  // REQUIRES: no entry is open.
  void set_recording(bool recording) {
    HF_CHECK(!open_);
    recording_ = recording;
  }
  bool recording() const { return recording_; }

  // Opens an entry if none is open. `time` is command time; the access clock is that of Entry.
  template <typename Mutation>
  void emit(const Mutation& mutation, UnixMs time, std::uint32_t access_clock, Lookup* at) {
    begin(time, access_clock);
    if (recording_) encode(mutation, arena_);
    keyspace_.apply(mutation, at);
  }
  template <typename Mutation>
  void emit(const Mutation& mutation, UnixMs time, std::uint32_t access_clock) {
    begin(time, access_clock);
    if (recording_) encode(mutation, arena_);
    keyspace_.apply(mutation);
  }
  // Ends the open entry, if there is one.
  void close() {
    if (!open_) return;
    open_ = false;
    if (!recording_) return;
    closed_bytes_ += arena_.size();
    closed_.push_back({last_index_, time_, arena_.take()});
  }
  bool is_open() const { return open_; }

  // Of the newest entry, open or closed; 0 before the first.
  LogIndex last_index() const { return last_index_; }
  // Mutations since the start, for "changes since the last snapshot".
  std::uint64_t mutation_count() const { return mutation_count_; }

  bool has_closed() const { return !closed_.empty(); }
  std::size_t closed_bytes() const { return closed_bytes_; }
  // Since the last drop_closed; their mutations may be moved from.
  std::span<ClosedEntry> closed() { return closed_; }
  void drop_closed() {
    closed_bytes_ = 0;
    closed_.clear();
    if (closed_.capacity() > kKeptEntries) closed_ = {};
  }

  // What follows is at `index`: after recovery, before the first entry of one's own.
  void continue_from(LogIndex index) {
    HF_CHECK(!open_ && closed_.empty());
    last_index_ = index;
  }
  // The entry at `index`, with so many mutations, was made elsewhere and has been applied.
  void follow(LogIndex index, std::size_t mutation_count) {
    continue_from(index);
    mutation_count_ += mutation_count;
  }

 private:
  static constexpr std::size_t kKeptEntries = 16 * 1024;  // room for them stays

  void begin(UnixMs time, std::uint32_t access_clock) {
    ++mutation_count_;
    if (open_) return;
    open_ = true;
    time_ = time;
    ++last_index_.value;
    keyspace_.begin_entry(last_index_, access_clock);
  }

  Keyspace& keyspace_;
  RopeArena arena_;
  bool recording_ = false;
  bool open_ = false;
  UnixMs time_ = 0;
  LogIndex last_index_;
  std::uint64_t mutation_count_ = 0;
  std::vector<ClosedEntry> closed_;
  std::size_t closed_bytes_ = 0;
};

}  // namespace holdfast::keyspace
