// What the owner may ask of a replica between steps.
#include <algorithm>

#include "replication/core/replica.hpp"

namespace holdfast::core {

std::string_view name_of(Role role) {
  constexpr std::string_view kNames[] = {"replica", "candidate", "primary"};
  return kNames[static_cast<std::size_t>(role)];
}

std::string_view name_of(wire::Claim claim) {
  constexpr std::string_view kNames[] = {"sound", "recovering", "blank"};
  return kNames[static_cast<std::size_t>(claim)];
}

std::string_view name_of(wire::Refusal reason) {
  constexpr std::string_view kNames[] = {"none",          "log_behind", "already_voted", "old_term",
                                         "primary_alive", "recovering", "other"};
  return kNames[static_cast<std::size_t>(reason)];
}

bool Replica::accepts_entries() const {
  return role_ == Role::kPrimary && is_serving_ && !transfer_.is_active() && !disk_failed_;
}

MonoTime Replica::next_due() const {
  if (applied_ < commit_ && apply_read_ == 0) return std::max(now_, apply_read_after_);
  const auto from_awake = [&](MonoTime awake) { return now_ + (awake - awake_.now()); };
  MonoTime due = kNever;
  const auto at = [&](MonoTime time) { due = std::min(due, time); };
  if (role_ == Role::kPrimary) {
    if (!peers_.empty()) at(next_heartbeat_);
    if (transfer_.is_active()) at(transfer_.deadline);
    if (transfer_.phase == TransferPhase::kHandedOver) at(transfer_.ask_again_at);
  } else {
    if (election_.kept_vote || election_.phase == Phase::kWaiting) at(promise_.until());
    if (election_.phase == Phase::kAsking || election_.phase == Phase::kStanding)
      at(election_.deadline);
    if (!suspicion_.is_suspected()) {
      at(from_awake(suspicion_.silent_at()));
    } else if (election_.phase == Phase::kIdle && may_stand()) {
      at(std::max(election_.next_round, peers_.empty() ? promise_.until() : kLongAgo));
    }
    if (wants_statuses()) at(std::max(next_status_, now_));
  }
  return due;
}

LogIndex Replica::log_needed_from() const {
  LogIndex needed{std::min(applied_, commit_).value + 1};
  if (role_ != Role::kPrimary) return needed;
  for (const PeerProgress& peer : peers_) {
    if (!peer.is_connected) continue;
    if (peer.feed != Feed::kSnapshot) {
      needed = std::min(needed, std::max(peer.next, LogIndex{peer.match.value + 1}));
    } else if (peer.snapshot.id.index.value != 0) {
      needed = std::min(needed, LogIndex{peer.snapshot.id.index.value + 1});
    }
  }
  return needed;
}

std::vector<PeerView> Replica::peers() const {
  std::vector<PeerView> views;
  for (const PeerProgress& peer : peers_) {
    views.push_back({peer.id, peer.is_connected, peer.claim_known, peer.claim, peer.match,
                     peer.next, peer.feed == Feed::kSnapshot, can_take_over(peer),
                     awake_.now() - peer.heard});
  }
  return views;
}

}  // namespace holdfast::core
