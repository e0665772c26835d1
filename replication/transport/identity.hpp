// Who a member of a cluster says it is, and what of another's saying is to be believed.
//
// Everything here is compared only after the other side has proved that it knows the cluster's
// secret (handshake.hpp). A member's number is its place in the list that the cluster began with,
// from 1; addresses are no part of an identity, they change.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"

namespace holdfast::transport {

// Of a cluster's or a node's name, and of a cluster's id.
inline constexpr std::size_t kNameBytesMax = 64;

using Digest = std::array<char, 32>;

struct Identity {
  std::string cluster_name;
  std::string cluster_id;
  NodeId node;
  std::string node_name;
  Digest members{};             // members_digest of the list as this member has it
  std::uint64_t databases = 0;  // server.databases: what the log says must fit everywhere

  friend bool operator==(const Identity&, const Identity&) = default;
};

// Over the names in their order: SHA-256 of {string}.
Digest members_digest(const std::vector<std::string>& names);

// The part that a member plays in its cluster, as its own process knows it. Immutable once made.
struct Membership {
  Identity self;
  std::vector<std::string> names;  // of member 1, 2, ...
  std::string secret;              // may be empty, see PeerNetwork
};
// REQUIRES: `self` is from 1 to the number of names.
Membership make_membership(std::string cluster_name, std::string cluster_id,
                           std::vector<std::string> names, NodeId self, std::string secret,
                           std::uint64_t databases);

// Why two ends do not become a link. The numbers are on the wire.
enum class Refusal : std::uint8_t {
  kNone = 0,
  kUnsupportedVersion = 1,
  kWrongSecret = 2,
  kOtherCluster = 3,
  kOwnName = 4,
  kUnknownNode = 5,
  kUnequalMembers = 6,
  kWrongNode = 7,       // the one who was dialled is another
  kWrongDirection = 8,  // the member with the smaller number dials
  kUnequalDatabases = 9,
};
inline constexpr std::uint8_t kRefusalMax = 9;

// One word for the log, and what an operator can do about it.
std::string_view refusal_name(Refusal refusal);
std::string_view refusal_remedy(Refusal refusal);

// What `us` has against `them`; kNone: a member of our cluster, and not ourselves.
Refusal judge(const Membership& us, const Identity& them);

}  // namespace holdfast::transport
