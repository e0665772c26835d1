// ReplicaWatch follows one member's log from outside, in one life of its process, and tells the
// Checker what happens to it: what is appended, cut off, committed, and who becomes primary. It
// keeps the entries, so that what was committed can be read by whoever judges its content.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "replication/core/replica.hpp"
#include "replication/log/entry.hpp"
#include "tests/sim/checker.hpp"

namespace holdfast::sim {

// Of all its content.
std::uint64_t hash_of(const Rope& payload, log::EntryKind kind, UnixMs time);

// What a world wants to hear of its members.
struct MemberEvents {
  // Whether a majority's data may have been lost, so that a generation may begin.
  std::function<bool()> may_lose_data;
  std::function<void(std::size_t node)> on_primary;
  // A member sees this entry committed, the first one of all; `is_last`: of those that it sees
  // committed at once.
  std::function<void(const log::Entry& entry, bool is_last)> on_committed;
  // How far all data still holds what it held, after a loss.
  std::function<void(LogIndex kept)> on_loss;
};

class ReplicaWatch {
 public:
  ReplicaWatch(Checker& checker, const MemberEvents& events, std::size_t node)
      : checker_(checker), events_(events), node_(node) {}

  // The log is empty behind this entry; all up to it is committed.
  void reset(LogIndex index, Term term);
  // As found on its disk at the start.
  void recover(const log::Entry& entry);
  void truncate(LogIndex from);
  void append(const log::Entry& entry);
  // Which snapshot is in force now.
  void installed(LogIndex index) { committed_ = index; }

  // After each step: commitment, roles, generations.
  void look_at(const core::Replica& replica);

  LogIndex committed() const { return committed_; }
  LogIndex last_index() const { return {first_.value + log_.size() - 1}; }
  const EntryFact* fact(LogIndex index) const {
    const Known* known = find(index);
    return known == nullptr ? nullptr : &known->fact;
  }

 private:
  struct Known {
    EntryFact fact;
    log::Entry entry;
  };
  const Known* find(LogIndex index) const {
    if (index < first_ || index.value - first_.value >= log_.size()) return nullptr;
    return &log_[index.value - first_.value];
  }
  void check_committed(LogIndex commit);
  void check_primary(const core::Replica& replica);
  void check_generation(const core::Replica& replica);

  Checker& checker_;
  const MemberEvents& events_;
  std::size_t node_;
  LogIndex first_{1};  // of log_
  Term before_first_;
  std::deque<Known> log_;
  LogIndex committed_;
  Term primary_term_;  // in which it was seen as primary
  bool knows_generation_ = false;
  std::uint64_t generation_ = 0;
};

}  // namespace holdfast::sim
