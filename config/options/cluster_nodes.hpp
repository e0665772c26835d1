// The list of a cluster's members as text: what HOLDFAST_CLUSTER_NODES, --cluster-nodes and CONFIG
// GET hold, and what a mapping in the file is brought into.
//
//   nodes := node {separator node}      separator: commas or white space
//   node  := name=host:port:peer_port[:zone]      an IPv6 address as host stands in [brackets]
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "config/options/options.hpp"

namespace holdfast::config {

// Of a cluster's or node's name, a cluster's id, a zone.
inline constexpr std::size_t kClusterNameBytesMax = 64;

// Letters, digits, '.', '_' and '-', at least one and at most kClusterNameBytesMax.
bool is_cluster_name(std::string_view text);

// The errors say which node and what about it.
Result<ClusterNodes> parse_cluster_nodes(std::string_view text);
// What a single node can have wrong by itself.
Result<void> check_cluster_node(const ClusterNode& node);

std::string format_cluster_node(const ClusterNode& node);
std::string format_cluster_nodes(const ClusterNodes& nodes);

}  // namespace holdfast::config
