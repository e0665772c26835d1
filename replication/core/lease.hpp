// The two sides of a lease (Gray and Cheriton 1989): the promise of a voter, and what the primary
// makes of a majority's promises.
//
// A voter that answers heartbeat round r promises, from a time sampled after reading it, to vote
// for nobody for the length that the heartbeat names. The primary counts from a time sampled before
// sending it, less the drift bound, so its lease ends before any of the promises does. No clock is
// compared with another; only rates matter.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "replication/core/time.hpp"

namespace holdfast::core {

// Promise is the voter's. Until it ends the voter grants nothing, to itself neither.
class Promise {
 public:
  // What a process before this one may have promised, and cannot be released by anyone.
  void not_before(MonoTime time) { floor_ = std::max(floor_, time); }
  void give(Term term, std::uint64_t round, MonoTime now, Duration lease) {
    until_ = std::max(until_, now + lease);
    round_ = term == term_ ? std::max(round_, round) : round;
    term_ = term;
  }
  // Frees it if it was given for `round` of `term` or an earlier one: a release that comes late
  // must not free what was promised since.
  void release(Term term, std::uint64_t round, bool any_round = false) {
    if (term == term_ && (round_ <= round || any_round)) until_ = kLongAgo;
  }
  MonoTime until() const { return std::max(until_, floor_); }
  bool holds(MonoTime now) const { return now < until(); }

 private:
  MonoTime floor_ = kLongAgo;
  MonoTime until_ = kLongAgo;
  Term term_;
  std::uint64_t round_ = 0;
};

// PrimaryLease numbers heartbeat rounds and judges the answers. Slots are positions in the list of
// members. Invariant: `until` never counts a round at or before the last give_up.
class PrimaryLease {
 public:
  PrimaryLease(std::size_t members, std::size_t self, Duration lease, std::int64_t drift_ppm);

  // A new term as primary.
  void begin();
  // The number of the round that is about to be sent.
  std::uint64_t start_round(MonoTime now);
  std::uint64_t last_round() const { return round_; }
  void on_answer(std::size_t slot, std::uint64_t round);
  // Whether what the member promises counts: one that may not vote binds nobody.
  void set_counts(std::size_t slot, bool counts);

  // No promise that was asked for so far counts any more, nor is asked for until `resume`.
  void give_up();
  void resume();
  bool is_given_up() const { return given_up_; }

  // The lease holds before this time.
  MonoTime until() const { return until_; }
  // The latest round that a majority answered.
  std::uint64_t majority_round() const { return majority_round_; }

 private:
  struct Slot {
    bool counts = false;
    std::uint64_t round = 0;
    MonoTime from = kLongAgo;  // start of the latest answered round that counts for the lease
  };
  struct Round {
    std::uint64_t number = 0;
    MonoTime start;
  };
  void judge();

  std::size_t self_;
  std::size_t quorum_;
  Duration length_;
  std::vector<Slot> slots_;
  std::deque<Round> rounds_;
  std::uint64_t round_ = 0;
  std::uint64_t first_counting_ = 1;
  bool given_up_ = false;
  MonoTime until_ = kLongAgo;
  std::uint64_t majority_round_ = 0;
  std::vector<MonoTime> times_;         // of judge
  std::vector<std::uint64_t> numbers_;  // of judge
};

}  // namespace holdfast::core
