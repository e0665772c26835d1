#include <catch2/catch.hpp>

#include "config/loader/example.hpp"
#include "config/options/cluster_nodes.hpp"
#include "config/options/config_access.hpp"
#include "config/options/validate_cluster.hpp"
#include "replication/core/config.hpp"
#include "tests/unit/config/loading.hpp"

namespace holdfast::config {
namespace {

constexpr std::string_view kThree = "ada=127.0.0.1:1:11,ben=127.0.0.1:2:12,cia=127.0.0.1:3:13";

std::string nodes_variable(std::string_view nodes = kThree) {
  return "HOLDFAST_CLUSTER_NODES=" + std::string(nodes);
}

}  // namespace

TEST_CASE("without nodes a server is alone, and needs nothing of a cluster", "[cluster]") {
  Loading loading;
  const auto outcome = loading.load({});
  REQUIRE(outcome);
  CHECK(outcome->options.cluster.nodes.list.empty());
  CHECK(warnings(outcome->options).empty());
  CHECK(loading.error({"--cluster-node", "ada"}) ==
        "--cluster-node: 'ada' is given, but cluster.nodes is empty: list all members, or none");
  CHECK(loading.error({}, {"HOLDFAST_CLUSTER_BOOTSTRAP=yes"}).find("cluster.nodes is empty") !=
        std::string::npos);
  CHECK(
      loading.error({}, {"HOLDFAST_CLUSTER_FAILOVER=unilateral"}).find("cluster.nodes is empty") !=
      std::string::npos);
}

TEST_CASE("a member may keep nothing on disk, and is told what that means", "[cluster]") {
  Loading loading;
  const auto of = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--cluster-node", "ben"});
    const auto outcome = loading.load(words, {nodes_variable()});
    REQUIRE(outcome);
    return warnings(outcome->options);
  };
  CHECK(of({}).empty());
  const auto both = of({"--appendonly", "no"});
  REQUIRE(both.size() == 2);
  CHECK(both[0].find("in memory only (persistence.enabled is no)") != std::string::npos);
  CHECK(both[1].find("cluster.bootstrap is no") != std::string::npos);
  CHECK(of({"--appendonly", "no", "--cluster-bootstrap", "yes"}).size() == 1);
  const auto alone = loading.load({"--appendonly", "no"});
  REQUIRE(alone);
  CHECK(warnings(alone->options).empty());  // what it is told depends on no other member
}

TEST_CASE("the members can be listed in the file, as mappings or words, and in one variable",
          "[cluster]") {
  Loading loading;
  const std::vector<ClusterNode> three{{"ada", "127.0.0.1", 6379, 7379, "east"},
                                       {"ben", "::1", 6380, 7380, ""},
                                       {"c-1.x", "localhost", 6381, 7381, "west"}};
  const auto mappings = loading.load({loading.file("a.yaml", R"(
cluster:
  name: shop
  id: 7f3a
  node: ben
  nodes:
    - {name: ada, host: 127.0.0.1, port: 6379, peer_port: 7379, zone: east}
    - name: ben
      host: ::1
      port: 6380
      peer_port: 7380
    - c-1.x=localhost:6381:7381:west
  bootstrap: yes
  heartbeat_ms: 50
  lease_ms: 200
  acks: async
)")});
  REQUIRE(mappings);
  const ClusterOptions& cluster = mappings->options.cluster;
  CHECK(cluster.nodes.list == three);
  CHECK(cluster.name == "shop");
  CHECK(cluster.id == "7f3a");
  CHECK(cluster.node == "ben");
  CHECK(cluster.bootstrap);
  CHECK(cluster.heartbeat_ms == 50);
  CHECK(cluster.lease_ms == 200);
  CHECK(cluster.acks == Acks::kAsync);

  const std::string word =
      "ada=127.0.0.1:6379:7379:east,ben=[::1]:6380:7380,c-1.x=localhost:6381:7381:west";
  CHECK(format_cluster_nodes(cluster.nodes) == word);
  const auto variable =
      loading.load({}, {"HOLDFAST_CLUSTER_NODES=" + word, "HOLDFAST_CLUSTER_NODE=ada",
                        "HOLDFAST_CLUSTER_ELECTION_TIMEOUT_MS=400"});
  REQUIRE(variable);
  CHECK(variable->options.cluster.nodes.list == three);
  CHECK(variable->options.cluster.election_timeout_ms == 400);
  const auto line = loading.load({"--cluster-nodes", word, "--cluster-node", "ada"});
  REQUIRE(line);
  CHECK(line->options.cluster.nodes.list == three);
  // As the example file would write it.
  const OptionRow* row = find_by_path("cluster.nodes");
  const auto again = loading.load({loading.file(
      "b.yaml", "cluster: {node: ada, nodes: " + format_yaml(*row, line->options) + "}\n")});
  REQUIRE(again);
  CHECK(again->options.cluster.nodes.list == three);
}

TEST_CASE("a wrong list of members is refused with file, line, node and what is allowed",
          "[cluster]") {
  Loading loading;
  const auto error = [&](const std::string& nodes) {
    return loading.yaml_error("cluster:\n  node: ada\n  nodes:\n" + nodes);
  };
  CHECK(error("    - {name: ada, host: h, port: 1}\n") ==
        "holdfast.yaml:4: cluster.nodes: a node without peer_port; it is {name, host, port, "
        "peer_port, zone}");
  CHECK(error("    - {name: ada, hots: h, port: 1, peer_port: 2}\n") ==
        "holdfast.yaml:4: cluster.nodes: hots: unknown key; did you mean 'host'?");
  CHECK(error("    - {name: ada, host: h, port: 1, peer_port: 2}\n"
              "    - {name: ben, host: h, port: 3, peer_port: x}\n") ==
        "holdfast.yaml:5: cluster.nodes: node 'ben': peer_port: 'x' is no number");
  CHECK(error("    - {name: ada, name: ben, host: h, port: 1, peer_port: 2}\n") ==
        "holdfast.yaml:4: cluster.nodes: name: given twice");
  CHECK(error("    - {name: 'a,b', host: h, port: 1, peer_port: 2}\n")
            .find("holdfast.yaml:4: cluster.nodes: node 'a,b': a name has 1 to 64 letters") == 0);
  CHECK(error("    - {name: ada, host: 'h,i', port: 1, peer_port: 2}\n")
            .find("host 'h,i' is neither a name nor an address") != std::string::npos);
  CHECK(error("    - {name: ada, host: h, port: 0, peer_port: 2}\n")
            .find("port 0 is not from 1 to 65535") != std::string::npos);
  CHECK(error("    - {name: ada, host: h, port: 2, peer_port: 2}\n")
            .find("port and peer_port are both 2") != std::string::npos);
  CHECK(error("    - [ada, h]\n").find("a node is {name, host") != std::string::npos);
  CHECK(loading.yaml_error("cluster: {nodes: {ada: h}}\n") ==
        "holdfast.yaml:1: cluster.nodes: must be a list of nodes");
  CHECK(loading.error({}, {nodes_variable("ada=h:1:2,ben")}) ==
        "environment HOLDFAST_CLUSTER_NODES: 'ben' is not name=host:port:peer_port[:zone]; "
        "allowed: name=host:port:peer_port[:zone], separated by commas, or nothing");
  for (const char* word : {"=h:1:2", "a=:1:2", "a=h", "a=h:1", "a=h:1:2:z:y", "a=h:1:65536",
                           "a=h:-1:2", "a=[::1:1:2", "a=[::1]1:2", "a=h:1:2:z!"}) {
    INFO(word);
    CHECK_FALSE(parse_cluster_nodes(word));
  }
}

TEST_CASE("members are told apart by name and address, and this server is one of them",
          "[cluster]") {
  Loading loading;
  const auto error = [&](std::string_view nodes, const std::string& node) {
    return loading.error({"--cluster-node", node}, {nodes_variable(nodes)});
  };
  CHECK(loading.load({"--cluster-node", "cia"}, {nodes_variable()}));
  CHECK(error("ada=127.0.0.1:1:11,ada=127.0.0.1:2:12", "ada") ==
        "environment HOLDFAST_CLUSTER_NODES: two members are called 'ada'");
  CHECK(error("ada=127.0.0.1:1:11,ben=127.0.0.1:2:11", "ada") ==
        "environment HOLDFAST_CLUSTER_NODES: 127.0.0.1:11 is given to two members");
  CHECK(error("ada=127.0.0.1:1:11,ben=127.0.0.1:11:12", "ada") ==
        "environment HOLDFAST_CLUSTER_NODES: 127.0.0.1:11 is given to two members");
  CHECK(error(kThree, "zoe") ==
        "--cluster-node: 'zoe' is not in cluster.nodes; allowed: ada, ben, cia");
  CHECK(loading.error({}, {nodes_variable()}) ==
        "cluster.node: which of the members is this server? Allowed: ada, ben, cia");
  std::string many;
  for (int i = 1; i <= 16; ++i) {
    const std::string n = std::to_string(i);
    if (i == 16) CHECK(loading.load({"--cluster-node", "n1"}, {nodes_variable(many)}));
    many += (i == 1 ? "n" : ",n") + n + "=127.0.0.1:" + n + ":10" + n;
  }
  CHECK(error(many, "n1") ==
        "environment HOLDFAST_CLUSTER_NODES: 16 members; a cluster has at most 15");
}

TEST_CASE("members on other machines need a secret", "[cluster]") {
  Loading loading;
  const std::string nodes = nodes_variable("ada=10.0.0.1:1:11,ben=10.0.0.2:1:11,cia=node-3:1:11");
  const std::vector<std::string> line{"--cluster-node", "ada"};
  CHECK(loading.error(line, {nodes})
            .find("other machines can reach '10.0.0.1', but the cluster has "
                  "no secret; set cluster.secret_file or "
                  "HOLDFAST_CLUSTER_SECRET") != std::string::npos);
  CHECK(loading.load(line, {nodes, "HOLDFAST_CLUSTER_SECRET=0123456789abcdef"}));
}

TEST_CASE("the cluster's secret comes from a file or the environment, and nothing shows it",
          "[cluster]") {
  Loading loading;
  const std::string secret(32, 'q');
  const std::string path = loading.file("secret", secret + "\n");
  const std::vector<std::string> line{"--cluster-secret-file", path, "--cluster-node", "ada"};
  const auto from_file = loading.load(line, {nodes_variable()});
  REQUIRE(from_file);
  CHECK(from_file->options.cluster.secret == secret);
  const auto from_variable = loading.load({"--cluster-node", "ada"},
                                          {nodes_variable(), "HOLDFAST_CLUSTER_SECRET=" + secret});
  REQUIRE(from_variable);
  CHECK(from_variable->options.cluster.secret == secret);
  const std::string_view everything[] = {"*"};
  for (const auto& answer : config_get(from_variable->options, everything))
    CHECK(answer.value.find(secret) == std::string::npos);

  CHECK(loading.error(line, {"HOLDFAST_CLUSTER_SECRET=" + secret}) ==
        "--cluster-secret-file: the environment variable HOLDFAST_CLUSTER_SECRET is set too; give "
        "one of them");
  CHECK(loading.error({"--cluster-secret-file", loading.file("empty", "\n")})
            .find("empty: the file is empty, so there is no secret") != std::string::npos);
  CHECK(loading.error({"--cluster-secret-file", "/none"}).find("cannot be read") !=
        std::string::npos);
}

TEST_CASE("two members are warned, and unilateral failover is for them alone", "[cluster]") {
  Loading loading;
  const std::string two = nodes_variable("ada=127.0.0.1:1:11,ben=127.0.0.1:2:12");
  const std::vector<std::string> line{"--cluster-node", "ada"};
  const auto warned = loading.load(line, {two});
  REQUIRE(warned);
  REQUIRE(warnings(warned->options).size() == 1);
  CHECK(warnings(warned->options)[0].find("neither can go on") != std::string::npos);
  const auto unilateral = loading.load(line, {two, "HOLDFAST_CLUSTER_FAILOVER=unilateral"});
  REQUIRE(unilateral);
  CHECK(warnings(unilateral->options)[0].find("is lost") != std::string::npos);
  CHECK(loading.error(line, {nodes_variable(), "HOLDFAST_CLUSTER_FAILOVER=unilateral"}) ==
        "environment HOLDFAST_CLUSTER_FAILOVER: unilateral is for clusters of two members, not of "
        "3");
  CHECK(warnings(loading.load(line, {nodes_variable()})->options).empty());
  CHECK(warnings(loading.load(line, {nodes_variable(), "HOLDFAST_CLUSTER_SECRET=short"})->options)
            .size() == 1);
  CHECK(warnings(loading.load(line, {nodes_variable(), "HOLDFAST_CLUSTER_ACKS=async"})->options)
            .size() == 1);
}

TEST_CASE("reads quorum is for clusters in which a majority decides", "[cluster]") {
  Loading loading;
  const std::vector<std::string> line{"--cluster-node", "ada"};
  const auto by_quorum = loading.load(line, {nodes_variable(), "HOLDFAST_CLUSTER_READS=quorum"});
  REQUIRE(by_quorum);
  CHECK(by_quorum->options.cluster.reads == Reads::kQuorum);
  CHECK(loading.load(line, {nodes_variable()})->options.cluster.reads == Reads::kLease);
  CHECK(loading.error(line, {nodes_variable(), "HOLDFAST_CLUSTER_READS=quorum",
                             "HOLDFAST_CLUSTER_ACKS=async"}) ==
        "environment HOLDFAST_CLUSTER_READS: quorum makes no sense with acks async: what is read "
        "may be lost all the same");
  CHECK(loading.error(line,
                      {nodes_variable("ada=127.0.0.1:1:11,ben=127.0.0.1:2:12"),
                       "HOLDFAST_CLUSTER_READS=quorum", "HOLDFAST_CLUSTER_FAILOVER=unilateral"}) ==
        "environment HOLDFAST_CLUSTER_READS: quorum makes no sense with failover unilateral, where "
        "one member serves alone");
  CHECK(loading.error({}, {"HOLDFAST_CLUSTER_READS=quorum"}) ==
        "environment HOLDFAST_CLUSTER_READS: is quorum, but cluster.nodes is empty: list all "
        "members, or none");
}

TEST_CASE("an own port or address that does not go with the member's entry is warned of",
          "[cluster]") {
  Loading loading;
  const auto warned_of = [&](std::vector<std::string> line, std::string_view host) {
    line.insert(line.end(), {"--cluster-node", "ada", "--allow-insecure-bind", "yes"});
    const auto outcome =
        loading.load(line, {nodes_variable("ada=" + std::string(host) + ":7001:8001," +
                                           "ben=127.0.0.1:7002:8002,cyd=127.0.0.1:7003:8003"),
                            "HOLDFAST_CLUSTER_SECRET=0123456789abcdef0123456789abcdef"});
    REQUIRE(outcome);
    return warnings(outcome->options);
  };
  CHECK(warned_of({}, "127.0.0.1").empty());
  CHECK(warned_of({"--port", "7001"}, "127.0.0.1").empty());
  CHECK(warned_of({"--bind", "0.0.0.0"}, "10.0.0.1").empty());
  CHECK(warned_of({"--bind", "-::1 10.0.0.1"}, "10.0.0.1").empty());
  REQUIRE(warned_of({"--port", "7009"}, "127.0.0.1").size() == 1);
  CHECK(warned_of({"--port", "7009"}, "127.0.0.1")[0] ==
        "server.port 7009 is not used: cluster.nodes says that 'ada' listens for clients on port "
        "7001");
  REQUIRE(warned_of({}, "10.0.0.1").size() == 1);
  CHECK(warned_of({}, "10.0.0.1")[0].find("add one to it") != std::string::npos);
}

TEST_CASE("names of cluster and id are plain words", "[cluster]") {
  Loading loading;
  CHECK(loading.error({"--cluster-name", "a b"}).find("--cluster-name: allowed: letters") == 0);
  CHECK(loading.error({"--cluster-name="}).find("--cluster-name: allowed: letters") == 0);
  CHECK(loading.error({"--cluster-id", std::string(65, 'x')}).find("--cluster-id: allowed") == 0);
}

TEST_CASE("times that contradict each other are refused where they were set", "[cluster]") {
  Loading loading;
  CHECK(loading.yaml_error("cluster:\n  heartbeat_ms: 60\n  lease_ms: 110\n") ==
        "holdfast.yaml:3: cluster.lease_ms: 110 must be at least twice cluster.heartbeat_ms (60)");
  CHECK(loading.error({}, {"HOLDFAST_CLUSTER_ELECTION_TIMEOUT_MS=90"}) ==
        "environment HOLDFAST_CLUSTER_ELECTION_TIMEOUT_MS: 90 must not be below cluster.lease_ms "
        "(100)");
  CHECK(loading.error({"--cluster-lease-ms", "10001"}).find("from 2 to 10000") !=
        std::string::npos);
}

TEST_CASE("the times are judged as the replica itself judges them", "[cluster]") {
  const auto agree = [](const ClusterOptions& cluster) {
    core::Config config;
    config.self = NodeId{1};
    config.members = {NodeId{1}};
    config.heartbeat = core::milliseconds(cluster.heartbeat_ms);
    config.lease = core::milliseconds(cluster.lease_ms);
    config.election_timeout = core::milliseconds(cluster.election_timeout_ms);
    config.busy_limit = core::milliseconds(cluster.busy_limit_ms);
    config.recovery_wait = core::milliseconds(cluster.recovery_wait_ms);
    return validate_cluster(cluster).has_value() == !check_config(config).has_value();
  };
  static_assert(kClusterNodesMax == core::kMembersMax);
  std::size_t valid = 0;
  const std::int64_t times[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 30};
  ClusterOptions cluster;
  for (cluster.heartbeat_ms = 1; cluster.heartbeat_ms <= 4; ++cluster.heartbeat_ms) {
    for (cluster.lease_ms = 1; cluster.lease_ms <= 9; ++cluster.lease_ms) {
      for (const std::int64_t election : times) {
        for (const std::int64_t busy : times) {
          for (const std::int64_t recovery : {election - 1, election, election + 1}) {
            cluster.election_timeout_ms = election;
            cluster.busy_limit_ms = busy;
            cluster.recovery_wait_ms = recovery;
            REQUIRE(agree(cluster));
            valid += validate_cluster(cluster) ? 1 : 0;
          }
        }
      }
    }
  }
  CHECK(valid > 100);
  ClusterOptions defaults;
  CHECK(agree(defaults));
  core::Config config;
  CHECK(core::milliseconds(defaults.heartbeat_ms) == config.heartbeat);
  CHECK(core::milliseconds(defaults.lease_ms) == config.lease);
  CHECK(core::milliseconds(defaults.election_timeout_ms) == config.election_timeout);
  CHECK(core::milliseconds(defaults.busy_limit_ms) == config.busy_limit);
  CHECK(core::milliseconds(defaults.recovery_wait_ms) == config.recovery_wait);
}

}  // namespace holdfast::config
