// Counts what is taken from the general allocator while the node carries out requests.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "tests/unit/node/fixture.hpp"

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t byte_count) {
  ++allocations;
  if (void* memory = std::malloc(byte_count)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

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
  while (output.gather(&part, 1, output.sendable_bytes(harness.node.committed())) > 0)
    output.consume(part.size());
  harness.advance_ms(1);
}

}  // namespace

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
  const std::size_t before = allocations;
  for (int i = 0; i < 1000; ++i) turn(harness, pipeline);
  CHECK(allocations - before == 0);
  CHECK(before > 0);
}

}  // namespace holdfast::node
