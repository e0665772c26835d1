// BlockQueue is a first-in first-out queue in blocks of fixed size. Unlike std::deque it keeps a
// block that has been emptied for the next one that it needs: a queue that is filled and emptied
// again and again allocates nothing. Growing moves nothing. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.hpp"

namespace holdfast {

template <typename T, std::size_t kBlockItems = 256>
class BlockQueue {
 public:
  BlockQueue() = default;
  BlockQueue(const BlockQueue&) = delete;
  BlockQueue& operator=(const BlockQueue&) = delete;
  ~BlockQueue() {
    while (first_ != nullptr) first_ = std::move(first_->next);  // not by recursion
  }

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  void push_back(T item) {
    if (last_ == nullptr || end_ == kBlockItems) add_block();
    last_->items[end_++] = std::move(item);
    ++size_;
  }
  // REQUIRES: not empty.
  T& front() {
    HF_CHECK(size_ > 0);
    return first_->items[begin_];
  }
  void pop_front() {
    HF_CHECK(size_ > 0);
    first_->items[begin_++] = T{};
    --size_;
    if (size_ == 0) {
      begin_ = end_ = 0;  // the only block that is left
    } else if (begin_ == kBlockItems) {
      spare_ = std::exchange(first_, std::move(first_->next));
      begin_ = 0;
    }
  }

 private:
  struct Block {
    std::array<T, kBlockItems> items;
    std::unique_ptr<Block> next;
  };

  void add_block() {
    std::unique_ptr<Block> block =
        spare_ != nullptr ? std::move(spare_) : std::make_unique<Block>();
    Block* added = block.get();
    (last_ == nullptr ? first_ : last_->next) = std::move(block);
    last_ = added;
    end_ = 0;
  }

  std::unique_ptr<Block> first_;
  Block* last_ = nullptr;
  std::unique_ptr<Block> spare_;
  std::size_t begin_ = 0;  // in the first block
  std::size_t end_ = 0;    // in the last one
  std::size_t size_ = 0;
};

}  // namespace holdfast
