#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <vector>

#include "server/commands/acl_categories.hpp"
#include "server/commands/command_arguments.hpp"
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

TEST_CASE("the notation of arguments is read whole", "[introspection]") {
  const auto arguments = parse_arguments(
      "key:key to:key1 ip:port!2.8.12 [EX=seconds:integer@2.6.12] [NX] "
      "choice@7.0.0(A-B|pair{field value}...) [more:double]...");
  REQUIRE(arguments.size() == 7);
  CHECK(arguments[0].name == "key");
  CHECK(arguments[0].type == "key");
  CHECK(arguments[0].key_specification == 0);
  CHECK(arguments[1].key_specification == 1);
  CHECK(arguments[2].name == "ip:port");
  CHECK(arguments[2].type == "string");
  CHECK(arguments[2].deprecated_since == "2.8.12");
  CHECK(arguments[2].key_specification == -1);
  CHECK(arguments[3].token == "EX");
  CHECK(arguments[3].name == "seconds");
  CHECK(arguments[3].type == "integer");
  CHECK(arguments[3].since == "2.6.12");
  CHECK(arguments[3].optional);
  CHECK(arguments[4].name == "nx");
  CHECK(arguments[4].token == "NX");
  CHECK(arguments[4].type == "pure-token");
  CHECK(arguments[5].type == "oneof");
  CHECK(arguments[5].since == "7.0.0");
  CHECK_FALSE(arguments[5].optional);
  REQUIRE(arguments[5].arguments.size() == 2);
  CHECK(arguments[5].arguments[0].token == "A-B");
  CHECK(arguments[5].arguments[1].type == "block");
  CHECK(arguments[5].arguments[1].multiple);
  REQUIRE(arguments[5].arguments[1].arguments.size() == 2);
  CHECK(arguments[5].arguments[1].arguments[1].name == "value");
  CHECK(arguments[6].optional);
  CHECK(arguments[6].multiple);
}

TEST_CASE("a command that takes arguments documents them", "[introspection]") {
  for_each_row([](const CommandSpec& spec) {
    CAPTURE(spec.name);
    const auto arguments = command_arguments(spec);
    const int named = spec.name.find('|') == std::string_view::npos ? 1 : 2;
    if (spec.arity == named) CHECK(arguments.empty());
    // Redis documents none of these either.
    if (spec.name.starts_with("command|getkeys") || !spec.subcommands.empty() ||
        spec.handler == nullptr || spec.name == "cluster" || spec.name == "debug")
      return;
    if (spec.arity > named || -spec.arity > named) CHECK_FALSE(arguments.empty());
    int keys = 0;
    const std::function<void(const std::vector<CommandArgument>&)> count =
        [&](const std::vector<CommandArgument>& some) {
          for (const CommandArgument& one : some) {
            keys += one.type == "key" ? 1 : 0;
            count(one.arguments);
          }
        };
    count(arguments);
    CHECK((keys > 0) == (spec.keys.first > 0));
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
