#include "server/net/awake_wait.hpp"

#include <catch2/catch.hpp>

namespace holdfast::net::test {

namespace {

// How many waits pass before the next one that is worth to be awake.
int left_out(AwakeWait& wait) {
  int count = 0;
  while (!wait.is_worth()) ++count;
  return count;
}

}  // namespace

TEST_CASE("where answers are quick, every wait is awake", "[awake_wait]") {
  AwakeWait wait;
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(wait.is_worth());
    wait.ended(false);
  }
}

TEST_CASE("where answers are slow, one wait in a hundred is awake", "[awake_wait]") {
  AwakeWait wait;
  int awake = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (!wait.is_worth()) continue;
    ++awake;
    wait.ended(true);
  }
  CHECK(awake <= 100);
  CHECK(awake >= 10);
}

TEST_CASE("each wait in vain is followed by twice as many asleep, one with success by none",
          "[awake_wait]") {
  AwakeWait wait;
  CHECK(left_out(wait) == 0);
  wait.ended(true);
  CHECK(left_out(wait) == 1);
  wait.ended(true);
  CHECK(left_out(wait) == 2);
  wait.ended(true);
  CHECK(left_out(wait) == 4);
  wait.ended(false);
  CHECK(left_out(wait) == 0);
  wait.ended(true);
  CHECK(left_out(wait) == 1);
}

}  // namespace holdfast::net::test
