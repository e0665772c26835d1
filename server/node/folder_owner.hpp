// Whose data folder it is: another member's, another cluster's or a lone server's is never taken
// for one's own.
#pragma once

#include <string>

#include "config/options/options.hpp"
#include "replication/log/storage.hpp"

namespace holdfast::node {

// Why this server may not use the folder that was recovered, and the way out; empty: it may.
std::string folder_refusal(const log::Recovered& recovered, const config::Options& options);

}  // namespace holdfast::node
