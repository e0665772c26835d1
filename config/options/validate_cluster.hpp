// The limits of a cluster's options that know each other. Part of validate.hpp, which is what
// others call.
//
// The relations between the times are those of core::check_config, which cannot be called from
// here; a test holds the two against each other.
#pragma once

#include <cstddef>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "config/options/options.hpp"
#include "config/options/validate.hpp"

namespace holdfast::config {

// As core::kMembersMax.
inline constexpr std::size_t kClusterNodesMax = 15;

tl::expected<void, Violation> validate_cluster(const ClusterOptions& cluster);

// Of a valid cluster.
std::vector<std::string> cluster_warnings(const ClusterOptions& cluster);

}  // namespace holdfast::config
