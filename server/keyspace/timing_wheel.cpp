#include "server/keyspace/timing_wheel.hpp"

#include <algorithm>
#include <bit>

#include "base/check.hpp"

namespace holdfast::keyspace {

void TimingWheel::insert(Node& node, UnixMs due) {
  HF_CHECK(!node.scheduled());
  node.due = std::max<UnixMs>(due, 0);
  ++count_;
  place(node);
}

void TimingWheel::remove(Node& node) {
  if (!node.scheduled()) return;
  unplace(node);
  --count_;
}

void TimingWheel::place(Node& node) {
  int at = kOverduePlace;
  if (node.due > time_) {
    const auto due = static_cast<std::uint64_t>(node.due);
    const auto differing = due ^ static_cast<std::uint64_t>(time_);
    const int level = (std::bit_width(differing) - 1) / kDigitBits;
    const int digit = static_cast<int>(due >> (level * kDigitBits)) & (kSlots - 1);
    at = level * kSlots + digit;
    occupied_[level] |= std::uint64_t{1} << digit;
  } else {
    overdue_min_ = std::min(overdue_min_, node.due);
  }
  Node*& head = slots_[at];
  node.previous = nullptr;
  node.next = head;
  node.place = static_cast<std::int16_t>(at);
  if (head != nullptr) head->previous = &node;
  head = &node;
}

void TimingWheel::unplace(Node& node) {
  const int at = node.place;
  if (node.next != nullptr) node.next->previous = node.previous;
  if (node.previous != nullptr) {
    node.previous->next = node.next;
  } else {
    slots_[at] = node.next;
    if (node.next == nullptr) {
      if (at == kOverduePlace) {
        overdue_min_ = kNever;
      } else {
        occupied_[at / kSlots] &= ~(std::uint64_t{1} << (at % kSlots));
      }
    }
  }
  node.previous = node.next = nullptr;
  node.place = kNowhere;
}

// Nodes of a level agree with the wheel's time in all higher digits, and the slots that time has
// passed are empty. The slot of the present digit may still hold nodes that have not stepped down
// yet.
TimingWheel::Earliest TimingWheel::earliest() const {
  Earliest found;
  if (slots_[kOverduePlace] != nullptr) found = {overdue_min_, kOverduePlace};
  for (int level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    const int digit = std::countr_zero(occupied_[level]);
    const int shift = level * kDigitBits;
    const auto higher = shift + kDigitBits >= 64 ? 0
                                                 : static_cast<std::uint64_t>(time_) >>
                                                       (shift + kDigitBits) << (shift + kDigitBits);
    const auto start = static_cast<UnixMs>(higher | static_cast<std::uint64_t>(digit) << shift);
    if (start < found.start) found = {start, level * kSlots + digit};
  }
  return found;
}

UnixMs TimingWheel::next_due() const {
  return earliest().start;
}

TimingWheel::Node* TimingWheel::pop_due(UnixMs now, std::size_t& steps) {
  if (now < time_) turn_back(now);
  while (true) {
    const Earliest found = earliest();
    if (found.place == kNowhere || found.start > now) {
      // Every slot before now is empty, so that no node's place changes its meaning.
      time_ = std::max(time_, now);
      return nullptr;
    }
    Node* node = slots_[found.place];
    unplace(*node);
    if (node->due <= now) {
      --count_;
      return node;
    }
    time_ = std::max(time_, found.start);
    place(*node);
    if (steps == 0) return nullptr;
    --steps;
  }
}

void TimingWheel::turn_back(UnixMs now) {
  Node* all = nullptr;
  for (Node*& head : slots_) {
    while (Node* node = head) {
      unplace(*node);
      node->next = all;
      all = node;
    }
  }
  time_ = std::max<UnixMs>(now, 0);
  while (Node* node = all) {
    all = node->next;
    place(*node);
  }
}

}  // namespace holdfast::keyspace
