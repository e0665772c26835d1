// A name server that is silent: each lookup of a name hangs for as long as a test likes.
#include <catch2/catch.hpp>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "replication/transport/name_lookup.hpp"
#include "tests/unit/transport/cluster.hpp"

namespace holdfast::transport::test {

namespace {

// Lookups outlive what asked, so what they use is shared.
class Names {
 public:
  ~Names() { answer_all(); }

  void hang(const std::string& host) {
    const std::lock_guard lock(shared_->mutex);
    shared_->hanging.insert(host);
  }
  void answer_all() {
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->hanging.clear();
    }
    shared_->changed.notify_all();
  }
  void move(const std::string& host, const std::string& address) {
    const std::lock_guard lock(shared_->mutex);
    shared_->addresses[host] = address;
  }
  std::size_t asked() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->asked;
  }

  NameLookup::Resolve resolve() const {
    return [shared = shared_](const std::string& host) -> NameLookup::Answer {
      std::unique_lock lock(shared->mutex);
      ++shared->asked;
      shared->changed.wait(lock, [&] { return !shared->hanging.contains(host); });
      const auto found = shared->addresses.find(host);
      if (found == shared->addresses.end()) return fail("no such name");
      return std::vector{asio::ip::make_address(found->second)};
    };
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::set<std::string> hanging;
    std::map<std::string, std::string> addresses{{"ben", "127.0.0.1"}, {"cia", "127.0.0.1"}};
    std::size_t asked = 0;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

Member member_that_asks(asio::io_context& io, const Names& names) {
  return Member(io, member(1), {}, "127.0.0.1", 32, names.resolve());
}

}  // namespace

TEST_CASE("a lookup that hangs does not keep another peer from being dialled", "[name_lookup]") {
  asio::io_context io;
  Names names;
  names.hang("ben");
  Member one = member_that_asks(io, names);
  Member three(io, member(3));
  one.knows(NodeId{2}, 1, "ben");
  one.knows(NodeId{3}, three.listen(), "cia");
  one.network().dial();
  CHECK(run_until(io, [&] { return one.connects == 1 && three.connects == 1; }));
  CHECK(run_until(io, [&] { return one.logged("peer lookup slow node=2 name=ben host=ben"); }));
  CHECK(one.network().peers()[0].last_failure == "the lookup of its name takes long");
}

TEST_CASE("while a lookup hangs, the addresses that were found before are dialled",
          "[name_lookup]") {
  asio::io_context io;
  Names names;
  Member one = member_that_asks(io, names);
  auto two = std::make_unique<Member>(io, member(2));
  const std::uint16_t port = two->listen();
  one.knows(NodeId{2}, port, "ben");
  one.network().dial();
  REQUIRE(run_until(io, [&] { return one.connects == 1; }));

  names.hang("ben");
  two = nullptr;
  REQUIRE(run_until(io, [&] { return one.logged("dials=last_known_addresses"); }));
  CHECK(run_until(io, [&] { return one.logged("peer not reached node=2"); }));
  two = std::make_unique<Member>(io, member(2));
  two->network().set_address(NodeId{2}, {"127.0.0.1", port});
  two->listen();
  CHECK(run_until(io, [&] { return one.connects == 2; }));
  CHECK(names.asked() == 2);  // the second hangs, and no third is begun beside it
}

TEST_CASE("a slow lookup is waited for while no address is known", "[name_lookup]") {
  asio::io_context io;
  Names names;
  names.hang("ben");
  Member one = member_that_asks(io, names);
  Member two(io, member(2));
  one.knows(NodeId{2}, two.listen(), "ben");
  one.network().dial();
  REQUIRE(run_until(io, [&] { return one.logged("dials=nothing_yet"); }));
  names.answer_all();
  CHECK(run_until(io, [&] { return one.connects == 1; }));
}

TEST_CASE("a lookup that hangs does not keep the process from ending", "[name_lookup]") {
  Names names;
  names.hang("ben");
  {
    asio::io_context io;
    Member one = member_that_asks(io, names);
    one.knows(NodeId{2}, 1, "ben");
    one.network().dial();
    REQUIRE(run_until(io, [&] { return names.asked() == 1; }));
  }
  // Here nobody waits for it; what it finds goes nowhere.
  names.answer_all();
}

TEST_CASE("a name is looked up anew at each dial, an address never", "[name_lookup]") {
  asio::io_context io;
  Names names;
  names.move("ben", "127.0.0.77");
  Member one = member_that_asks(io, names);
  Member two(io, member(2));
  Member three(io, member(3));
  one.knows(NodeId{2}, two.listen(), "ben");
  one.knows(NodeId{3}, three.listen());
  one.network().dial();
  REQUIRE(run_until(io, [&] { return one.logged("peer not reached node=2"); }));
  names.move("ben", "127.0.0.1");
  REQUIRE(run_until(io, [&] { return two.connects == 1 && one.connects == 2; }));
  CHECK(names.asked() >= 2);
  const std::size_t asked = names.asked();
  three.stop();
  REQUIRE(run_until(io, [&] { return one.logged("peer not reached node=3"); }));
  CHECK(names.asked() == asked);
}

TEST_CASE("the system knows localhost, and says of a name that it does not know", "[name_lookup]") {
  const auto found = NameLookup::ask_system("localhost");
  REQUIRE(found);
  REQUIRE_FALSE(found->empty());
  for (const auto& address : *found) CHECK(address.is_loopback());
  const auto none = NameLookup::ask_system("no-such-name.invalid");
  REQUIRE_FALSE(none);
  CHECK_FALSE(none.error().message.empty());
}

}  // namespace holdfast::transport::test
