#include "replication/transport/identity.hpp"

#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace holdfast::transport {

Digest members_digest(const std::vector<std::string>& names) {
  ByteWriter list;
  for (const std::string& name : names) list.string(name);
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(list.str().data()), list.str().size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

Membership make_membership(std::string cluster_name, std::string cluster_id,
                           std::vector<std::string> names, NodeId self, std::string secret,
                           std::uint64_t databases) {
  HF_CHECK(self.value >= 1 && self.value <= names.size());
  const auto fits = [](const std::string& name) { return name.size() <= kNameBytesMax; };
  HF_CHECK(fits(cluster_name) && fits(cluster_id) && std::all_of(names.begin(), names.end(), fits));
  Membership membership;
  membership.self = {std::move(cluster_name), std::move(cluster_id), self,
                     names[self.value - 1],   members_digest(names), databases};
  membership.names = std::move(names);
  membership.secret = std::move(secret);
  return membership;
}

std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "none";
    case Refusal::kUnsupportedVersion:
      return "unsupported_version";
    case Refusal::kWrongSecret:
      return "wrong_secret";
    case Refusal::kOtherCluster:
      return "other_cluster";
    case Refusal::kOwnName:
      return "own_name";
    case Refusal::kUnknownNode:
      return "unknown_node";
    case Refusal::kUnequalMembers:
      return "unequal_member_list";
    case Refusal::kWrongNode:
      return "wrong_node";
    case Refusal::kWrongDirection:
      return "wrong_direction";
    case Refusal::kUnequalDatabases:
      return "unequal_databases";
  }
  return "unknown";
}

std::string_view refusal_remedy(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "";
    case Refusal::kUnsupportedVersion:
      return "the two run versions that have no peer protocol in common: upgrade the older one";
    case Refusal::kWrongSecret:
      return "all members must be given the same cluster secret";
    case Refusal::kOtherCluster:
      return "cluster.name and cluster.id must be the same on all members";
    case Refusal::kOwnName:
      return "two processes have the same cluster.node, or an address in cluster.nodes is wrong";
    case Refusal::kUnknownNode:
      return "the other node is not in cluster.nodes of this one";
    case Refusal::kUnequalMembers:
      return "cluster.nodes must have the same names in the same order on all members";
    case Refusal::kWrongNode:
      return "another member answers at this address: correct cluster.nodes";
    case Refusal::kWrongDirection:
      return "of two members the one that is listed first dials";
    case Refusal::kUnequalDatabases:
      return "server.databases must be the same on all members";
  }
  return "";
}

Refusal judge(const Membership& us, const Identity& them) {
  const Identity& self = us.self;
  if (them.cluster_name != self.cluster_name || them.cluster_id != self.cluster_id)
    return Refusal::kOtherCluster;
  if (them.node_name == self.node_name) return Refusal::kOwnName;
  if (std::find(us.names.begin(), us.names.end(), them.node_name) == us.names.end())
    return Refusal::kUnknownNode;
  if (them.members != self.members) return Refusal::kUnequalMembers;
  if (them.node.value == 0 || them.node.value > us.names.size() ||
      us.names[them.node.value - 1] != them.node_name)
    return Refusal::kUnequalMembers;
  if (them.databases != self.databases) return Refusal::kUnequalDatabases;
  return Refusal::kNone;
}

}  // namespace holdfast::transport
