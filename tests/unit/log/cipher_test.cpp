#include "replication/log/cipher.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/log/fixture.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using Catch::Matchers::Contains;

TEST_CASE("a key is 64 hexadecimal digits, anything else says how to make one", "[cipher]") {
  const std::string digits = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
  for (const std::string& text : {digits, " " + digits + "\n", "\t" + digits + "\r\n"}) {
    const auto key = parse_master_key(text);
    REQUIRE(key);
    CHECK((*key)[0] == 0);
    CHECK((*key)[31] == 0x1f);
  }
  for (const std::string& text :
       {std::string(), std::string(" \n"), digits.substr(1), digits + "0", "g" + digits.substr(1),
        digits.substr(0, 32) + " " + digits.substr(32)}) {
    const auto key = parse_master_key(text);
    REQUIRE_FALSE(key);
    CHECK_THAT(key.error().message, Contains("openssl rand -hex 32"));
  }
}

TEST_CASE("what was sealed opens only at its place, with its key, salt and header", "[cipher]") {
  const MasterKey key = make_key(1);
  const Salt salt = seeded_salts(1)();
  FileCipher cipher(key, salt, "header");
  const std::string plain = "something private";
  std::string sealed(plain.size() + kTagBytes, '\0');
  cipher.seal(300, "length", plain, sealed.data());
  CHECK(sealed.find("private") == std::string::npos);
  std::string opened(plain.size(), '\0');
  const auto opens = [&](FileCipher& with, std::uint64_t offset, std::string_view associated,
                         const std::string& bytes) {
    return with.open(offset, associated, bytes, opened.data());
  };
  REQUIRE(opens(cipher, 300, "length", sealed));
  CHECK(opened == plain);
  CHECK_FALSE(opens(cipher, 301, "length", sealed));
  CHECK_FALSE(opens(cipher, 300, "another", sealed));
  FileCipher other_key(make_key(2), salt, "header");
  FileCipher other_salt(key, seeded_salts(2)(), "header");
  FileCipher other_header(key, salt, "headed");
  CHECK_FALSE(opens(other_key, 300, "length", sealed));
  CHECK_FALSE(opens(other_salt, 300, "length", sealed));
  CHECK_FALSE(opens(other_header, 300, "length", sealed));
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    std::string flipped = sealed;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x80);
    CHECK_FALSE(opens(cipher, 300, "length", flipped));
  }
  CHECK_FALSE(opens(cipher, 300, "length", sealed.substr(0, kTagBytes - 1)));
  // In place, as records are.
  std::string in_place = plain + std::string(kTagBytes, '\0');
  cipher.seal(300, "length", std::string_view(in_place).substr(0, plain.size()), in_place.data());
  CHECK(in_place == sealed);
}

TEST_CASE("a key's id tells keys apart and tells nothing else", "[cipher]") {
  CHECK(key_id(make_key(1)) == key_id(make_key(1)));
  CHECK(key_id(make_key(1)) != key_id(make_key(2)));
  const KeyRing ring({make_key(1), make_key(2)});
  CHECK(ring.writing() == make_key(1));
  REQUIRE(ring.find(key_id(make_key(2))) != nullptr);
  CHECK(ring.find(key_id(make_key(3))) == nullptr);
}
