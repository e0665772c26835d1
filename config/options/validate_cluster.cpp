#include "config/options/validate_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "config/options/cluster_nodes.hpp"

namespace holdfast::config {

namespace {

using Valid = tl::expected<void, Violation>;

constexpr std::size_t kSecretBytesMin = 16;

Valid violation(std::string_view path, std::string message) {
  return tl::unexpected(Violation{path, std::move(message)});
}

Valid validate_times(const ClusterOptions& cluster) {
  if (cluster.lease_ms < 2 * cluster.heartbeat_ms) {
    return violation("cluster.lease_ms",
                     fmt::format("{} must be at least twice cluster.heartbeat_ms ({})",
                                 cluster.lease_ms, cluster.heartbeat_ms));
  }
  if (cluster.election_timeout_ms < cluster.lease_ms) {
    return violation("cluster.election_timeout_ms",
                     fmt::format("{} must not be below cluster.lease_ms ({})",
                                 cluster.election_timeout_ms, cluster.lease_ms));
  }
  if (cluster.election_timeout_ms < 4 * cluster.heartbeat_ms) {
    return violation("cluster.election_timeout_ms",
                     fmt::format("{} must be at least four times cluster.heartbeat_ms ({})",
                                 cluster.election_timeout_ms, cluster.heartbeat_ms));
  }
  if (cluster.busy_limit_ms < cluster.election_timeout_ms) {
    return violation("cluster.busy_limit_ms",
                     fmt::format("{} must not be below cluster.election_timeout_ms ({})",
                                 cluster.busy_limit_ms, cluster.election_timeout_ms));
  }
  if (cluster.recovery_wait_ms < cluster.election_timeout_ms) {
    return violation("cluster.recovery_wait_ms",
                     fmt::format("{} must not be below cluster.election_timeout_ms ({})",
                                 cluster.recovery_wait_ms, cluster.election_timeout_ms));
  }
  return {};
}

// What makes no sense without members, or means that the list was forgotten.
Valid validate_alone(const ClusterOptions& cluster) {
  constexpr std::string_view kNoNodes = "but cluster.nodes is empty: list all members, or none";
  if (!cluster.node.empty())
    return violation("cluster.node", fmt::format("'{}' is given, {}", cluster.node, kNoNodes));
  if (cluster.bootstrap) return violation("cluster.bootstrap", fmt::format("is set, {}", kNoNodes));
  if (cluster.failover == Failover::kUnilateral)
    return violation("cluster.failover", fmt::format("is unilateral, {}", kNoNodes));
  if (cluster.reads == Reads::kQuorum)
    return violation("cluster.reads", fmt::format("is quorum, {}", kNoNodes));
  return {};
}

Valid validate_list(const ClusterOptions& cluster) {
  const auto& nodes = cluster.nodes.list;
  if (nodes.size() > kClusterNodesMax) {
    return violation("cluster.nodes", fmt::format("{} members; a cluster has at most {}",
                                                  nodes.size(), kClusterNodesMax));
  }
  std::set<std::string_view> names;
  std::set<std::string> addresses;
  for (const ClusterNode& node : nodes) {
    if (!names.insert(node.name).second)
      return violation("cluster.nodes", fmt::format("two members are called '{}'", node.name));
    for (const std::int64_t port : {node.port, node.peer_port}) {
      if (!addresses.insert(fmt::format("{}:{}", node.host, port)).second) {
        return violation("cluster.nodes",
                         fmt::format("{}:{} is given to two members", node.host, port));
      }
    }
  }
  if (cluster.node.empty()) {
    return violation("cluster.node", fmt::format("which of the members is this server? Allowed: {}",
                                                 fmt::join(names, ", ")));
  }
  if (!names.contains(cluster.node)) {
    return violation("cluster.node", fmt::format("'{}' is not in cluster.nodes; allowed: {}",
                                                 cluster.node, fmt::join(names, ", ")));
  }
  return {};
}

}  // namespace

Valid validate_cluster(const ClusterOptions& cluster) {
  constexpr std::string_view kNameRule = "letters, digits, '.', '_' or '-', at most 64";
  if (!is_cluster_name(cluster.name))
    return violation("cluster.name", fmt::format("allowed: {}", kNameRule));
  if (!cluster.id.empty() && !is_cluster_name(cluster.id))
    return violation("cluster.id", fmt::format("allowed: {}", kNameRule));
  if (auto valid = validate_times(cluster); !valid) return valid;
  if (cluster.nodes.list.empty()) return validate_alone(cluster);
  if (auto valid = validate_list(cluster); !valid) return valid;
  if (cluster.failover == Failover::kUnilateral && cluster.nodes.list.size() != 2) {
    return violation("cluster.failover",
                     fmt::format("unilateral is for clusters of two members, not of {}",
                                 cluster.nodes.list.size()));
  }
  if (cluster.reads == Reads::kQuorum && cluster.acks == Acks::kAsync) {
    return violation(
        "cluster.reads",
        "quorum makes no sense with acks async: what is read may be lost all the same");
  }
  if (cluster.reads == Reads::kQuorum && cluster.failover == Failover::kUnilateral) {
    return violation(
        "cluster.reads",
        "quorum makes no sense with failover unilateral, where one member serves alone");
  }
  const auto exposed =
      std::find_if(cluster.nodes.list.begin(), cluster.nodes.list.end(),
                   [](const ClusterNode& node) { return !is_loopback(node.host); });
  if (exposed != cluster.nodes.list.end() && cluster.secret.empty()) {
    return violation("cluster.nodes",
                     fmt::format("other machines can reach '{}', but the cluster has no secret; "
                                 "set cluster.secret_file or HOLDFAST_CLUSTER_SECRET, the same on "
                                 "all members (openssl rand -hex 32)",
                                 exposed->host));
  }
  return {};
}

std::vector<std::string> cluster_warnings(const ClusterOptions& cluster) {
  std::vector<std::string> warnings;
  if (cluster.nodes.list.size() == 2) {
    warnings.emplace_back(
        cluster.failover == Failover::kUnilateral
            ? "two members with failover unilateral: when they cannot hear each other, both serve, "
              "and what the losing side wrote is lost"
            : "two members: neither can go on without the other; only a third one, however small, "
              "lets one of them fail");
  }
  if (!cluster.nodes.list.empty() && !cluster.secret.empty() &&
      cluster.secret.size() < kSecretBytesMin) {
    warnings.push_back(
        fmt::format("the cluster secret has fewer than {} bytes and may be guessed; make a better "
                    "one with: openssl rand -hex 32",
                    kSecretBytesMin));
  }
  if (!cluster.nodes.list.empty() && cluster.acks == Acks::kAsync) {
    warnings.emplace_back(
        "cluster.acks is async: a failover may lose writes that were acknowledged");
  }
  return warnings;
}

}  // namespace holdfast::config
