// TimingWheel tells which of its nodes are due (hierarchical wheel: Varghese and Lauck 1987; layout
// as in Kafka and Tokio).
//
// Resolution 1 ms; eleven levels of 64 slots cover every UnixMs from 0 on, so no time is ever
// clamped. A node stands at the level of the highest six-bit digit in which its time differs from
// the wheel's, and steps down as time approaches: at most once per level, one node a step, so that
// no call is long. insert and remove are O(1). Nodes are intrusive and owned by the caller; one
// must be removed before it is destroyed. The wheel's own time only matters for placement: should
// the caller's time go backwards, the nodes are placed anew. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/time.hpp"

namespace holdfast::keyspace {

class TimingWheel {
 public:
  static constexpr UnixMs kNever = std::numeric_limits<UnixMs>::max();

  struct Node {
    Node* previous = nullptr;
    Node* next = nullptr;
    UnixMs due = kNever;
    std::int16_t place = kNowhere;  // slot number over all levels
    bool scheduled() const { return place != kNowhere; }
  };

  // REQUIRES: not scheduled. Times before the epoch count as the epoch.
  void insert(Node& node, UnixMs due);
  void remove(Node& node);  // nothing happens to a node that is not scheduled

  // A lower bound of the earliest due time, kNever when empty. It is exact within the last 64 ms;
  // before, the start of a stretch of time in which something is due: waking up then lets pop_due
  // look closer.
  UnixMs next_due() const;

  // Takes out a node with due <= now, or returns nullptr when there is none or after `steps`
  // (counted down) placements; then next_due() <= now says that there is more to do.
  Node* pop_due(UnixMs now, std::size_t& steps);

  bool empty() const { return count_ == 0; }
  std::size_t size() const { return count_; }

 private:
  static constexpr std::int16_t kNowhere = -1;
  static constexpr int kLevels = 11;
  static constexpr int kDigitBits = 6;
  static constexpr int kSlots = 1 << kDigitBits;
  static constexpr int kOverduePlace = kLevels * kSlots;

  struct Earliest {
    UnixMs start = kNever;
    int place = kNowhere;
  };

  void place(Node& node);
  void unplace(Node& node);
  Earliest earliest() const;
  void turn_back(UnixMs now);

  std::array<std::uint64_t, kLevels> occupied_{};
  std::array<Node*, kLevels * kSlots + 1>
      slots_{};  // the last one holds what was overdue when it came
  UnixMs time_ = 0;
  UnixMs overdue_min_ = kNever;  // lower bound of the overdue list
  std::size_t count_ = 0;
};

}  // namespace holdfast::keyspace
