#include "replication/core/config.hpp"

#include <catch2/catch.hpp>
#include <functional>

using namespace holdfast;
using namespace holdfast::core;

namespace {

Config three() {
  Config config;
  config.self = {2};
  config.members = {{1}, {2}, {3}};
  return config;
}

// The complaint about three() with one thing changed.
std::string complaint(const std::function<void(Config&)>& change) {
  Config config = three();
  change(config);
  return check_config(config).value_or("");
}

}  // namespace

TEST_CASE("the defaults are consistent", "[config]") {
  CHECK_FALSE(check_config(three()));
}

TEST_CASE("limits know each other", "[config]") {
  CHECK(complaint([](Config& c) { c.lease = milliseconds(40); }) ==
        "lease_ms (40) must be at least twice heartbeat_ms (25)");
  CHECK(complaint([](Config& c) { c.election_timeout = milliseconds(99); }) ==
        "election_timeout_ms (99) must not be below lease_ms (100)");
  CHECK(complaint([](Config& c) {
          c.heartbeat = milliseconds(50), c.lease = milliseconds(100),
          c.election_timeout = milliseconds(150);
        }) == "election_timeout_ms (150) must be at least four times heartbeat_ms (50)");
  CHECK(complaint([](Config& c) { c.busy_limit = milliseconds(200); }) ==
        "busy_limit_ms (200) must not be below election_timeout_ms (300)");
  CHECK(complaint([](Config& c) { c.recovery_wait = milliseconds(200); }) ==
        "recovery_wait_ms (200) must not be below election_timeout_ms (300)");
  CHECK_FALSE(complaint([](Config& c) { c.lease = milliseconds(20'000); }).empty());
  CHECK_FALSE(complaint([](Config& c) { c.message_bytes = c.window_bytes; }).empty());
  CHECK_FALSE(complaint([](Config& c) { c.clock_drift_ppm = -1; }).empty());
}

TEST_CASE("members are listed once, ascending, this one among them", "[config]") {
  CHECK_FALSE(complaint([](Config& c) { c.members = {}; }).empty());
  CHECK_FALSE(complaint([](Config& c) { c.members = {{2}, {1}}; }).empty());
  CHECK_FALSE(complaint([](Config& c) { c.members = {{2}, {2}}; }).empty());
  CHECK_FALSE(complaint([](Config& c) { c.members = {{0}, {2}}; }).empty());
  CHECK(complaint([](Config& c) {
          c.members = {{1}, {3}};
        }) == "member 2 is not in the list of members");
}

TEST_CASE("promotion on heartbeat loss alone is for two members", "[config]") {
  CHECK_FALSE(complaint([](Config& c) { c.failover = Failover::kUnilateral; }).empty());
  CHECK(complaint([](Config& c) {
          c.failover = Failover::kUnilateral;
          c.members = {{1}, {2}};
        }).empty());
}
