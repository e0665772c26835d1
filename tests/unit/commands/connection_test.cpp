#include <catch2/catch.hpp>

#include <string>

#include "tests/unit/commands/fixture.hpp"

using namespace holdfast;
using namespace holdfast::commands;

namespace {

const std::string kWrongPass =
    error("WRONGPASS invalid username-password pair or user is disabled.");

config::Options with_password() {
  config::Options options;
  options.security.requirepass = "secret";
  return options;
}

client::Client& stranger(Server& server) {
  client::Client& one = server.connect();
  one.authenticated = false;
  one.parser.limits().authenticated = false;
  return one;
}

}  // namespace

TEST_CASE("PING and ECHO answer with what they were given", "[connection]") {
  Server server;
  CHECK(server.run({"PING"}) == "+PONG\r\n");
  CHECK(server.run({"PING", std::string("a\0b", 3)}) == bulk(std::string("a\0b", 3)));
  CHECK(server.run({"PING", "a", "b"}) ==
        error("ERR wrong number of arguments for 'ping' command"));
  const std::string large(100'000, 'x');
  CHECK(server.run({"ECHO", large}) == bulk(large));
}

TEST_CASE("AUTH opens the connection and its limits for the right password alone", "[connection]") {
  Server server(with_password());
  client::Client& one = stranger(server);
  CHECK(server.run_as(one, {"AUTH", "secre"}) == kWrongPass);
  CHECK(server.run_as(one, {"AUTH", "secrets"}) == kWrongPass);
  CHECK(server.run_as(one, {"AUTH", ""}) == kWrongPass);
  CHECK(server.run_as(one, {"AUTH", "Default", "secret"}) == kWrongPass);
  CHECK(server.run_as(one, {"AUTH", "a", "b", "c"}) == error("ERR syntax error"));
  CHECK_FALSE(one.authenticated);
  CHECK(server.run_as(one, {"AUTH", "default", "secret"}) == kOk);
  CHECK(one.authenticated);
  CHECK(one.parser.limits().authenticated);
  CHECK(server.run_as(one, {"AUTH", "wrong"}) == kWrongPass);
  CHECK(one.authenticated);
}

TEST_CASE("AUTH without a configured password says so", "[connection]") {
  Server server;
  CHECK(server.run({"AUTH", "x"}) ==
        error("ERR AUTH <password> called without any password configured for the default user. "
              "Are you sure your configuration is correct?"));
  CHECK(server.run({"AUTH", "default", "anything"}) == kOk);
  CHECK(server.run({"AUTH", "nobody", "anything"}) == kWrongPass);
}

TEST_CASE("HELLO chooses the protocol and greets in it", "[connection]") {
  Server server;
  const std::string id = number(static_cast<std::int64_t>(server.client->id.value));
  const auto greeting = [&](const std::string& head, int version) {
    return head + bulk("server") + bulk("redis") + bulk("version") + bulk("7.2.4") + bulk("proto") +
           number(version) + bulk("id") + id + bulk("mode") + bulk("standalone") + bulk("role") +
           bulk("master") + bulk("modules") + "*0\r\n";
  };
  CHECK(server.run({"HELLO"}) == greeting("*14\r\n", 2));
  CHECK(server.run({"HELLO", "3", "SETNAME", "web"}) == greeting("%7\r\n", 3));
  CHECK(server.client->name == "web");
  CHECK(server.run({"HELLO"}) == greeting("%7\r\n", 3));
  CHECK(server.run({"HELLO", "2"}) == greeting("*14\r\n", 2));
}

TEST_CASE("HELLO refuses what it does not know and keeps the protocol", "[connection]") {
  Server server;
  CHECK(server.run({"HELLO", "4"}) == error("NOPROTO unsupported protocol version"));
  CHECK(server.run({"HELLO", "x"}) ==
        error("ERR Protocol version is not an integer or out of range"));
  CHECK(server.run({"HELLO", "3", "SETNAME"}) ==
        error("ERR Syntax error in HELLO option 'SETNAME'"));
  CHECK(server.run({"HELLO", "3", "SETNAME", "a b"}) ==
        error("ERR Client names cannot contain spaces, newlines or special characters."));
  CHECK(server.client->version == resp::Version::kResp2);
}

TEST_CASE("HELLO authenticates, and is refused to strangers", "[connection]") {
  Server server(with_password());
  client::Client& one = stranger(server);
  CHECK(server.run_as(one, {"HELLO", "3"}).rfind("-NOAUTH HELLO must be called", 0) == 0);
  CHECK(one.version == resp::Version::kResp2);
  CHECK(server.run_as(one, {"HELLO", "3", "AUTH", "default", "no"}) == kWrongPass);
  CHECK(server.run_as(one, {"HELLO", "3", "AUTH", "default", "secret"}).rfind("%7\r\n", 0) == 0);
  CHECK(one.authenticated);
}

TEST_CASE("QUIT answers before the connection closes", "[connection]") {
  Server server;
  CHECK(server.run({"QUIT"}) == kOk);
  CHECK(server.client->fate == client::Fate::kCloseAfterReply);
}

TEST_CASE("RESET takes a connection back to its beginning", "[connection]") {
  Server server(with_password());
  server.run({"HELLO", "3", "SETNAME", "web"});
  server.run({"SELECT", "3"});
  server.run({"CLIENT", "NO-TOUCH", "ON"});
  server.run({"WATCH", "k"});
  server.run({"MULTI"});
  CHECK(server.run({"RESET"}) == "+RESET\r\n");
  CHECK(server.client->version == resp::Version::kResp2);
  CHECK(server.client->database == 0);
  CHECK(server.client->name.empty());
  CHECK_FALSE(server.client->no_touch);
  CHECK_FALSE(server.client->transaction.active);
  CHECK(server.state.watches.empty());
  CHECK_FALSE(server.client->authenticated);
  CHECK_FALSE(server.client->parser.limits().authenticated);
}

TEST_CASE("SELECT knows its databases", "[connection]") {
  Server server;
  CHECK(server.run({"SELECT", "15"}) == kOk);
  CHECK(server.client->database == 15);
  CHECK(server.run({"SELECT", "16"}) == error("ERR DB index is out of range"));
  CHECK(server.run({"SELECT", "-1"}) == error("ERR DB index is out of range"));
  CHECK(server.run({"SELECT", "x"}) == error("ERR value is not an integer or out of range"));
  CHECK(server.run({"SELECT", "2147483648"}) ==
        error("ERR value is out of range, value must between -2147483648 and 2147483647"));
  CHECK(server.client->database == 15);
}
