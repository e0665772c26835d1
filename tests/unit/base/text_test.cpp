#include "base/text.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace holdfast;

TEST_CASE("integers are taken exactly as Redis takes them", "[text]") {
  CHECK(parse_int("0") == 0);
  CHECK(parse_int("-9223372036854775808") == INT64_MIN);
  CHECK(parse_int("9223372036854775807") == INT64_MAX);
  for (const char* bad :
       {"", "-", "+1", "01", "-0", "1 ", " 1", "9223372036854775808", "1.0", "0x1", "--1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_int(bad).has_value());
  }
}

TEST_CASE("globs match as in Redis", "[text]") {
  CHECK_FALSE(glob_match("*", ""));
  CHECK(glob_match("a*", "a"));
  CHECK(glob_match("", ""));
  CHECK(glob_match("h?llo", "hello"));
  CHECK(glob_match("h*llo", "heeello"));
  CHECK(glob_match("h[ae]llo", "hallo"));
  CHECK_FALSE(glob_match("h[^e]llo", "hello"));
  CHECK(glob_match("h[z-a]llo", "hello"));
  CHECK(glob_match("\\*", "*"));
  CHECK_FALSE(glob_match("\\*", "a"));
  CHECK(glob_match("a[bc", "ab"));
  CHECK(glob_match("SESS:*", "sess:1", true));
  CHECK_FALSE(glob_match("sess:*", "ses"));
}

TEST_CASE("what a client sent cannot forge a log line", "[text]") {
  CHECK(escaped("expected '$', got 'x'") == "expected '$', got 'x'");
  CHECK(escaped("a\r\nb") == "a\\x0d\\x0ab");
  CHECK(escaped("\"\\\x7f\xff") == "\\x22\\x5c\\x7f\\xff");
}

TEST_CASE("a glob of many stars does not run away", "[text]") {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "a*";
  pattern += "b";
  CHECK_FALSE(glob_match(pattern, std::string(5000, 'a')));
}
