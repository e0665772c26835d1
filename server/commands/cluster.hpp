// Cluster is what commands see of the replica that this node runs, and what they ask of it. A
// server alone has none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace holdfast::commands {

struct MemberView {
  NodeId id;
  std::string name;
  std::string host;  // as clients reach it
  std::int64_t port = 0;
  std::int64_t peer_port = 0;
  std::string zone;
  bool is_self = false;
  // As the primary sees its peers; elsewhere only the connection is known.
  bool is_connected = false;
  bool is_following = false;
  std::string_view claim = "sound";
  LogIndex persisted;
  MonoUs silent_us = 0;  // since it was last heard
  bool is_snapshotting = false;
  bool can_take_over = true;  // soon, when it holds all

  // Of the primary that looks.
  bool is_replica() const { return !is_self && is_connected && is_following; }
  // As Redis says it of a replica whose data is complete, or not yet.
  std::string_view state() const {
    if (is_snapshotting) return "send_bulk";
    return claim == "sound" && persisted.value != 0 ? "online" : "wait_bgsave";
  }
};

struct ClusterView {
  std::string_view role;  // "primary", "candidate" or "replica"
  bool is_master = false;
  bool is_serving = false;
  bool is_handing_over = false;
  bool is_syncing = false;  // a replica whose data is not complete: lost, being sent or loaded
  bool is_stalled = false;  // no majority persists what is written, so writes are refused
  Term term;
  std::uint64_t generation = 0;
  std::string_view claim;
  LogIndex last;
  LogIndex committed;
  LogIndex applied;
  MonoUs lease_left_us = 0;
  NodeId primary;  // 0: not known
  // Which other member it followed last, though there is no link to it now, and for how long it has
  // not been heard as primary. For people: no client is to be sent there. 0: none since it was
  // primary itself, or started.
  NodeId last_primary;
  MonoUs last_primary_silent_us = 0;
  std::vector<MemberView> members;  // of number 1, 2, ...

  const MemberView* primary_member() const {
    return primary.value == 0 ? nullptr : &members[primary.value - 1];
  }
};

class Cluster {
 public:
  virtual ~Cluster() = default;
  // May tell clients that it is the master: it is the primary, serves, and holds the lease at
  // `now`.
  virtual bool is_master(MonoUs now) const = 0;
  // By its role, whether or not it holds the lease at this moment.
  virtual bool is_primary() const = 0;
  virtual ClusterView view(MonoUs now) const = 0;
  // How many other members have persisted the entry at `index`.
  virtual std::size_t acknowledged_by(LogIndex index) const = 0;
  // After the command. `target` 0: whoever is best. REQUIRES: is_primary.
  virtual void hand_over(NodeId target, MonoUs timeout) = 0;
  virtual void abort_hand_over() = 0;
  // After the command: what this member holds is all there is (core::GenerationForced).
  virtual void force_generation() = 0;
};

}  // namespace holdfast::commands
