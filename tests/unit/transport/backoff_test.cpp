#include "replication/transport/backoff.hpp"

#include <catch2/catch.hpp>

#include "replication/transport/line_limit.hpp"

namespace holdfast::transport::test {

using core::Duration;
using core::milliseconds;
using core::MonoTime;

TEST_CASE("the first dial again comes at once, later ones up to a second apart", "[backoff]") {
  Backoff backoff(7);
  for (Duration step = milliseconds(50); step < milliseconds(1000); step = step * 2) {
    const Duration wait = backoff.next();
    CHECK(wait >= step / 2);
    CHECK(wait <= step);
  }
  for (int i = 0; i < 100; ++i) {
    const Duration wait = backoff.next();
    CHECK(wait >= milliseconds(500));
    CHECK(wait <= milliseconds(1000));
  }
  backoff.reset();
  CHECK(backoff.next() <= milliseconds(50));
}

TEST_CASE("members that lost a peer together do not dial together", "[backoff]") {
  Backoff one(1);
  Backoff other(2);
  int equal = 0;
  for (int i = 0; i < 20; ++i) equal += one.next() == other.next() ? 1 : 0;
  CHECK(equal < 3);
}

TEST_CASE("lines beyond the limit are counted, not written", "[line_limit]") {
  LineLimit limit;
  MonoTime now{1};
  for (int i = 0; i < LineLimit::kLinesMax; ++i) CHECK(limit.admit(now) == 0);
  CHECK(limit.admit(now) == std::nullopt);
  CHECK(limit.admit(now) == std::nullopt);
  now = now + LineLimit::kPeriod;
  CHECK(limit.admit(now) == 2);
  CHECK(limit.admit(now) == 0);
}

}  // namespace holdfast::transport::test
