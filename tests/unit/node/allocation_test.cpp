// What is taken from the general allocator while the node carries out requests.
#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <new>
#include <vector>

#include "tests/unit/node/counted_allocations.hpp"
#include "tests/unit/node/fixture.hpp"

namespace holdfast::node {

namespace {

// One turn: a pipeline of sixteen requests, background work, and the replies leave.
void turn(Harness& harness, const std::string& pipeline) {
  harness.feed(*harness.client, pipeline);
  harness.run(*harness.client);
  while (harness.node.background(harness.now, 512)) {
  }
  auto& output = harness.client->output;
  std::string_view part;
  while (output.gather(&part, 1, output.sendable_bytes(harness.node.gate())) > 0)
    output.consume(part.size());
  harness.advance_ms(1);
}

}  // namespace

TEST_CASE("allocations of every form are counted", "[allocation]") {
  struct alignas(64) Aligned {
    char bytes[64];
  };
  const auto taken_by = [](auto&& take) {
    const std::size_t before = counted_allocations();
    take();
    return counted_allocations() - before;
  };
  // An optimised build leaves out what nobody looks at.
  const auto show = [](auto pointer) { asm volatile("" : : "r"(pointer.get()) : "memory"); };
  CHECK(taken_by([&] { show(std::make_unique<int>()); }) == 1);
  CHECK(taken_by([&] { show(std::make_unique<int[]>(3)); }) == 1);
  CHECK(taken_by([&] { show(std::make_unique<Aligned>()); }) == 1);
  CHECK(taken_by([&] { show(std::make_unique<Aligned[]>(3)); }) == 1);
  CHECK(taken_by([&] { show(std::unique_ptr<int>(new (std::nothrow) int)); }) == 1);
  CHECK(taken_by([&] { show(std::unique_ptr<int[]>(new (std::nothrow) int[3])); }) == 1);
  CHECK(taken_by([&] { show(std::unique_ptr<Aligned>(new (std::nothrow) Aligned)); }) == 1);
  CHECK(taken_by([&] { show(std::unique_ptr<Aligned[]>(new (std::nothrow) Aligned[3])); }) == 1);
  std::vector<int> numbers(100, 7);
  CHECK(taken_by([&] { std::stable_sort(numbers.begin(), numbers.end()); }) == 1);
}

TEST_CASE("GET and SET of a session take nothing from the allocator in the steady state",
          "[allocation]") {
  Harness harness;
  std::string pipeline;
  for (int i = 0; i < 4; ++i) {
    const std::string key = "session:0123456789abcdef0123456789ab:" + std::to_string(i);
    pipeline += request({"SETEX", key, "3600", std::string(300, 'v')});
    pipeline += request({"GET", key});
    pipeline += request({"SET", key, std::string(300, 'w'), "EX", "1800"});
    pipeline += request({"EXPIRE", key, "3600"});
  }
  for (int i = 0; i < 1000; ++i) turn(harness, pipeline);
  const std::size_t before = counted_allocations();
  for (int i = 0; i < 1000; ++i) turn(harness, pipeline);
  CHECK(counted_allocations() - before == 0);
  CHECK(before > 0);
}

}  // namespace holdfast::node
