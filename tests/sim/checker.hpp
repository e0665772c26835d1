// Checker watches a whole cluster from outside of it and knows what no member knows: what has ever
// been committed, acknowledged and read. The first broken promise is kept as `failure`.
//
//   one primary a term; equal (index, term), equal entry and equal predecessor; an index, once
//   committed anywhere, never gets another entry, and every later primary has it; no two leases at
//   once; applied state at an index is the same everywhere; an acknowledged write is committed; a
//   read is never older than what was acknowledged or read before it began.
//
// Linearizability is exact here, without search: each read and write names its place in the log.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"

namespace holdfast::sim {

struct EntryFact {
  Term term;
  std::uint64_t hash = 0;  // of all its content
  friend bool operator==(const EntryFact&, const EntryFact&) = default;
};

// Of the state after applying an entry to a state.
std::uint64_t next_digest(std::uint64_t digest, std::uint64_t entry_hash);

class Checker {
 public:
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  void fail(std::string text) {
    if (failure_.empty()) failure_ = std::move(text);
  }

  // failover: unilateral. Both members may commit while they do not hear each other, and one side's
  // is lost: what is committed last is kept then, whoever did. All else holds.
  void allow_loss_of_committed() { may_lose_committed_ = true; }
  bool may_lose_committed() const { return may_lose_committed_; }

  void on_appended(std::size_t node, LogIndex index, const EntryFact& entry, Term previous);
  void on_committed(std::size_t node, LogIndex index, const EntryFact& entry);
  // Whether no newer one is known: then it must have all that is committed.
  bool on_primary(std::size_t node, Term term);
  // Applied state, once its index is committed.
  void on_state(std::size_t node, LogIndex index, std::uint64_t digest);
  // Applied state, committed or not: the log up to an entry is the same wherever its index and term
  // are, and so is the data.
  void on_data(std::size_t node, LogIndex index, Term term, std::uint64_t digest);
  // What a member that is asked tells of a marker (HOLDFAST MARK).
  void on_marked(std::size_t node, LogIndex index, Term term, const std::string& digest);
  // Where it may be lost, an entry that nobody has any more may come anew, as another one: a term
  // whose only member has lost its disk is known to nobody.
  void forget_unless(const std::function<bool(LogIndex index, Term term)>& is_held);
  void on_acknowledged(LogIndex index, std::uint64_t entry_hash);
  // The same, by whoever has judged it himself.
  void note_acknowledged() { ++acknowledged_count_; }
  void note_read() { ++read_count_; }

  // The newest that anybody has been shown, and how many generations had lost something by then.
  struct Shown {
    LogIndex index;
    std::size_t losses = 0;
  };
  Shown shown() const { return {shown_, kept_.size()}; }
  void on_read(std::size_t node, LogIndex version, Shown when_asked);

  // The log of a member that begins a new generation, from the first index on that is known there.
  // Gives the last index at which nothing was lost.
  LogIndex on_generation(std::size_t node, bool may_lose, LogIndex first,
                         const std::vector<EntryFact>& log);

  Term newest_term() const { return primaries_.empty() ? Term{} : primaries_.rbegin()->first; }
  LogIndex committed_last() const { return {committed_.size()}; }
  const EntryFact* committed(LogIndex index) const {
    return index.value >= 1 && index.value <= committed_.size() ? &committed_[index.value - 1]
                                                                : nullptr;
  }
  std::uint64_t digest_at(LogIndex index) const {
    return index.value == 0 ? 0 : digests_[index.value - 1];
  }
  std::uint64_t acknowledged_count() const { return acknowledged_count_; }
  std::uint64_t read_count() const { return read_count_; }
  std::uint64_t election_count() const { return primaries_.size(); }

 private:
  struct Appended {
    std::uint64_t hash = 0;
    Term previous;
  };
  std::string failure_;
  bool may_lose_committed_ = false;
  std::map<std::pair<LogIndex, Term>, Appended> appended_;
  std::vector<EntryFact> committed_;
  std::vector<std::uint64_t> digests_;
  std::map<std::pair<LogIndex, Term>, std::uint64_t> data_;
  std::map<std::pair<LogIndex, Term>, std::string> marked_;
  std::map<Term, std::size_t> primaries_;
  LogIndex shown_;
  std::vector<LogIndex> kept_;  // by each generation that lost something
  std::uint64_t acknowledged_count_ = 0;
  std::uint64_t read_count_ = 0;
};

}  // namespace holdfast::sim
