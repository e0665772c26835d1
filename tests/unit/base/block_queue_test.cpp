#include "base/block_queue.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <memory>

#include "base/random.hpp"

using namespace holdfast;

TEST_CASE("a block queue gives back in order what was put in", "[block_queue]") {
  BlockQueue<std::unique_ptr<std::uint64_t>, 4> queue;
  std::deque<std::uint64_t> model;
  Random random(1);
  std::uint64_t next = 0;
  for (int step = 0; step < 20'000; ++step) {
    // Long stretches of growing and of shrinking.
    const bool growing = (step / 300) % 2 == 0;
    if (random.below(10) < (growing ? 7u : 3u)) {
      queue.push_back(std::make_unique<std::uint64_t>(next));
      model.push_back(next++);
    } else if (!model.empty()) {
      REQUIRE(*queue.front() == model.front());
      queue.pop_front();
      model.pop_front();
    }
    REQUIRE(queue.size() == model.size());
    REQUIRE(queue.empty() == model.empty());
  }
}

TEST_CASE("a block queue lets go of an item when it is taken", "[block_queue]") {
  BlockQueue<std::shared_ptr<int>, 4> queue;
  const auto item = std::make_shared<int>(7);
  queue.push_back(item);
  queue.push_back(nullptr);
  CHECK(item.use_count() == 2);
  queue.pop_front();
  CHECK(item.use_count() == 1);
}
