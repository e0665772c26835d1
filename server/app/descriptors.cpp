#include "server/app/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "replication/transport/peer_network.hpp"

namespace holdfast::app {

namespace {
constexpr std::int64_t kOwnDescriptors = 64;
// A link takes two (peer_link.hpp), a snapshot that is sent one.
constexpr std::int64_t kDescriptorsPerMember = 3;
}  // namespace

std::int64_t reserved_descriptors(const config::ClusterOptions& cluster) {
  if (cluster.nodes.list.empty()) return kOwnDescriptors;
  return kOwnDescriptors +
         static_cast<std::int64_t>(transport::PeerNetworkOptions{}.handshakes_max) +
         kDescriptorsPerMember * static_cast<std::int64_t>(cluster.nodes.list.size());
}

std::int64_t make_room_for_clients(std::int64_t wanted, std::int64_t reserved) {
  const auto needed = static_cast<rlim_t>(wanted + reserved);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return wanted;
  rlimit raised = limit;
  raised.rlim_cur = needed;
  raised.rlim_max = std::max(limit.rlim_max, needed);
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
  raised.rlim_cur = raised.rlim_max = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &raised) != 0) raised.rlim_cur = limit.rlim_cur;
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(raised.rlim_cur) - reserved, 1, wanted);
}

}  // namespace holdfast::app
