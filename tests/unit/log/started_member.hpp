// A storage over a simulated disk that has started.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "replication/log/check.hpp"
#include "tests/support/sim_disk.hpp"
#include "tests/unit/log/storage_member.hpp"

namespace holdfast::log::test {

struct Member {
  explicit Member(StorageOptions options, std::uint64_t seed = 1)
      : disk(seed), it(disk, std::move(options)) {
    const bool has_started = it.start();
    INFO(it.refusal());
    REQUIRE(has_started);
  }
  void restart() {
    const bool has_started = it.start();
    INFO(it.refusal());
    REQUIRE(has_started);
    CHECK(it.problem() == "");
  }
  std::size_t count(std::string_view part) const {
    std::size_t sum = 0;
    for (const std::string& path : disk.paths()) sum += path.find(part) != std::string::npos;
    return sum;
  }
  std::string path(std::string_view part) const {
    std::string last;
    for (const std::string& path : disk.paths())
      if (path.find(part) != std::string::npos) last = path;
    REQUIRE(last != "");
    return last;
  }
  bool is_healthy() {
    return check(disk, {it.options().folder, it.options().keys, false}).verdict ==
           CheckVerdict::kHealthy;
  }

  sim::SimDisk disk;
  StorageMember it;
};

}  // namespace holdfast::log::test
