#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/commands/fixture.hpp"

using namespace holdfast;
using namespace holdfast::commands;

namespace {

std::string id_of(const client::Client& one) {
  return std::to_string(one.id.value);
}

}  // namespace

TEST_CASE("a client's name is one plain word, and an empty one takes it away", "[client]") {
  Server server;
  CHECK(server.run({"CLIENT", "GETNAME"}) == kNull);
  CHECK(server.run({"CLIENT", "SETNAME", "web-1"}) == kOk);
  CHECK(server.run({"CLIENT", "GETNAME"}) == bulk("web-1"));
  for (const std::string bad : {"a b", "a\n", "\x7f", "\xc3\xa9"}) {
    CHECK(server.run({"CLIENT", "SETNAME", bad}) ==
          error("ERR Client names cannot contain spaces, newlines or special characters."));
  }
  CHECK(server.run({"CLIENT", "GETNAME"}) == bulk("web-1"));
  CHECK(server.run({"CLIENT", "SETNAME", ""}) == kOk);
  CHECK(server.run({"CLIENT", "GETNAME"}) == kNull);
}

TEST_CASE("CLIENT SETINFO keeps the library's name and version", "[client]") {
  Server server;
  CHECK(server.run({"CLIENT", "SETINFO", "LIB-NAME", "redis-py"}) == kOk);
  CHECK(server.run({"client", "setinfo", "lib-ver", "8.0"}) == kOk);
  CHECK(server.run({"CLIENT", "SETINFO", "LIB-NAME", "a b"}) ==
        error("ERR lib-name cannot contain spaces, newlines or special characters."));
  CHECK(server.run({"CLIENT", "SETINFO", "color", "red"}) ==
        error("ERR Unrecognized option 'color'"));
  CHECK(server.run({"CLIENT", "INFO"}).find(" lib-name=redis-py lib-ver=8.0\n") !=
        std::string::npos);
}

TEST_CASE("CLIENT INFO describes the connection", "[client]") {
  Server server;
  server.run({"SELECT", "3"});
  server.run({"CLIENT", "SETNAME", "me"});
  server.advance_ms(5500);
  const std::string line = server.run({"CLIENT", "INFO"});
  CHECK(line.find("id=" + id_of(*server.client) +
                  " addr=127.0.0.1:50000 laddr=127.0.0.1:6379 fd=8 name=me age=5 ") !=
        std::string::npos);
  CHECK(line.find(" flags=N db=3 sub=0 psub=0 ssub=0 multi=-1 ") != std::string::npos);
  CHECK(line.find(" cmd=client|info user=default redir=-1 resp=2 ") != std::string::npos);
}

TEST_CASE("CLIENT LIST chooses by id and type", "[client]") {
  Server server;
  client::Client& other = server.connect();
  server.run_as(other, {"MULTI"});
  const auto lines = [&](const std::vector<std::string>& words) {
    const std::string reply = server.run(words);
    return std::count(reply.begin(), reply.end(), '\n') - 2;  // the bulk string has two of its own
  };
  CHECK(lines({"CLIENT", "LIST"}) == 2);
  CHECK(lines({"CLIENT", "LIST", "TYPE", "normal"}) == 2);
  CHECK(server.run({"CLIENT", "LIST", "TYPE", "pubsub"}) == bulk(""));
  CHECK(lines({"CLIENT", "LIST", "ID", id_of(other), "999"}) == 1);
  CHECK(server.run({"CLIENT", "LIST", "ID", id_of(other)}).find(" flags=x ") != std::string::npos);
  CHECK(server.run({"CLIENT", "LIST", "ID", "x"}) == error("ERR Invalid client ID"));
  CHECK(server.run({"CLIENT", "LIST", "TYPE", "odd"}) == error("ERR Unknown client type 'odd'"));
  CHECK(server.run({"CLIENT", "LIST", "TYPE"}) == error("ERR syntax error"));
}

TEST_CASE("CLIENT KILL leaves others to the host and answers itself first", "[client]") {
  Server server;
  client::Client& other = server.connect();
  other.info.peer_address = "127.0.0.1:50001";
  auto& closing = server.state.effects.close;

  SECTION("by address, the old form") {
    CHECK(server.run({"CLIENT", "KILL", "127.0.0.1:1"}) == error("ERR No such client"));
    CHECK(server.run({"CLIENT", "KILL", "127.0.0.1:50001"}) == kOk);
    REQUIRE(closing.size() == 1);
    CHECK(closing.front().id == other.id);
  }
  SECTION("by several conditions at once") {
    CHECK(server.run({"CLIENT", "KILL", "ID", id_of(other), "ADDR", "127.0.0.1:1"}) == number(0));
    CHECK(server.run({"CLIENT", "KILL", "ID", id_of(other), "TYPE", "normal", "USER", "default"}) ==
          number(1));
    REQUIRE(closing.size() == 1);
    CHECK(closing.front().id == other.id);
  }
  SECTION("a client is counted once") {
    CHECK(server.run({"CLIENT", "KILL", "TYPE", "normal"}) == number(1));
    CHECK(server.run({"CLIENT", "KILL", "TYPE", "normal"}) == number(0));
    CHECK(closing.size() == 1);
    CHECK(server.run({"CLIENT", "LIST"}).find("id=" + id_of(other) + " ") == std::string::npos);
    CHECK(server.run({"CLIENT", "LIST", "ID", id_of(other)}) == "$0\r\n\r\n");
    CHECK(server.client->fate == client::Fate::kOpen);
  }
  SECTION("itself, when asked to") {
    CHECK(server.run({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"}) == number(2));
    CHECK(server.client->fate == client::Fate::kCloseAfterReply);
    REQUIRE(closing.size() == 1);
    CHECK(closing.front().id == other.id);
  }
  SECTION("nobody, on a mistake") {
    CHECK(server.run({"CLIENT", "KILL", "ID", "0"}) ==
          error("ERR client-id should be greater than 0"));
    CHECK(server.run({"CLIENT", "KILL", "USER", "nobody"}) == error("ERR No such user 'nobody'"));
    CHECK(server.run({"CLIENT", "KILL", "SKIPME", "maybe"}) == error("ERR syntax error"));
    CHECK(server.run({"CLIENT", "KILL", "ID", id_of(other), "TYPE"}) == error("ERR syntax error"));
    CHECK(closing.empty());
  }
}

TEST_CASE("CLIENT PAUSE is only made longer and wider until it ends", "[client]") {
  Server server;
  const auto mode_at = [&](std::int64_t ms) {
    return server.state.pause.at(server.now.unix_ms + ms);
  };
  CHECK(server.run({"CLIENT", "PAUSE", "1000", "WRITE"}) == kOk);
  CHECK(mode_at(999) == PauseMode::kWrites);
  CHECK(mode_at(1000) == PauseMode::kNone);
  CHECK(server.run({"CLIENT", "PAUSE", "10"}) == kOk);
  CHECK(mode_at(999) == PauseMode::kAll);
  CHECK(server.run({"CLIENT", "UNPAUSE"}) == kOk);
  CHECK(mode_at(0) == PauseMode::kNone);
  CHECK(server.run({"CLIENT", "PAUSE", "10", "WRITE"}) == kOk);
  CHECK(mode_at(0) == PauseMode::kWrites);
  CHECK(mode_at(10) == PauseMode::kNone);
  CHECK(server.run({"CLIENT", "PAUSE", "9223372036854775807"}) ==
        error("ERR timeout is out of range"));
  CHECK(server.run({"CLIENT", "PAUSE", "-1"}) == error("ERR timeout is negative"));
  CHECK(server.run({"CLIENT", "PAUSE", "1", "READ"}) ==
        error("ERR CLIENT PAUSE mode must be WRITE or ALL"));
}

TEST_CASE("CLIENT REPLY OFF and SKIP answer nothing", "[client]") {
  Server server;
  CHECK(server.run({"CLIENT", "REPLY", "SKIP"}).empty());
  CHECK(server.client->skips_next);
  CHECK(server.run({"CLIENT", "REPLY", "OFF"}).empty());
  CHECK(server.run({"CLIENT", "REPLY", "SKIP"}).empty());
  CHECK(server.client->reply_mode == client::ReplyMode::kOff);
  CHECK(server.run({"CLIENT", "REPLY", "ON"}) == kOk);
  CHECK(server.client->reply_mode == client::ReplyMode::kOn);
}

TEST_CASE("what drivers probe for and this server lacks is not among CLIENT's subcommands",
          "[client]") {
  const CommandSpec* client = find_command("client");
  REQUIRE(client != nullptr);
  for (const char* name : {"MAINT_NOTIFICATIONS", "CAPA", "TRACKING", "CACHING"}) {
    CHECK(find_subcommand(*client, name) == nullptr);
  }
  CHECK(find_command("SENTINEL") == nullptr);
}
