#include "server/commands/command_arguments.hpp"

#include <algorithm>
#include <iterator>

#include "base/check.hpp"
#include "base/text.hpp"

namespace holdfast::commands {

namespace {

struct Row {
  std::string_view name;
  std::string_view arguments;
};

// clang-format off
// Sorted by name. A command without arguments has no row.
constexpr Row kRows[] = {
    {"acl|cat", "[categoryname]"},
    {"acl|getuser", "username"},
    {"append", "key:key value"},
    {"auth", "[username@6.0.0] password"},
    {"bgsave", "[SCHEDULE@3.2.2]"},
    {"client|kill",
     "filter(ip:port!2.8.12|new-format([ID=client-id:integer@2.8.12]|"
     "[TYPE=normal_master_slave_pubsub@2.8.12(NORMAL|MASTER@3.2.0|SLAVE|REPLICA@5.0.0|"
     "PUBSUB)]|[USER=username]|[ADDR=ip:port]|[LADDR=ip:port@6.2.0]|[SKIPME=yes/no])...)"},
    {"client|list",
     "[TYPE=normal_master_replica_pubsub@5.0.0(NORMAL|MASTER|REPLICA|PUBSUB)] "
     "[ID=id@6.2.0{client-id:integer...}]"},
    {"client|no-evict", "enabled(ON|OFF)"},
    {"client|no-touch", "enabled(ON|OFF)"},
    {"client|pause", "timeout:integer [mode@6.2.0(WRITE|ALL)]"},
    {"client|reply", "on_off_skip(ON|OFF|SKIP)"},
    {"client|setinfo", "attr(LIB-NAME=libname|LIB-VER=libver)"},
    {"client|setname", "connection-name"},
    {"client|unblock", "client-id:integer [timeout_error(TIMEOUT|ERROR)]"},
    {"command|docs", "[command-name]..."},
    {"command|info", "[command-name]..."},
    {"command|list",
     "[FILTERBY=filterby(MODULE=module-name|ACLCAT=category|PATTERN=pattern:pattern)]"},
    {"config|get", "parameter{parameter}..."},
    {"config|set", "parameter_value{parameter value}..."},
    {"copy", "source:key destination:key1 [DB=destination-db:integer] [REPLACE]"},
    {"decr", "key:key"},
    {"decrby", "key:key decrement:integer"},
    {"del", "key:key..."},
    {"echo", "message"},
    {"exists", "key:key..."},
    {"expire", "key:key seconds:integer [condition@7.0.0(NX|XX|GT|LT)]"},
    {"expireat", "key:key unix-time-seconds:unix-time [condition@7.0.0(NX|XX|GT|LT)]"},
    {"expiretime", "key:key"},
    {"failover", "[TO=target{host port:integer [FORCE]}] [ABORT] [TIMEOUT=milliseconds:integer]"},
    {"flushall", "[async(ASYNC@4.0.0|SYNC@6.2.0)]"},
    {"flushdb", "[async(ASYNC@4.0.0|SYNC@6.2.0)]"},
    {"get", "key:key"},
    {"getdel", "key:key"},
    {"getex",
     "key:key [expiration(EX=seconds:integer|PX=milliseconds:integer|"
     "EXAT=unix-time-seconds:unix-time|PXAT=unix-time-milliseconds:unix-time|PERSIST)]"},
    {"getrange", "key:key start:integer end:integer"},
    {"getset", "key:key value"},
    {"hdel", "key:key field..."},
    {"hello",
     "[arguments{protover:integer [AUTH=username_password{username password}] "
     "[SETNAME=clientname]}]"},
    {"hexists", "key:key field"},
    {"hget", "key:key field"},
    {"hgetall", "key:key"},
    {"hincrby", "key:key field increment:integer"},
    {"hincrbyfloat", "key:key field increment:double"},
    {"hkeys", "key:key"},
    {"hlen", "key:key"},
    {"hmget", "key:key field..."},
    {"hmset", "key:key field_value{field value}..."},
    {"hrandfield", "key:key [options{count:integer [WITHVALUES]}]"},
    {"hscan", "key:key cursor:integer [MATCH=pattern:pattern] [COUNT=count:integer]"},
    {"hset", "key:key field_value{field value}..."},
    {"hsetnx", "key:key field value"},
    {"hstrlen", "key:key field"},
    {"hvals", "key:key"},
    {"incr", "key:key"},
    {"incrby", "key:key increment:integer"},
    {"incrbyfloat", "key:key increment:double"},
    {"info", "[section]..."},
    {"keys", "pattern:pattern"},
    {"latency|graph", "event"},
    {"latency|histogram", "[command]..."},
    {"latency|history", "event"},
    {"latency|reset", "[event]..."},
    {"lolwut", "[VERSION=version:integer]"},
    {"memory|usage", "key:key [SAMPLES=count:integer]"},
    {"mget", "key:key..."},
    {"move", "key:key db:integer"},
    {"mset", "key_value{key:key value}..."},
    {"msetnx", "key_value{key:key value}..."},
    {"object|encoding", "key:key"},
    {"object|freq", "key:key"},
    {"object|idletime", "key:key"},
    {"object|refcount", "key:key"},
    {"persist", "key:key"},
    {"pexpire", "key:key milliseconds:integer [condition@7.0.0(NX|XX|GT|LT)]"},
    {"pexpireat", "key:key unix-time-milliseconds:unix-time [condition@7.0.0(NX|XX|GT|LT)]"},
    {"pexpiretime", "key:key"},
    {"ping", "[message]"},
    {"psetex", "key:key milliseconds:integer value"},
    {"pttl", "key:key"},
    {"rename", "key:key newkey:key1"},
    {"renamenx", "key:key newkey:key1"},
    {"replicaof", "args(host-port{host port:integer}|no-one{NO ONE})"},
    {"scan", "cursor:integer [MATCH=pattern:pattern] [COUNT=count:integer] [TYPE=type@6.0.0]"},
    {"select", "index:integer"},
    {"set",
     "key:key value [condition@2.6.12(NX|XX)] [GET@6.2.0] "
     "[expiration(EX=seconds:integer@2.6.12|PX=milliseconds:integer@2.6.12|"
     "EXAT=unix-time-seconds:unix-time@6.2.0|PXAT=unix-time-milliseconds:unix-time@6.2.0|"
     "KEEPTTL@6.0.0)]"},
    {"setex", "key:key seconds:integer value"},
    {"setnx", "key:key value"},
    {"setrange", "key:key offset:integer value"},
    {"shutdown", "[nosave_save(NOSAVE|SAVE)] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]"},
    {"slaveof", "args(host-port{host port:integer}|no-one{NO ONE})"},
    {"slowlog|get", "[count:integer]"},
    {"strlen", "key:key"},
    {"substr", "key:key start:integer end:integer"},
    {"swapdb", "index1:integer index2:integer"},
    {"touch", "key:key..."},
    {"ttl", "key:key"},
    {"type", "key:key"},
    {"unlink", "key:key..."},
    {"wait", "numreplicas:integer timeout:integer"},
    {"watch", "key:key..."},
};
// clang-format on

constexpr bool by_name(const Row& a, const Row& b) {
  return a.name < b.name;
}
static_assert(std::is_sorted(std::begin(kRows), std::end(kRows), by_name));

class ArgumentParser {
 public:
  explicit ArgumentParser(std::string_view text) : rest_(text) {}

  std::vector<CommandArgument> all() {
    std::vector<CommandArgument> arguments = list(' ');
    HF_CHECK(rest_.empty());
    return arguments;
  }

 private:
  bool skip(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  void expect(std::string_view text) { HF_CHECK(skip(text)); }

  std::string_view word() {
    const std::size_t length = std::min(rest_.find_first_of(" []{}()|=@!"), rest_.size());
    // A type may follow a name that holds a colon itself (ip:port).
    std::string_view word = rest_.substr(0, length);
    word = word.substr(0, word.find("..."));
    HF_CHECK(!word.empty());
    rest_.remove_prefix(word.size());
    return word;
  }
  std::string_view version() {
    std::size_t length = 0;
    for (int dots = 0; length < rest_.size(); ++length) {
      const char c = rest_[length];
      if (c == '.' ? ++dots > 2 : c < '0' || c > '9') break;
    }
    const std::string_view version = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return version;
  }

  std::vector<CommandArgument> list(char separator) {
    std::vector<CommandArgument> arguments;
    do {
      arguments.push_back(argument());
    } while (skip({&separator, 1}));
    return arguments;
  }

  CommandArgument argument() {
    const bool optional = skip("[");
    CommandArgument one = item();
    one.optional = optional;
    if (optional) expect("]");
    one.multiple = skip("...");
    return one;
  }

  CommandArgument item() {
    CommandArgument one;
    std::string_view first = word();
    const bool is_token = first[0] >= 'A' && first[0] <= 'Z';
    if (is_token) one.token = first;
    if (is_token && !skip("=")) {
      one.name = to_lower(first);
      one.type = "pure-token";
    } else {
      if (is_token) first = word();
      name_and_type(first, one);
    }
    if (skip("@")) one.since = version();
    if (skip("!")) one.deprecated_since = version();
    if (skip("(")) {
      one.type = "oneof";
      one.arguments = list('|');
      expect(")");
    } else if (skip("{")) {
      one.type = "block";
      one.arguments = list(' ');
      expect("}");
    }
    return one;
  }

  static void name_and_type(std::string_view text, CommandArgument& one) {
    one.type = "string";
    const std::size_t colon = text.rfind(':');
    const std::string_view type = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    for (const std::string_view known : {"integer", "double", "pattern", "unix-time"}) {
      if (type == known) one.type = known;
    }
    if (type == "key" || type == "key1") {
      one.type = "key";
      one.key_specification = type == "key1" ? 1 : 0;
    }
    one.name = one.type == "string" ? text : text.substr(0, colon);
  }

  std::string_view rest_;
};

}  // namespace

std::vector<CommandArgument> parse_arguments(std::string_view text) {
  return ArgumentParser(text).all();
}

std::vector<CommandArgument> command_arguments(const CommandSpec& spec) {
  const Row wanted{spec.name, {}};
  const auto* found = std::lower_bound(std::begin(kRows), std::end(kRows), wanted, by_name);
  if (found == std::end(kRows) || found->name != spec.name) return {};
  return parse_arguments(found->arguments);
}

}  // namespace holdfast::commands
