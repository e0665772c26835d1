// A kernel that has no room to watch one more descriptor (fs.epoll.max_user_watches) once ended the
// process of the member whose peer read slowly.
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <iterator>

#include "tests/unit/transport/cluster.hpp"

namespace {
bool watches_are_used_up = false;

struct WithoutWatches {
  WithoutWatches() { watches_are_used_up = true; }
  ~WithoutWatches() { watches_are_used_up = false; }
};

auto open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}
}  // namespace

// In place of the C library's.
extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  if (operation == EPOLL_CTL_ADD && watches_are_used_up) {
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}

namespace holdfast::transport::test {

TEST_CASE("a link that cannot wait for room to write fails, and the process goes on",
          "[peer_network]") {
  asio::io_context io;
  Member one(io, member(1));
  Member two(io, member(2));
  one.listen();
  one.knows(NodeId{2}, two.listen());
  one.network().dial();
  REQUIRE(run_until(io, [&] { return one.connects == 1 && two.connects == 1; }));
  two.keep_messages = false;

  const auto before = open_descriptors();
  {
    const WithoutWatches full;
    for (int i = 0; i < 100 && one.network().peers()[0].is_connected; ++i) {
      for (std::uint64_t round = 0; round < 20'000; ++round)
        one.network().send(NodeId{2}, heartbeat(round));
      one.network().flush();
    }
  }
  CHECK_FALSE(one.network().peers()[0].is_connected);
  CHECK(open_descriptors() < before);
  REQUIRE(run_until(io, [&] { return one.events.size() >= 2; }));
  CHECK(one.events[1] == "lost 2");
  CHECK(one.logged("No space left on device"));
  CHECK(run_until(io, [&] { return one.connects == 2; }));
}

}  // namespace holdfast::transport::test
