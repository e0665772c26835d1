#include "server/commands/command_facts.hpp"

#include <algorithm>
#include <iterator>

namespace holdfast::commands {

namespace {

// `access` has a part for each group of keys, separated by '/'.
struct Facts {
  std::string_view name;
  std::string_view tips;
  std::string_view access;
  std::string_view notes;
};

// clang-format off
// Sorted by name. A command without tips and keys has no row.
constexpr Facts kFacts[] = {
    {"append", "", "RW insert", ""},
    {"client|info", "nondeterministic_output", "", ""},
    {"client|list", "nondeterministic_output", "", ""},
    {"client|setinfo", "request_policy:all_nodes response_policy:all_succeeded", "", ""},
    {"command", "nondeterministic_output_order", "", ""},
    {"command|docs", "nondeterministic_output_order", "", ""},
    {"command|info", "nondeterministic_output_order", "", ""},
    {"command|list", "nondeterministic_output_order", "", ""},
    {"config|set", "request_policy:all_nodes response_policy:all_succeeded", "", ""},
    {"copy", "", "RO access/OW update", ""},
    {"dbsize", "request_policy:all_shards response_policy:agg_sum", "", ""},
    {"decr", "", "RW access update", ""},
    {"decrby", "", "RW access update", ""},
    {"del", "request_policy:multi_shard response_policy:agg_sum", "RM delete", ""},
    {"exists", "request_policy:multi_shard response_policy:agg_sum", "RO", ""},
    {"expire", "", "RW update", ""},
    {"expireat", "", "RW update", ""},
    {"expiretime", "", "RO access", ""},
    {"flushall", "request_policy:all_shards response_policy:all_succeeded", "", ""},
    {"flushdb", "request_policy:all_shards response_policy:all_succeeded", "", ""},
    {"get", "", "RO access", ""},
    {"getdel", "", "RW access delete", ""},
    {"getex", "", "RW access update", "RW and UPDATE because it changes the TTL"},
    {"getrange", "", "RO access", ""},
    {"getset", "", "RW access update", ""},
    {"hdel", "", "RW delete", ""},
    {"hexists", "", "RO", ""},
    {"hget", "", "RO access", ""},
    {"hgetall", "nondeterministic_output_order", "RO access", ""},
    {"hincrby", "", "RW access update", ""},
    {"hincrbyfloat", "", "RW access update", ""},
    {"hkeys", "nondeterministic_output_order", "RO access", ""},
    {"hlen", "", "RO", ""},
    {"hmget", "", "RO access", ""},
    {"hmset", "", "RW update", ""},
    {"hrandfield", "nondeterministic_output", "RO access", ""},
    {"hscan", "nondeterministic_output", "RO access", ""},
    {"hset", "", "RW update", ""},
    {"hsetnx", "", "RW insert", ""},
    {"hstrlen", "", "RO", ""},
    {"hvals", "nondeterministic_output_order", "RO access", ""},
    {"incr", "", "RW access update", ""},
    {"incrby", "", "RW access update", ""},
    {"incrbyfloat", "", "RW access update", ""},
    {"info", "nondeterministic_output request_policy:all_shards response_policy:special", "", ""},
    {"keys", "request_policy:all_shards nondeterministic_output_order", "", ""},
    {"lastsave", "nondeterministic_output", "", ""},
    {"latency|doctor", "nondeterministic_output request_policy:all_nodes response_policy:special", "", ""},
    {"latency|graph", "nondeterministic_output request_policy:all_nodes response_policy:special", "", ""},
    {"latency|histogram", "nondeterministic_output request_policy:all_nodes response_policy:special", "", ""},
    {"latency|history", "nondeterministic_output request_policy:all_nodes response_policy:special", "", ""},
    {"latency|latest", "nondeterministic_output request_policy:all_nodes response_policy:special", "", ""},
    {"latency|reset", "request_policy:all_nodes response_policy:all_succeeded", "", ""},
    {"memory|doctor", "nondeterministic_output request_policy:all_shards response_policy:special", "", ""},
    {"memory|malloc-stats", "nondeterministic_output request_policy:all_shards response_policy:special", "", ""},
    {"memory|purge", "request_policy:all_shards response_policy:all_succeeded", "", ""},
    {"memory|stats", "nondeterministic_output request_policy:all_shards response_policy:special", "", ""},
    {"memory|usage", "", "RO", ""},
    {"mget", "request_policy:multi_shard", "RO access", ""},
    {"module|list", "nondeterministic_output_order", "", ""},
    {"move", "", "RW access update", ""},
    {"mset", "request_policy:multi_shard response_policy:all_succeeded", "OW update", ""},
    {"msetnx", "request_policy:multi_shard response_policy:agg_min", "OW insert", ""},
    {"object|encoding", "nondeterministic_output", "RO", ""},
    {"object|freq", "nondeterministic_output", "RO", ""},
    {"object|idletime", "nondeterministic_output", "RO", ""},
    {"object|refcount", "nondeterministic_output", "RO", ""},
    {"persist", "", "RW update", ""},
    {"pexpire", "", "RW update", ""},
    {"pexpireat", "", "RW update", ""},
    {"pexpiretime", "", "RO access", ""},
    {"ping", "request_policy:all_shards response_policy:all_succeeded", "", ""},
    {"psetex", "", "OW update", ""},
    {"pttl", "nondeterministic_output", "RO access", ""},
    {"randomkey", "request_policy:all_shards nondeterministic_output", "", ""},
    {"rename", "", "RW access delete/OW update", ""},
    {"renamenx", "", "RW access delete/OW insert", ""},
    {"scan", "nondeterministic_output request_policy:special", "", ""},
    {"set", "", "RW access update variable_flags", "RW and ACCESS due to the optional `GET` argument"},
    {"setex", "", "OW update", ""},
    {"setnx", "", "OW insert", ""},
    {"setrange", "", "RW update", ""},
    {"slowlog|get", "request_policy:all_nodes nondeterministic_output", "", ""},
    {"slowlog|len", "request_policy:all_nodes response_policy:agg_sum nondeterministic_output", "", ""},
    {"slowlog|reset", "request_policy:all_nodes response_policy:all_succeeded", "", ""},
    {"strlen", "", "RO", ""},
    {"substr", "", "RO access", ""},
    {"time", "nondeterministic_output", "", ""},
    {"touch", "request_policy:multi_shard response_policy:agg_sum", "RO", ""},
    {"ttl", "nondeterministic_output", "RO access", ""},
    {"type", "", "RO", ""},
    {"unlink", "request_policy:multi_shard response_policy:agg_sum", "RM delete", ""},
    {"wait", "request_policy:all_shards response_policy:agg_min", "", ""},
    {"watch", "", "RO", ""},
};
// clang-format on

static_assert(std::is_sorted(std::begin(kFacts), std::end(kFacts),
                             [](const Facts& a, const Facts& b) { return a.name < b.name; }));

const Facts* find_facts(std::string_view name) {
  const auto found = std::lower_bound(
      std::begin(kFacts), std::end(kFacts), name,
      [](const Facts& facts, std::string_view wanted) { return facts.name < wanted; });
  return found != std::end(kFacts) && found->name == name ? found : nullptr;
}

}  // namespace

std::vector<KeySpecification> key_specifications(const CommandSpec& spec) {
  const KeyRange& keys = spec.keys;
  if (keys.first == 0) return {};
  const Facts* facts = find_facts(spec.name);
  const std::string_view access = facts == nullptr ? "" : facts->access;
  const std::string_view notes = facts == nullptr ? "" : facts->notes;
  const std::size_t slash = access.find('/');
  if (slash != std::string_view::npos) {  // two keys that are accessed differently
    return {{keys.first, 0, 1, access.substr(0, slash), notes},
            {keys.last, 0, 1, access.substr(slash + 1), notes}};
  }
  const int last = keys.last < 0 ? keys.last : keys.last - keys.first;
  return {{keys.first, last, keys.step, access, notes}};
}

std::string_view command_tips(const CommandSpec& spec) {
  const Facts* facts = find_facts(spec.name);
  return facts == nullptr ? "" : facts->tips;
}

}  // namespace holdfast::commands
