// How many files this process may open, and how many of them are not for clients.
#pragma once

#include <cstdint>

#include "config/options/options.hpp"

namespace holdfast::app {

// What clients must leave: files of the data folder, listeners, the log, what the libraries open;
// and of a member the links to its peers, the snapshots that it feeds them, and strangers at its
// peer port.
std::int64_t reserved_descriptors(const config::ClusterOptions& cluster);

// For how many clients there is room beside `reserved`: `wanted`, or fewer. The limit of open files
// is raised if need be, as far as the system lets it.
std::int64_t make_room_for_clients(std::int64_t wanted, std::int64_t reserved);

}  // namespace holdfast::app
