#include "base/sha256.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace holdfast;

// RFC 6234, section 8.5 (tests 1, 2, 3, 4), and the empty text.
TEST_CASE("SHA-256 agrees with the vectors of RFC 6234", "[sha256]") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  std::string repeated;
  for (int i = 0; i < 20; ++i) repeated += "01234567012345670123456701234567";
  CHECK(sha256_hex(repeated) == "594847328451bdfa85056225462cc1d867d877fb388df0ce35f25ab5562bfbb5");
}

// Made with Python's hashlib: every length around the ends of blocks, and bytes beyond ASCII.
TEST_CASE("SHA-256 pads every length", "[sha256]") {
  std::string all;
  std::string text;
  for (int length = 0; length < 200; ++length) {
    all += sha256_hex(text);
    text += static_cast<char>(length * 7);
  }
  CHECK(sha256_hex(all) == "ca07a79e06ea4c825585cbbf34308733cb36356746a5eec888d7f813ec003999");
}
