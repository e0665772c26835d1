#include "server/node/folder_owner.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "server/node/replication.hpp"

namespace holdfast::node {

std::string folder_refusal(const log::Recovered& recovered, const config::Options& options) {
  const config::ClusterOptions& cluster = options.cluster;
  const std::string_view dir = options.server.dir;
  const log::DurableRecord& record = recovered.record;
  const bool has_data = recovered.last_index.value != 0 || recovered.snapshot_index.value != 0;
  if (cluster.nodes.list.empty()) {
    if (record.members.empty()) return {};
    return fmt::format(
        "the data folder {} belongs to a member of the cluster '{}' ({}): without cluster.nodes "
        "this server would go on alone with it; list the members, or use another folder",
        dir, record.cluster_id, fmt::join(record.members, ", "));
  }
  if (record.members.empty()) {
    if (!has_data) return {};
    return fmt::format(
        "the data folder {} belongs to a server alone and cannot be a member's: start with an "
        "empty folder, and copy the keys over",
        dir);
  }
  if (record.cluster_id != cluster_identity(cluster)) {
    return fmt::format(
        "the data folder {} belongs to the cluster '{}', this is '{}': use its own folder, or "
        "wipe this one to let the member join anew",
        dir, record.cluster_id, cluster_identity(cluster));
  }
  if (record.members != member_names(cluster)) {
    return fmt::format(
        "the data folder {} was made for the members {}, and cluster.nodes lists {}: members "
        "cannot be changed yet; their addresses can",
        dir, fmt::join(record.members, ", "), fmt::join(member_names(cluster), ", "));
  }
  // Its votes and promises are another's. (Records of former versions do not say whose they are.)
  if (!record.node.empty() && record.node != cluster.node) {
    return fmt::format(
        "the data folder {} is that of the member '{}', this is '{}': use its own folder, or start "
        "with an empty one to let the member join anew",
        dir, record.node, cluster.node);
  }
  return {};
}

}  // namespace holdfast::node
