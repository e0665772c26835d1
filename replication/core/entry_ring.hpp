// EntryRing is a queue of log entries in one array that doubles when it is full: entries are pushed
// and dropped at both ends without allocation in the steady state. A slot that was left holds no
// reference to a payload.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "replication/log/entry.hpp"

namespace holdfast::core {

class EntryRing {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const log::Entry& operator[](std::size_t position) const {
    return slots_[(begin_ + position) & (slots_.size() - 1)];
  }
  const log::Entry& front() const { return (*this)[0]; }
  const log::Entry& back() const { return (*this)[size_ - 1]; }

  void push_back(log::Entry entry) {
    if (size_ == slots_.size()) grow();
    slots_[(begin_ + size_) & (slots_.size() - 1)] = std::move(entry);
    ++size_;
  }
  void pop_front() {
    HF_CHECK(size_ > 0);
    slots_[begin_] = log::Entry{};
    begin_ = (begin_ + 1) & (slots_.size() - 1);
    --size_;
  }
  void pop_back() {
    HF_CHECK(size_ > 0);
    slots_[(begin_ + size_ - 1) & (slots_.size() - 1)] = log::Entry{};
    --size_;
  }
  void clear() {
    while (size_ > 0) pop_back();
  }

 private:
  void grow() {
    std::vector<log::Entry> larger(slots_.empty() ? 64 : slots_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i)
      larger[i] = std::move(slots_[(begin_ + i) & (slots_.size() - 1)]);
    slots_ = std::move(larger);
    begin_ = 0;
  }

  std::vector<log::Entry> slots_;  // a power of two
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

}  // namespace holdfast::core
