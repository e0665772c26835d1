// ReadQueue holds reads that may not trust the lease: each waits for a heartbeat round that was
// sent after it arrived and that a majority answered (Raft, section 6.4 of Ongaro's thesis).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "replication/core/effects.hpp"

namespace holdfast::core {

class ReadQueue {
 public:
  void add(std::uint64_t id) { waiting_.push_back({id, 0}); }
  bool wants_round() const { return !waiting_.empty() && waiting_.back().round == 0; }
  // What has no round yet gets this one, which is sent now.
  void assign(std::uint64_t round) {
    for (auto read = waiting_.rbegin(); read != waiting_.rend() && read->round == 0; ++read)
      read->round = round;
  }
  void allow_through(std::uint64_t majority_round, std::vector<ReadOutcome>& out) {
    while (!waiting_.empty() && waiting_.front().round != 0 &&
           waiting_.front().round <= majority_round) {
      out.push_back({waiting_.front().id, true});
      waiting_.pop_front();
    }
  }
  void refuse_all(std::vector<ReadOutcome>& out) {
    for (const Read& read : waiting_) out.push_back({read.id, false});
    waiting_.clear();
  }
  bool empty() const { return waiting_.empty(); }

 private:
  struct Read {
    std::uint64_t id = 0;
    std::uint64_t round = 0;  // 0: not sent yet
  };
  std::deque<Read> waiting_;
};

}  // namespace holdfast::core
