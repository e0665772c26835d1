#include "replication/transport/handshake.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "base/bytes.hpp"

namespace holdfast::transport::test {

namespace {

using State = Handshake::State;

const std::vector<std::string> kNames{"ada", "ben", "cia"};
constexpr std::string_view kSecret = "correct horse battery staple";

Membership member(std::uint64_t id, std::string_view secret = kSecret,
                  std::vector<std::string> names = kNames, std::string cluster = "shop",
                  std::string cluster_id = "7f3a", std::uint64_t databases = 16) {
  return make_membership(std::move(cluster), std::move(cluster_id), std::move(names), NodeId{id},
                         std::string(secret), databases);
}

Nonce nonce(char fill) {
  Nonce bytes;
  bytes.fill(fill);
  return bytes;
}

// In a heap buffer of exactly that size, so that a look beyond it is seen.
std::size_t give(Handshake& to, std::string_view bytes) {
  const auto copy = std::make_unique<char[]>(bytes.size());
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  return to.receive({copy.get(), bytes.size()});
}

// What went over the wire, a record (or two) a turn, the dialler's first.
std::vector<std::string> converse(Handshake& dialler, Handshake& acceptor) {
  std::vector<std::string> words;
  for (int turn = 0; turn < 8; ++turn) {
    Handshake& speaker = turn % 2 == 0 ? dialler : acceptor;
    Handshake& listener = turn % 2 == 0 ? acceptor : dialler;
    words.push_back(speaker.take_output());
    if (words.back().empty()) break;
    give(listener, words.back());
  }
  return words;
}

struct Pair {
  Membership one;
  Membership two;
  Handshake dialler = Handshake::dial(one, NodeId{2}, nonce('d'));
  Handshake acceptor = Handshake::accept(two, nonce('a'));
};

}  // namespace

TEST_CASE("two members with the same secret authenticate each other", "[handshake]") {
  Pair pair{member(1), member(2)};
  const auto words = converse(pair.dialler, pair.acceptor);
  REQUIRE(pair.dialler.state() == State::kDone);
  REQUIRE(pair.acceptor.state() == State::kDone);
  CHECK(pair.dialler.peer() == pair.two.self);
  CHECK(pair.acceptor.peer() == pair.one.self);
  CHECK(pair.dialler.version() == 1);
  for (const std::string& said : words) CHECK(said.find(kSecret) == std::string::npos);
}

TEST_CASE("an empty secret is a secret like others", "[handshake]") {
  Pair same{member(1, ""), member(2, "")};
  converse(same.dialler, same.acceptor);
  CHECK(same.dialler.state() == State::kDone);
  CHECK(same.acceptor.state() == State::kDone);
  Pair unequal{member(1, ""), member(2)};
  converse(unequal.dialler, unequal.acceptor);
  CHECK(unequal.dialler.refusal() == Refusal::kWrongSecret);
}

TEST_CASE("a handshake may arrive in any pieces", "[handshake]") {
  Pair whole{member(1), member(2)};
  const auto words = converse(whole.dialler, whole.acceptor);
  for (std::size_t split = 0; split <= words[0].size(); ++split) {
    Handshake acceptor = Handshake::accept(whole.two, nonce('a'));
    give(acceptor, words[0].substr(0, split));
    give(acceptor, words[0].substr(split));
    REQUIRE(acceptor.take_output() == words[1]);
  }
  Handshake dialler = Handshake::dial(whole.one, NodeId{2}, nonce('d'));
  dialler.take_output();
  for (const char c : words[1]) REQUIRE(give(dialler, {&c, 1}) == 1);
  CHECK(dialler.take_output() == words[2]);
}

TEST_CASE("bytes behind the handshake are left to the frames", "[handshake]") {
  Pair pair{member(1), member(2)};
  give(pair.acceptor, pair.dialler.take_output());
  give(pair.dialler, pair.acceptor.take_output());
  give(pair.acceptor, pair.dialler.take_output());
  const std::string proof = pair.acceptor.take_output();
  CHECK(give(pair.dialler, proof + "frames") == proof.size());
  CHECK(pair.dialler.state() == State::kDone);
  CHECK(give(pair.dialler, "more") == 0);
}

TEST_CASE("both sides learn why there is no link", "[handshake]") {
  struct Case {
    Membership one;
    Membership two;
    Refusal refusal;
    NodeId to{2};
  };
  const Case cases[] = {
      {member(1), member(2, "another secret"), Refusal::kWrongSecret},
      {member(1), member(2, kSecret, kNames, "bank"), Refusal::kOtherCluster},
      {member(1), member(2, kSecret, kNames, "shop", "0000"), Refusal::kOtherCluster},
      {member(1), member(1), Refusal::kOwnName, NodeId{1}},
      {member(1), member(2, kSecret, {"zoe", "ben", "cia"}), Refusal::kUnknownNode},
      {member(1), member(2, kSecret, {"ada", "ben", "cia", "dan"}), Refusal::kUnequalMembers},
      {member(1), member(1, kSecret, {"ben", "ada", "cia"}), Refusal::kUnequalMembers},
      {member(1), member(2, kSecret, kNames, "shop", "7f3a", 4), Refusal::kUnequalDatabases},
      {member(1), member(3), Refusal::kWrongNode},
      {member(3), member(2), Refusal::kWrongDirection},
      // What is wrong besides the secret is nobody's business who does not know it.
      {member(1), member(2, "another secret", kNames, "bank"), Refusal::kWrongSecret},
  };
  for (const Case& one : cases) {
    INFO(refusal_name(one.refusal));
    Handshake dialler = Handshake::dial(one.one, one.to, nonce('d'));
    Handshake acceptor = Handshake::accept(one.two, nonce('a'));
    converse(dialler, acceptor);
    CHECK(dialler.state() == State::kRefused);
    CHECK(dialler.refusal() == one.refusal);
    CHECK(dialler.refused_by_peer());
    CHECK(acceptor.state() == State::kRefused);
    CHECK(acceptor.refusal() == one.refusal);
    CHECK_FALSE(acceptor.refused_by_peer());
    CHECK_FALSE(refusal_remedy(one.refusal).empty());
  }
}

TEST_CASE("members with unequal numbers of databases name the option and both values",
          "[handshake]") {
  Pair pair{member(1), member(2, kSecret, kNames, "shop", "7f3a", 4)};
  converse(pair.dialler, pair.acceptor);
  const std::string rule = "server.databases must be the same on all members: ";
  CHECK(pair.dialler.remedy() == rule + "16 here, 4 there");
  CHECK(pair.acceptor.remedy() == rule + "4 here, 16 there");
}

TEST_CASE("the highest version that both know is spoken, or none", "[handshake]") {
  const Membership one = member(1);
  const Membership two = member(2);
  const auto meet = [&](VersionRange dialling, VersionRange accepting) {
    Handshake dialler = Handshake::dial(one, NodeId{2}, nonce('d'), dialling);
    Handshake acceptor = Handshake::accept(two, nonce('a'), accepting);
    converse(dialler, acceptor);
    CHECK(dialler.state() == acceptor.state());
    if (dialler.state() == State::kDone) return static_cast<int>(dialler.version());
    CHECK(dialler.refusal() == Refusal::kUnsupportedVersion);
    CHECK(acceptor.refusal() == Refusal::kUnsupportedVersion);
    return 0;
  };
  CHECK(meet({1, 3}, {2, 5}) == 3);
  CHECK(meet({2, 5}, {1, 3}) == 3);
  CHECK(meet({1, 1}, {1, 9}) == 1);
  CHECK(meet({1, 2}, {3, 4}) == 0);
  CHECK(meet({3, 4}, {1, 2}) == 0);
}

TEST_CASE("an old conversation replayed convinces nobody", "[handshake]") {
  Pair recorded{member(1), member(2)};
  const auto words = converse(recorded.dialler, recorded.acceptor);
  REQUIRE(recorded.acceptor.state() == State::kDone);

  Handshake acceptor = Handshake::accept(recorded.two, nonce('b'));
  give(acceptor, words[0]);
  acceptor.take_output();
  give(acceptor, words[2]);
  CHECK(acceptor.state() == State::kRefused);
  CHECK(acceptor.refusal() == Refusal::kWrongSecret);

  Handshake dialler = Handshake::dial(recorded.one, NodeId{2}, nonce('e'));
  give(dialler, words[1] + words[3]);
  CHECK(dialler.state() == State::kRefused);
  CHECK(dialler.refusal() == Refusal::kWrongSecret);
}

TEST_CASE("a member's own words reflected convince nobody", "[handshake]") {
  Pair pair{member(1), member(2)};
  const std::string hello = pair.dialler.take_output();
  Handshake echoed = Handshake::dial(pair.one, NodeId{2}, nonce('d'));
  give(echoed, hello);
  CHECK(echoed.state() == State::kMalformed);

  // The dialler's own proof as the answer to it.
  give(pair.acceptor, hello);
  give(pair.dialler, pair.acceptor.take_output());
  give(pair.dialler, pair.dialler.take_output());
  CHECK(pair.dialler.state() == State::kRefused);
  CHECK(pair.dialler.refusal() == Refusal::kWrongSecret);

  // A challenge that was won from the member as an acceptor, given to it as a dialler.
  Handshake dialler = Handshake::dial(pair.two, NodeId{3}, nonce('f'));
  Handshake of_itself = Handshake::accept(pair.two, nonce('g'));
  give(of_itself, dialler.take_output());
  give(dialler, of_itself.take_output());
  give(of_itself, dialler.take_output());
  CHECK(of_itself.state() == State::kRefused);
  CHECK(of_itself.refusal() == Refusal::kOwnName);
}

TEST_CASE("no byte of a conversation can be changed unnoticed", "[handshake]") {
  Pair whole{member(1), member(2)};
  const auto words = converse(whole.dialler, whole.acceptor);
  for (std::size_t turn = 0; turn < 4; ++turn) {
    for (std::size_t at = 0; at < words[turn].size(); ++at) {
      Pair pair{member(1), member(2)};
      for (std::size_t i = 0; i <= turn; ++i) {
        std::string said = (i % 2 == 0 ? pair.dialler : pair.acceptor).take_output();
        if (i == turn) said[at] = static_cast<char>(said[at] ^ 1);
        give(i % 2 == 0 ? pair.acceptor : pair.dialler, said);
      }
      converse(turn % 2 == 0 ? pair.acceptor : pair.dialler,
               turn % 2 == 0 ? pair.dialler : pair.acceptor);
      INFO("record " << turn << " byte " << at);
      REQUIRE(pair.dialler.state() != State::kDone);
      if (turn < 3) REQUIRE(pair.acceptor.state() != State::kDone);
    }
  }
}

TEST_CASE("who is no peer is told from the first bytes", "[handshake]") {
  const Membership two = member(2);
  const auto error_of = [&](std::string_view bytes) {
    Handshake acceptor = Handshake::accept(two, nonce('a'));
    give(acceptor, bytes);
    CHECK(acceptor.state() == State::kMalformed);
    CHECK(acceptor.take_output().empty());
    return acceptor.error();
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(error_of("GET / HTTP/1.1\r\n"), Contains("HTTP"));
  CHECK_THAT(error_of("*1\r\n$4\r\nPING\r\n"), Contains("Redis"));
  CHECK_THAT(error_of(std::string_view("\x16\x03\x01\x02\x00\x01", 6)), Contains("TLS"));
  CHECK_THAT(error_of(std::string_view("\0\xff\"\n", 4)), Contains("\\x00\\xff\\x22\\x0a"));
  CHECK_THAT(error_of("x"), Contains("x"));
}

TEST_CASE("a stranger's record is held to the limit before it is read", "[handshake]") {
  const Membership two = member(2);
  Handshake acceptor = Handshake::accept(two, nonce('a'));
  ByteWriter head;
  head.bytes(kRecordMagic);
  head.u8(1);
  head.u16(kRecordBytesMax + 1);
  CHECK(give(acceptor, head.str()) == kRecordHeadBytes);
  CHECK(acceptor.state() == State::kMalformed);

  // A name of more bytes than names have; a record out of turn.
  Handshake second = Handshake::accept(two, nonce('a'));
  ByteWriter body;
  body.u16(1);
  body.u16(1);
  body.bytes(std::string(32, 'n'));
  body.varint(2);
  body.string(std::string(kNameBytesMax + 1, 'c'));
  ByteWriter record;
  record.bytes(kRecordMagic);
  record.u8(1);
  record.u16(static_cast<std::uint16_t>(body.str().size()));
  record.bytes(body.str());
  give(second, record.str());
  CHECK(second.state() == State::kMalformed);
}

TEST_CASE("the digest of a member list knows names and their order", "[handshake]") {
  CHECK(members_digest({"a", "b"}) == members_digest({"a", "b"}));
  CHECK(members_digest({"a", "b"}) != members_digest({"b", "a"}));
  CHECK(members_digest({"ab", ""}) != members_digest({"a", "b"}));
}

}  // namespace holdfast::transport::test
