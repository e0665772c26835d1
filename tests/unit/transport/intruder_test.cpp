// Who comes to the peer port and is not what a peer should be.
#include <algorithm>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "base/bytes.hpp"
#include "protocol/wire/codec.hpp"
#include "tests/unit/transport/cluster.hpp"

namespace holdfast::transport::test {

namespace {

using Events = std::vector<std::string>;

Nonce nonce(char fill) {
  Nonce bytes;
  bytes.fill(fill);
  return bytes;
}

std::string frame(const wire::Message& message) {
  RopeArena arena;
  return wire::encode_frame(message, arena).str();
}

struct Besieged {
  explicit Besieged(LinkLimits limits = {}, std::size_t handshakes_max = 32)
      : two(io, member(2), limits, "127.0.0.1", handshakes_max) {
    port = two.listen();
  }
  // A stranger who knows all that member 1 knows.
  bool links(Stranger& stranger) {
    Handshake handshake = Handshake::dial(one, NodeId{2}, nonce('d'));
    return stranger.shakes_hands(handshake) && handshake.state() == Handshake::State::kDone;
  }

  asio::io_context io;
  Membership one = member(1);
  Member two;
  std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("both members log why they refuse each other, and no secret", "[intruder]") {
  struct Case {
    Membership two;
    std::string reason;
  };
  const Case cases[] = {
      {member(2, "otherwise"), "reason=wrong_secret"},
      {member(2, "secret", kNames, "bank"), "reason=other_cluster"},
      {member(2, "secret", {"zoe", "ben", "cia"}), "reason=unknown_node"},
      {member(2, "secret", {"ada", "ben"}), "reason=unequal_member_list"},
      {member(2, "secret", kNames, "shop", 4), "reason=unequal_databases"},
      {member(3), "reason=wrong_node"},
      {member(1), "reason=own_name"},
  };
  for (const Case& each : cases) {
    INFO(each.reason);
    asio::io_context io;
    Member one(io, member(1));
    Member two(io, each.two);
    one.listen();
    one.knows(NodeId{2}, two.listen());
    one.network().dial();
    REQUIRE(run_until(io, [&] { return one.logged(each.reason) && two.logged(each.reason); }));
    CHECK(one.logged("refused_by=peer"));
    CHECK(two.logged("refused_by=us"));
    CHECK(two.logged("claims=\"ada\""));
    CHECK(one.events.empty());
    CHECK(two.events.empty());
    CHECK_FALSE(one.logged("otherwise"));
    CHECK_FALSE(two.logged("otherwise"));
  }
}

TEST_CASE("what was recorded of a member opens no link", "[intruder]") {
  Besieged besieged;
  Stranger honest(besieged.io, besieged.port);
  Handshake handshake = Handshake::dial(besieged.one, NodeId{2}, nonce('d'));
  const std::string hello = handshake.take_output();
  honest.say(hello);
  REQUIRE(honest.hears(kRecordHeadBytes + 2 + 32));
  handshake.receive(honest.heard());
  const std::string proof = handshake.take_output();
  honest.say(proof);
  REQUIRE(run_until(besieged.io, [&] { return besieged.two.connects == 1; }));

  Stranger replayer(besieged.io, besieged.port);
  replayer.say(hello + proof);
  CHECK(replayer.is_hung_up_on());
  CHECK(besieged.two.connects == 1);
  CHECK(besieged.two.logged("reason=wrong_secret"));
}

TEST_CASE("a mirror is no peer", "[intruder]") {
  asio::io_context io;
  asio::ip::tcp::acceptor mirror(io, {asio::ip::address_v4::loopback(), 0});
  mirror.non_blocking(true);
  Member one(io, member(1));
  one.listen();
  one.knows(NodeId{2}, mirror.local_endpoint().port());
  one.network().dial();
  std::unique_ptr<Stranger> reflection;
  REQUIRE(run_until(io, [&] {
    std::error_code none;
    asio::ip::tcp::socket socket(io);
    mirror.accept(socket, none);
    if (!none) reflection = std::make_unique<Stranger>(io, std::move(socket));
    return reflection != nullptr;
  }));
  REQUIRE(reflection->hears(kRecordHeadBytes));
  reflection->say(reflection->heard());
  CHECK(reflection->is_hung_up_on());
  REQUIRE(run_until(io, [&] { return one.logged("reason=malformed"); }));
  CHECK(one.events.empty());
}

TEST_CASE("garbage closes its connection and disturbs nobody", "[intruder]") {
  Besieged besieged;
  Stranger linked(besieged.io, besieged.port);
  REQUIRE(besieged.links(linked));
  for (const std::string& bytes :
       {std::string("POST / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string("*1\r\n$4\r\nPING\r\n"),
        std::string("\x16\x03\x01\0\xff", 5), std::string(100'000, '\xff'),
        std::string(kRecordMagic) + "\1\xff\xff"}) {
    Stranger stranger(besieged.io, besieged.port);
    stranger.say(bytes);
    CHECK(stranger.is_hung_up_on());
    CHECK(stranger.heard().empty());
  }
  CHECK(besieged.two.logged("an HTTP request"));
  linked.say(frame(heartbeat(1)));
  REQUIRE(run_until(besieged.io, [&] { return besieged.two.received == 1; }));
  CHECK(besieged.two.events == Events{"connected 1", "1 says 1"});
}

TEST_CASE("a stranger at every byte of a handshake leaves nothing behind", "[intruder]") {
  Besieged besieged;
  Handshake handshake = Handshake::dial(besieged.one, NodeId{2}, nonce('d'));
  const std::string hello = handshake.take_output();
  for (std::size_t length = 0; length <= hello.size(); ++length) {
    Stranger stranger(besieged.io, besieged.port);
    stranger.say(std::string_view(hello).substr(0, length));
  }
  Stranger linked(besieged.io, besieged.port);
  CHECK(besieged.links(linked));
  CHECK(besieged.two.events == Events{"connected 1"});
}

TEST_CASE("a link that brings a malformed frame is closed", "[intruder]") {
  std::string damaged = frame(heartbeat(2));
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  std::string oversize(wire::kFrameHeadBytes, '\0');
  put_u16(put_u32(oversize.data(), wire::kFrameBytesMax + 1), wire::kWireVersion);
  for (const std::string& bytes : {damaged, oversize, std::string("*1\r\n$4\r\nPING\r\n")}) {
    Besieged besieged;
    Stranger linked(besieged.io, besieged.port);
    REQUIRE(besieged.links(linked));
    linked.say(frame(heartbeat(1)) + bytes + frame(heartbeat(3)));
    CHECK(linked.is_hung_up_on());
    CHECK(besieged.two.events == Events{"connected 1", "1 says 1", "lost 1"});
    CHECK(besieged.two.logged("reason=malformed"));
  }
}

TEST_CASE("frames that come with the last word of a handshake are heard", "[intruder]") {
  Besieged besieged;
  Stranger stranger(besieged.io, besieged.port);
  Handshake handshake = Handshake::dial(besieged.one, NodeId{2}, nonce('d'));
  stranger.say(handshake.take_output());
  REQUIRE(stranger.hears(kRecordHeadBytes + 2 + 32));
  handshake.receive(stranger.heard());
  // A peer waits for the proof that it is answered with; nothing hangs on it here.
  stranger.say(handshake.take_output() + frame(heartbeat(1)) + frame(heartbeat(2)));
  REQUIRE(run_until(besieged.io, [&] { return besieged.two.received == 2; }));
  CHECK(besieged.two.events == Events{"connected 1", "1 says 1", "1 says 2"});
}

TEST_CASE("who says nothing is dropped when the time for it is over", "[intruder]") {
  LinkLimits limits;
  limits.handshake_max = std::chrono::milliseconds(50);
  Besieged besieged(limits);
  Stranger silent(besieged.io, besieged.port);
  CHECK(silent.is_hung_up_on());
  CHECK(besieged.two.logged("reason=handshake_too_slow"));
}

TEST_CASE("the deadline of a handshake does not end a link", "[intruder]") {
  LinkLimits limits;
  limits.handshake_max = std::chrono::milliseconds(50);
  Besieged besieged(limits);
  Stranger linked(besieged.io, besieged.port);
  REQUIRE(besieged.links(linked));
  Stranger silent(besieged.io, besieged.port);
  REQUIRE(silent.is_hung_up_on());  // came later, so the other deadline has passed, too
  CHECK(besieged.two.events == Events{"connected 1"});
}

TEST_CASE("a new link to a peer closes the old one unread", "[intruder]") {
  Besieged besieged;
  Stranger old(besieged.io, besieged.port);
  REQUIRE(besieged.links(old));
  Stranger fresh(besieged.io, besieged.port);
  Handshake handshake = Handshake::dial(besieged.one, NodeId{2}, nonce('e'));
  fresh.say(handshake.take_output());
  REQUIRE(fresh.hears(kRecordHeadBytes + 2 + 32));
  handshake.receive(fresh.heard());
  // The last word of the handshake is there first, then what the old link still says.
  fresh.say(handshake.take_output());
  REQUIRE(run_until(besieged.io, [&] {
    if (besieged.two.connects == 2) return true;
    old.say(frame(heartbeat(7)));
    return false;
  }));
  const auto after = besieged.two.events.size();
  CHECK(old.is_hung_up_on());
  fresh.say(frame(heartbeat(1)));
  REQUIRE(run_until(besieged.io, [&] { return besieged.two.events.size() > after; }));
  CHECK(besieged.two.events.size() == after + 1);
  CHECK(besieged.two.events.back() == "1 says 1");
  CHECK(besieged.two.events[after - 2] == "lost 1");
  CHECK(besieged.two.events[after - 1] == "connected 1");
  CHECK(besieged.two.logged("displaced_by_new_link"));
}

TEST_CASE("silent strangers cannot keep a member out", "[intruder]") {
  Besieged besieged({}, 4);
  std::vector<std::unique_ptr<Stranger>> crowd;
  for (int i = 0; i < 20; ++i)
    crowd.push_back(std::make_unique<Stranger>(besieged.io, besieged.port));
  Stranger honest(besieged.io, besieged.port);
  REQUIRE(besieged.links(honest));
  int dropped = 0;
  for (auto& one : crowd) dropped += one->is_closed() ? 1 : 0;
  CHECK(dropped >= 16);
  CHECK(besieged.two.logged("too_many_handshakes"));
  // The log does not grow with the crowd.
  CHECK(std::count(besieged.two.log.begin(), besieged.two.log.end(), '\n') <= 13);
}

TEST_CASE("a flood from one address does not end another one's handshake", "[intruder]") {
  Besieged besieged({}, 4);
  Stranger honest(besieged.io, besieged.port);
  Handshake handshake = Handshake::dial(besieged.one, NodeId{2}, nonce('d'));
  honest.say(handshake.take_output());
  REQUIRE(honest.hears(kRecordHeadBytes + 2 + 32));
  std::vector<std::unique_ptr<Stranger>> crowd;
  for (int i = 0; i < 20; ++i) {
    asio::ip::tcp::socket socket(besieged.io, asio::ip::tcp::v4());
    socket.bind({asio::ip::make_address("127.0.0.2"), 0});
    socket.connect({asio::ip::address_v4::loopback(), besieged.port});
    crowd.push_back(std::make_unique<Stranger>(besieged.io, std::move(socket)));
  }
  REQUIRE(run_until(besieged.io, [&] {
    return std::count_if(crowd.begin(), crowd.end(),
                         [](const auto& one) { return one->is_closed(); }) >= 16;
  }));
  REQUIRE(honest.shakes_hands(handshake));
  CHECK(run_until(besieged.io, [&] { return besieged.two.connects == 1 || honest.is_closed(); }));
  CHECK(besieged.two.events == Events{"connected 1"});
}

TEST_CASE("without a secret only the loopback is spoken to", "[intruder]") {
  asio::io_context io;
  Member open(io, member(2, ""), {}, "0.0.0.0");
  const auto listening = open.network().listen();
  REQUIRE_FALSE(listening);
  CHECK(listening.error().message.find("secret") != std::string::npos);

  Member one(io, member(1, ""));
  one.listen();
  one.network().set_address(NodeId{2}, {"192.0.2.1", 7000});
  one.network().dial();
  CHECK(run_until(io, [&] { return one.logged("no cluster secret"); }));

  Member two(io, member(2, ""));
  one.knows(NodeId{2}, two.listen());
  CHECK(run_until(io, [&] { return one.connects == 1; }));
}

}  // namespace holdfast::transport::test
