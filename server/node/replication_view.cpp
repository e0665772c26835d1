// What commands are shown of the cluster, and what they ask for.
#include <fmt/format.h>

#include <algorithm>

#include "server/node/replication.hpp"

namespace holdfast::node {

namespace {

std::string_view shown(core::Role role) {
  switch (role) {
    case core::Role::kReplica:
      return "replica";
    case core::Role::kCandidate:
      return "candidate";
    case core::Role::kPrimary:
      return "primary";
  }
  return "replica";
}

}  // namespace

Term Replication::term_of_applied() const {
  return replica_->term_at(applied_).value_or(replica_->term());
}

std::optional<wire::Message> Replication::busy_message() const {
  if (!replica_) return std::nullopt;
  return wire::Message{replica_->term(), replica_->generation(), wire::Busy{}};
}

bool Replication::is_master(MonoUs now) const {
  return replica_ && !state_.persistence.loading && replica_->lease_holds({now});
}

commands::ClusterView Replication::view(MonoUs now) const {
  commands::ClusterView view;
  const auto& nodes = state_.options.cluster.nodes.list;
  view.members.reserve(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    commands::MemberView member;
    member.id = {i + 1};
    member.name = nodes[i].name;
    member.host = nodes[i].host;
    member.port = nodes[i].port;
    member.peer_port = nodes[i].peer_port;
    member.zone = nodes[i].zone;
    member.is_self = nodes[i].name == state_.options.cluster.node;
    member.is_connected = connected_[i];
    member.silent_us = member.is_self ? 0 : std::max<MonoUs>(now - heard_[i], 0);
    view.members.push_back(std::move(member));
  }
  if (!replica_) {
    view.role = "replica";
    view.claim = "loading";
    view.is_syncing = true;
    return view;
  }
  const core::Replica& replica = *replica_;
  view.role = shown(replica.role());
  view.is_master = is_master(now);
  view.is_serving = replica.accepts_entries();
  view.is_handing_over = is_handing_over_;
  view.is_syncing = replica.role() != core::Role::kPrimary &&
                    (replica.claim() != wire::Claim::kSound || is_receiving_ || is_reloading());
  view.is_stalled = is_stalled();
  view.term = replica.term();
  view.generation = replica.generation();
  view.claim = replica.is_refused() ? "refused" : core::name_of(replica.claim());
  view.last = replica.last_index();
  view.committed = replica.commit_index();
  view.applied = applied_;
  // Of a member that needs no other it never ends.
  if (replica.role() == core::Role::kPrimary) {
    view.lease_left_us = std::clamp<MonoUs>(replica.lease_until().us - now, 0,
                                            state_.options.cluster.lease_ms * 1000);
  }
  // Without a link to it nobody can say that it still is.
  if (replica.role() == core::Role::kPrimary || replica.primary().value == 0 ||
      connected_[replica.primary().value - 1])
    view.primary = replica.primary();
  view.last_primary = last_primary_;
  view.last_primary_silent_us = std::max<MonoUs>(now - last_primary_heard_, 0);
  for (const core::PeerView& peer : replica.peers()) {
    commands::MemberView& member = view.members[peer.id.value - 1];
    member.is_following = peer.is_following;
    member.claim = peer.is_following ? core::name_of(peer.claim) : "unknown";
    member.persisted = peer.persisted;
    member.is_snapshotting = peer.is_snapshotting;
    member.can_take_over = peer.can_take_over;
  }
  return view;
}

std::size_t Replication::acknowledged_by(LogIndex index) const {
  if (!is_primary()) return 0;
  const auto peers = replica_->peers();
  return static_cast<std::size_t>(std::count_if(
      peers.begin(), peers.end(),
      [&](const core::PeerView& peer) { return peer.is_connected && peer.persisted >= index; }));
}

void Replication::hand_over(NodeId target, MonoUs timeout) {
  asked_hand_over_ = Asked{target, {timeout}};
}

void Replication::abort_hand_over() {
  asked_abort_ = true;
}

void Replication::force_generation() {
  asked_generation_ = true;
}

void Replication::do_what_was_asked(core::MonoTime now) {
  if (std::exchange(asked_generation_, false)) step(core::GenerationForced{}, now);
  if (auto asked = std::exchange(asked_hand_over_, std::nullopt)) {
    is_handing_over_ = true;
    step(core::TransferRequested{asked->target, asked->timeout}, now);
  }
  if (std::exchange(asked_abort_, false)) step(core::TransferAborted{}, now);
}

bool Replication::begin_farewell(core::Duration timeout, core::MonoTime now) {
  if (!is_primary() || is_handing_over_ ||
      std::find(connected_.begin(), connected_.end(), true) == connected_.end())
    return is_handing_over_;
  is_handing_over_ = true;
  step(core::TransferRequested{{}, timeout}, now);
  return is_handing_over_;
}

}  // namespace holdfast::node
