#include <catch2/catch.hpp>

#include <string>

#include "server/commands/acl_categories.hpp"
#include "server/commands/command_docs.hpp"
#include "server/commands/command_facts.hpp"
#include "tests/unit/commands/fixture.hpp"

using namespace holdfast;
using namespace holdfast::commands;

namespace {

template <typename Visit>
void for_each_row(Visit visit) {
  for (const CommandSpec* spec : all_commands()) {
    visit(*spec);
    for (const CommandSpec& subcommand : spec->subcommands) visit(subcommand);
  }
}

}  // namespace

TEST_CASE("every command and subcommand is documented", "[introspection]") {
  for_each_row([](const CommandSpec& spec) {
    CAPTURE(spec.name);
    const CommandDocs docs = docs_of(spec);
    CHECK(docs.summary.size() > 10);
    CHECK(docs.summary.back() == '.');
    CHECK_FALSE(docs.since.empty());
    CHECK_FALSE(docs.group.empty());
    CHECK_FALSE(docs.complexity.empty());
  });
}

TEST_CASE("every command with keys says how it accesses them", "[introspection]") {
  for_each_row([](const CommandSpec& spec) {
    CAPTURE(spec.name);
    const auto keys = key_specifications(spec);
    CHECK(keys.empty() == (spec.keys.first == 0));
    for (const KeySpecification& one : keys) {
      const std::string access(one.flags.substr(0, 2));
      CHECK((access == "RO" || access == "RW" || access == "OW" || access == "RM"));
      if (spec.has(kReadonly)) CHECK(access == "RO");
    }
  });
}

TEST_CASE("every command is fast or slow, and what administers is dangerous", "[introspection]") {
  const auto in = [](const CommandSpec& spec, std::string_view category) {
    return is_in_category(spec, find_acl_category(category).value());
  };
  for_each_row([&](const CommandSpec& spec) {
    CAPTURE(spec.name);
    CHECK(in(spec, "fast") != in(spec, "slow"));
    if (in(spec, "admin")) CHECK(in(spec, "dangerous"));
  });
}

TEST_CASE("COMMAND INFO has Redis 7's ten parts", "[introspection]") {
  Server server;
  server.run({"HELLO", "3"});
  const std::string keys = "~1\r\n%3\r\n" + bulk("flags") + "~2\r\n+RO\r\n+access\r\n" +
                           bulk("begin_search") + "%2\r\n" + bulk("type") + bulk("index") +
                           bulk("spec") + "%1\r\n" + bulk("index") + number(1) + bulk("find_keys") +
                           "%2\r\n" + bulk("type") + bulk("range") + bulk("spec") + "%3\r\n" +
                           bulk("lastkey") + number(0) + bulk("keystep") + number(1) +
                           bulk("limit") + number(0);
  CHECK(server.run({"COMMAND", "INFO", "GET", "nosuch"}) ==
        "*2\r\n*10\r\n" + bulk("get") + number(2) + "~2\r\n+readonly\r\n+fast\r\n" + number(1) +
            number(1) + number(1) + "~3\r\n+@read\r\n+@string\r\n+@fast\r\n" + "~0\r\n" + keys +
            "~0\r\n" + "_\r\n");
}

TEST_CASE("COMMAND GETKEYS finds the keys", "[introspection]") {
  Server server;
  CHECK(server.run({"COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"}) ==
        "*2\r\n" + bulk("a") + bulk("b"));
  CHECK(server.run({"COMMAND", "GETKEYS", "rename", "a", "b"}) == "*2\r\n" + bulk("a") + bulk("b"));
  CHECK(server.run({"COMMAND", "GETKEYS", "OBJECT", "ENCODING", "k"}) == "*1\r\n" + bulk("k"));
  CHECK(server.run({"COMMAND", "GETKEYS", "ECHO", "x"}) ==
        error("ERR The command has no key arguments"));
  CHECK(server.run({"COMMAND", "GETKEYS", "nosuch", "k"}) ==
        error("ERR Invalid command specified"));
  CHECK(server.run({"COMMAND", "GETKEYS", "GET", "a", "b"}) ==
        error("ERR Invalid number of arguments specified for command"));
}

TEST_CASE("COMMAND GETKEYSANDFLAGS knows that SET GET reads", "[introspection]") {
  Server server;
  CHECK(server.run({"COMMAND", "GETKEYSANDFLAGS", "SET", "k", "v"}) ==
        "*1\r\n*2\r\n" + bulk("k") + "*2\r\n+OW\r\n+update\r\n");
  CHECK(server.run({"COMMAND", "GETKEYSANDFLAGS", "SET", "k", "v", "get"}) ==
        "*1\r\n*2\r\n" + bulk("k") + "*3\r\n+RW\r\n+access\r\n+update\r\n");
}

TEST_CASE("COMMAND LIST filters by pattern, category and module", "[introspection]") {
  Server server;
  CHECK(server.run({"COMMAND", "LIST", "FILTERBY", "PATTERN", "client|get*"}) ==
        "*2\r\n" + bulk("client|getname") + bulk("client|getredir"));
  CHECK(server.run({"COMMAND", "LIST", "FILTERBY", "ACLCAT", "transaction"}) ==
        "*5\r\n" + bulk("discard") + bulk("exec") + bulk("multi") + bulk("unwatch") +
            bulk("watch"));
  CHECK(server.run({"COMMAND", "LIST", "FILTERBY", "ACLCAT", "nosuch"}) == "*0\r\n");
  CHECK(server.run({"COMMAND", "LIST", "FILTERBY", "MODULE", "json"}) == "*0\r\n");
  CHECK(server.run({"COMMAND", "LIST", "FILTERBY", "odd", "x"}) == error("ERR syntax error"));
}
