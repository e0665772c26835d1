#include <catch2/catch.hpp>

#include <map>
#include <sstream>
#include <string>

#include "tests/unit/commands/fixture.hpp"

using namespace holdfast;
using namespace holdfast::commands;

namespace {

std::map<std::string, std::string> info(Server& server, const std::vector<std::string>& sections) {
  std::vector<std::string> words{"INFO"};
  words.insert(words.end(), sections.begin(), sections.end());
  std::istringstream lines(server.run(words));
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    fields[line.substr(0, colon)] = line.substr(colon + 1, line.size() - colon - 2);
  }
  return fields;
}

}  // namespace

TEST_CASE("CONFIG SET changes options and tells the host; a mistake changes nothing", "[server]") {
  Server server;
  CHECK(server.run({"CONFIG", "SET", "maxmemory", "1mb", "timeout", "7"}) == kOk);
  CHECK(server.state.effects.options_changed);
  CHECK(server.state.options.memory.maxmemory == 1024 * 1024);
  CHECK(server.run({"CONFIG", "GET", "timeout"}) == "*2\r\n" + bulk("timeout") + bulk("7"));
  server.state.effects = {};
  CHECK(server.run({"CONFIG", "SET", "timeout", "8", "nosuch", "1"})
            .rfind("-ERR Unknown option", 0) == 0);
  CHECK(server.run({"CONFIG", "SET", "timeout", "8", "maxmemory"}) == error("ERR syntax error"));
  CHECK(server.state.options.server.timeout_s == 7);
  CHECK_FALSE(server.state.effects.options_changed);
}

TEST_CASE("CONFIG SET maxclients beyond what the system has room for is refused in Redis's words",
          "[server]") {
  Server server;
  server.host.clients_max = 11'000;
  CHECK(server.run({"CONFIG", "SET", "timeout", "7", "maxclients", "11001"}) ==
        error("ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating "
              "system is not able to handle the specified number of clients, try with 11000"));
  CHECK(server.state.options.server.maxclients == 10'000);
  CHECK(server.state.options.server.timeout_s == 0);
  CHECK_FALSE(server.state.effects.options_changed);
  CHECK(server.run({"CONFIG", "SET", "maxclients", "11000"}) == kOk);
  // Less than there was is always granted.
  server.host.clients_max = 1;
  CHECK(server.run({"CONFIG", "SET", "maxclients", "10"}) == kOk);
  CHECK(server.state.options.server.maxclients == 10);
}

TEST_CASE("CONFIG GET answers with a map in RESP3", "[server]") {
  Server server;
  server.run({"HELLO", "3"});
  CHECK(server.run({"CONFIG", "GET", "nosuch"}) == "%0\r\n");
  CHECK(server.run({"CONFIG", "GET", "databases"}) == "%1\r\n" + bulk("databases") + bulk("16"));
}

TEST_CASE("CONFIG REWRITE needs a file", "[server]") {
  Server server;
  CHECK(server.run({"CONFIG", "REWRITE"}) ==
        error("ERR The server is running without a config file"));
  CHECK(server.host.rewrites == 0);
  server.host.shown.config_file = "/etc/holdfast.yaml";
  CHECK(server.run({"CONFIG", "REWRITE"}) == kOk);
  CHECK(server.host.rewrites == 1);
}

TEST_CASE("CONFIG RESETSTAT sets counters to zero, the host's too", "[server]") {
  Server server;
  server.host.shown.network.connections_received = 10;
  server.host.shown.network.input_bytes = 1000;
  server.host.shown.network.reads = 7;
  server.run({"GET", "missing"});
  CHECK(info(server, {"stats"})["keyspace_misses"] == "1");
  CHECK(info(server, {"stats"})["total_connections_received"] == "10");
  CHECK(server.run({"CONFIG", "RESETSTAT"}) == kOk);
  server.host.shown.network.connections_received = 11;
  server.host.shown.network.reads = 9;
  const auto shown = info(server, {"stats"});
  CHECK(shown.at("keyspace_misses") == "0");
  CHECK(shown.at("total_connections_received") == "1");
  CHECK(shown.at("total_net_input_bytes") == "0");
  CHECK(shown.at("total_reads_processed") == "2");
  CHECK(server.state.statistics.by_command.size() == command_numbers());
}

TEST_CASE("INFO shows the sections that were asked for", "[server]") {
  Server server;
  const auto has = [&](const std::vector<std::string>& words, const std::string& title) {
    return server.run(words).find("# " + title + "\r\n") != std::string::npos;
  };
  CHECK(has({"INFO"}, "Server"));
  CHECK(has({"INFO"}, "Modules"));
  CHECK_FALSE(has({"INFO"}, "Commandstats"));
  CHECK(has({"INFO", "all"}, "Commandstats"));
  CHECK(has({"INFO", "all"}, "Modules"));
  CHECK(has({"INFO", "everything"}, "Modules"));
  CHECK(has({"INFO", "cpu", "MEMORY"}, "Memory"));
  CHECK_FALSE(has({"INFO", "cpu", "MEMORY"}, "Server"));
  CHECK(server.run({"INFO", "nosuch"}) == bulk(""));
  server.run({"HELLO", "3"});
  CHECK(server.run({"INFO", "cluster"}) == "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
}

TEST_CASE("INFO keyspace counts keys and those that expire, by database", "[server]") {
  Server server;
  CHECK(server.run({"INFO", "keyspace"}) == bulk("# Keyspace\r\n"));
  server.run({"SET", "a", "1"});
  server.run({"SELECT", "2"});
  server.run({"SET", "b", "1", "PX", "100000"});
  server.run({"SET", "c", "1"});
  const auto shown = info(server, {"keyspace"});
  CHECK(shown.at("db0") == "keys=1,expires=0,avg_ttl=0");
  CHECK(shown.at("db2") == "keys=2,expires=1,avg_ttl=100000");
}

TEST_CASE("INFO tells the version that drivers know, and Holdfast's own", "[server]") {
  Server server;
  const auto shown = info(server, {});
  CHECK(shown.at("redis_version") == "7.2.4");
  CHECK(shown.at("holdfast_version") == HOLDFAST_VERSION);
  CHECK(shown.at("role") == "master");
  CHECK(shown.at("run_id") == std::string(40, 'a'));
}

TEST_CASE("MEMORY USAGE grows with the value and checks SAMPLES", "[server]") {
  Server server;
  server.run({"SET", "small", "x"});
  server.run({"SET", "large", std::string(100'000, 'x')});
  const auto bytes = [&](const std::string& key) {
    return std::stoll(server.run({"MEMORY", "USAGE", key}).substr(1));
  };
  CHECK(bytes("small") > 0);
  CHECK(bytes("small") < 100);
  CHECK(bytes("large") >= 100'000);
  CHECK(server.run({"MEMORY", "USAGE", "missing"}) == kNull);
  CHECK(server.run({"MEMORY", "USAGE", "small", "SAMPLES", "-1"}) == error("ERR syntax error"));
  CHECK(server.run({"MEMORY", "USAGE", "small", "SAMPLES"}) == error("ERR syntax error"));
}

TEST_CASE("SLOWLOG GET shows the newest first, ten unless told", "[server]") {
  Server server;
  const std::string word = "PING";
  const resp::Argument argument{word, nullptr};
  for (int i = 0; i < 12; ++i)
    server.state.slow_log.add(*find_command("ping"), {&argument, 1}, 1000, 20 + i, "127.0.0.1:1",
                              "web", 128);
  CHECK(server.run({"SLOWLOG", "LEN"}) == number(12));
  CHECK(server.run({"SLOWLOG", "GET", "1"}) == "*1\r\n*6\r\n" + number(11) + number(1000) +
                                                   number(31) + "*1\r\n" + bulk("PING") +
                                                   bulk("127.0.0.1:1") + bulk("web"));
  CHECK(server.run({"SLOWLOG", "GET"}).rfind("*10\r\n", 0) == 0);
  CHECK(server.run({"SLOWLOG", "GET", "-1"}).rfind("*12\r\n", 0) == 0);
  CHECK(server.run({"SLOWLOG", "GET", "-2"}) ==
        error("ERR count should be greater than or equal to -1"));
  CHECK(server.run({"SLOWLOG", "RESET"}) == kOk);
  CHECK(server.run({"SLOWLOG", "LEN"}) == number(0));
}

TEST_CASE("the peak of memory that was shown once never goes down", "[server]") {
  Server server;
  const auto fact = [&](const std::string& name) {
    const std::string text = server.run({"INFO", "memory"});
    const std::size_t at = text.find("\n" + name + ":");
    REQUIRE(at != std::string::npos);
    return std::stod(text.substr(at + name.size() + 2));
  };
  server.run({"SET", "k", std::string(100'000, 'v')});
  const double peak = fact("used_memory_peak");
  CHECK(peak > 100'000);
  server.run({"DEL", "k"});
  CHECK(fact("used_memory") < 100'000);
  CHECK(fact("used_memory_peak") == peak);
  CHECK(fact("allocator_active") >= fact("allocator_allocated"));
  CHECK(fact("allocator_frag_ratio") >= 1);
  server.run({"CONFIG", "RESETSTAT"});
  CHECK(fact("used_memory_peak") < peak);
}

TEST_CASE("SLOWLOG keeps no passwords", "[server]") {
  Server server;
  const auto kept = [&](const CommandSpec* spec, const std::vector<std::string>& words) {
    REQUIRE(spec != nullptr);
    std::vector<resp::Argument> arguments;
    for (const std::string& word : words) arguments.push_back({word, nullptr});
    server.state.slow_log.add(*spec, arguments, 1000, 20, "127.0.0.1:1", "", 128);
    return server.state.slow_log.entries().front().arguments;
  };
  using Words = std::vector<std::string>;
  const std::string x = "(redacted)";
  CHECK(kept(find_command("auth"), {"AUTH", "pw"}) == Words{"AUTH", x});
  CHECK(kept(find_command("auth"), {"AUTH", "me", "pw"}) == Words{"AUTH", x, x});
  CHECK(kept(find_command("hello"), {"HELLO", "3", "SETNAME", "auth", "Auth", "me", "pw"}) ==
        Words{"HELLO", "3", "SETNAME", "auth", "Auth", x, x});
  CHECK(kept(find_command("hello"), {"HELLO", "3", "AUTH", "me", "pw", "SETNAME", "n"}) ==
        Words{"HELLO", "3", "AUTH", x, x, "SETNAME", "n"});
  const CommandSpec* config_set = find_subcommand(*find_command("config"), "set");
  CHECK(
      kept(config_set, {"CONFIG", "SET", "timeout", "5", "RequirePass", "pw", "masterauth", ""}) ==
      Words{"CONFIG", "SET", "timeout", "5", "RequirePass", x, "masterauth", x});
  CHECK(kept(config_set, {"CONFIG", "SET", "timeout", "requirepass", "timeout", "5"}) ==
        Words{"CONFIG", "SET", "timeout", "requirepass", "timeout", "5"});
}

TEST_CASE("DEBUG is refused unless allowed", "[server]") {
  Server refused;
  CHECK(refused.run({"DEBUG", "SLEEP", "1"}).rfind("-ERR DEBUG command not allowed.", 0) == 0);
  CHECK_FALSE(refused.state.effects.sleep_us.has_value());

  config::Options options;
  options.debug.enable_debug_command = true;
  Server server(options);
  CHECK(server.run({"DEBUG", "SLEEP", "0.25"}) == kOk);
  CHECK(server.state.effects.sleep_us == 250'000);
  CHECK(server.run({"DEBUG", "OBJECT", "missing"}) == error("ERR no such key"));
  server.run({"SET", "k", "12"});
  CHECK(server.run({"DEBUG", "OBJECT", "k"}).find(" encoding:int ") != std::string::npos);
  CHECK(server.run({"DEBUG", "RELOAD"}) ==
        error("ERR unknown subcommand or wrong number of arguments for 'RELOAD'. Try DEBUG HELP."));
}

TEST_CASE("SHUTDOWN says nothing and never pretends to save", "[server]") {
  Server server;
  CHECK(server.run({"SHUTDOWN", "NOSAVE", "SAVE"}) == error("ERR syntax error"));
  CHECK(server.run({"SHUTDOWN", "ABORT"}) == error("ERR No shutdown in progress."));
  CHECK(server.run({"SHUTDOWN", "SAVE"}).rfind("-ERR Errors trying to SHUTDOWN.", 0) == 0);
  CHECK_FALSE(server.state.effects.shutdown.has_value());
  CHECK(server.run({"SHUTDOWN", "NOSAVE", "NOW", "FORCE"}).empty());
  CHECK(server.state.effects.shutdown == 0);
}

TEST_CASE("a lone node has no replicas, saves nothing and is no cluster", "[server]") {
  Server server;
  CHECK(server.run({"ROLE"}) == "*3\r\n" + bulk("master") + number(0) + "*0\r\n");
  CHECK(server.run({"WAIT", "0", "0"}) == number(0));
  CHECK(server.run({"WAIT", "2", "100000"}) == number(0));
  CHECK(server.run({"WAIT", "1", "-1"}) == error("ERR timeout is negative"));
  CHECK(server.run({"REPLICAOF", "no", "ONE"}) == kOk);
  CHECK(server.run({"REPLICAOF", "a", "70000"}) == error("ERR Invalid master port"));
  CHECK(server.run({"SLAVEOF", "a", "6379"}).rfind("-ERR the members of a cluster decide", 0) == 0);
  CHECK(server.run({"SAVE"}).rfind("-ERR persistence is off", 0) == 0);
  CHECK(server.run({"BGSAVE", "SCHEDULE"}).rfind("-ERR persistence is off", 0) == 0);
  CHECK(server.run({"LASTSAVE"}) == number(1'700'000'000));
  for (const std::string name : {"READONLY", "READWRITE", "ASKING"}) {
    CHECK(server.run({name}) == error("ERR This instance has cluster support disabled"));
  }
  CHECK(server.run({"CLUSTER", "SLOTS"}) ==
        error("ERR This instance has cluster support disabled"));
}

TEST_CASE("TIME is that of the event", "[server]") {
  Server server;
  server.now.unix_us = 1'700'000'000'000'042;
  CHECK(server.run({"TIME"}) == "*2\r\n" + bulk("1700000000") + bulk("42"));
}

TEST_CASE("ACL shows the one user, and of the password its hash", "[server]") {
  config::Options options;
  options.security.requirepass = "secret";
  Server server(options);
  const std::string hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
  CHECK(server.run({"ACL", "WHOAMI"}) == bulk("default"));
  CHECK(server.run({"ACL", "LIST"}) ==
        "*1\r\n" + bulk("user default on #" + hash + " ~* &* +@all"));
  const std::string shown = server.run({"ACL", "GETUSER", "default"});
  CHECK(shown.find(bulk("passwords") + "*1\r\n" + bulk(hash)) != std::string::npos);
  CHECK(shown.find("nopass") == std::string::npos);
  CHECK(shown.find("secret") == std::string::npos);
  CHECK(server.run({"ACL", "GETUSER", "nobody"}) == kNull);
  CHECK(server.run({"ACL", "CAT", "nosuch"}) == error("ERR Unknown category 'nosuch'"));
  server.run({"CONFIG", "SET", "requirepass", ""});
  CHECK(server.run({"ACL", "LIST"}) == "*1\r\n" + bulk("user default on nopass ~* &* +@all"));
}
