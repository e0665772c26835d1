// Members that may have lost part of what they said: see claim.hpp.
#include <fmt/format.h>
#include <algorithm>

#include "replication/core/replica.hpp"

namespace holdfast::core {

namespace {
constexpr Duration kWaitingNoteAfter = milliseconds(5'000);
constexpr Duration kWaitingNoteEvery = milliseconds(30'000);
}  // namespace

void Replica::on_status_request(NodeId from, const wire::StatusRequest& request) {
  const bool hears = role_ == Role::kPrimary || (primary_.value != 0 && !suspicion_.is_suspected());
  const std::uint64_t generation =
      claim_ == wire::Claim::kBlank ? proposed_generation(record_) : generation_;
  wire::StatusReply reply = own_status();
  reply.nonce = request.nonce;
  reply.hears_primary = hears;
  outbox_.send(from, {term_, generation, reply}, *out_);
}

wire::StatusReply Replica::own_status() const {
  return {.claim = claim_,
          .last_index = log_.last_index(),
          .last_term = log_.last_term(),
          .promise_us_max = record_.promise_ms_max * 1000,
          .is_log_partial = is_log_partial_,
          .voted_generation = record_.voted_generation};
}

bool Replica::wants_statuses() const {
  return claim_ == wire::Claim::kBlank ||
         (role_ != Role::kPrimary && suspicion_.is_suspected() &&
          (claim_ != wire::Claim::kSound || now_ - lonely_since_ > config_.election_timeout * 4));
}

void Replica::poll_statuses() {
  if (!wants_statuses() || now_ < next_status_) return;
  next_status_ = now_ + config_.election_timeout / 2;
  note_waiting();
  for (const PeerProgress& peer : peers_) send(peer.id, wire::StatusRequest{board_.nonce()});
}

// Nothing may be wrong, or somebody has to do something: now and then it says what it waits for.
void Replica::note_waiting() {
  const Duration waited = now_ - std::max(started_, lonely_since_);
  if (waited < kWaitingNoteAfter || now_ < next_waiting_note_) return;
  next_waiting_note_ = now_ + kWaitingNoteEvery;
  std::string others;
  for (const PeerProgress& peer : peers_) {
    const auto status = board_.statuses().find(peer.id);
    const bool answers = status != board_.statuses().end() &&
                         now_ - status->second.at < config_.election_timeout * 2;
    others += fmt::format("{}{}={}", others.empty() ? "" : " ", peer.id.value,
                          answers ? name_of(status->second.reply.claim) : "silent");
  }
  note(true,
       fmt::format("waiting for={} seconds={} node={} claim={} others=\"{}\" hint=\"{}\"",
                   claim_ == wire::Claim::kBlank ? "answers" : "primary", waited.us / 1'000'000,
                   config_.self.value, name_of(claim_), others,
                   claim_ == wire::Claim::kBlank
                       ? "its disk is empty: all others must answer before it may take part"
                       : "a majority of sound members elects: start the silent ones; if they are "
                         "gone for good: HOLDFAST FORCE-GENERATION"));
}

// A blank member learns whether it is the first beginning of a cluster, or has forgotten.
void Replica::judge_blank() {
  if (!board_.all_answered()) return;
  if (board_.all_empty()) {
    if (!config_.bootstrap && !peers_.empty() && !board_.any_sound()) {
      if (!refused_noted_)
        note(true,
             "all disks are empty: waits to be told to begin a cluster (cluster.bootstrap: yes on "
             "all members, once)");
      refused_noted_ = true;
      return;
    }
    refused_noted_ = false;
    become_sound();
    // All of them, whoever is the first to know, come to the same number.
    generation_ = board_.highest_generation();
    if (generation_ == 0)
      generation_ = std::max(proposed_generation(record_), board_.highest_proposal());
    save_record();
    election_.next_round = now_ + rank_delay();
    note(false, fmt::format("cluster begins node={} members={}: all disks are empty",
                            config_.self.value, config_.members.size()));
    return;
  }
  // It may have voted in any term up to the highest that is known: it votes in none of them again.
  term_ = board_.highest_term();
  voted_for_ = config_.self;
  generation_ = std::max<std::uint64_t>(1, board_.highest_generation());
  record_.voted_generation = board_.highest_voted_generation();
  claim_ = wire::Claim::kRecovering;
  is_log_partial_ = true;
  lonely_since_ = now_;
  const Duration longest{std::max<std::int64_t>(
      static_cast<std::int64_t>(board_.longest_promise_us()), config_.lease.us)};
  promise_.not_before(started_ + longest);
  save_record();
  note(true, fmt::format("this disk was lost: recovering from the others, no vote up to term={}",
                         term_.value));
}

void Replica::become_recovering(std::string_view why) {
  note(true, fmt::format("recovering: acknowledged entries may be missing here reason={}", why));
  claim_ = wire::Claim::kRecovering;
  is_clearing_mark_ = false;
  mark_ = {};
  election_.to_idle(now_);
  save_record();
}

// It holds everything that it is to answer for.
void Replica::become_sound() {
  claim_ = wire::Claim::kSound;
  is_clearing_mark_ = false;
  is_log_partial_ = false;
}

void Replica::judge_recovery() {
  if (claim_ != wire::Claim::kRecovering || is_clearing_mark_) return;
  if (mark_.term.value == 0 || mark_.term != term_ || primary_.value == 0) return;
  if (std::min(log_.persisted(), verified_) < mark_.index) return;
  is_clearing_mark_ = true;
  save_record();
}

// Answers count that are newer than the last primary: under it all may have changed.
Duration Replica::fresh_for() const {
  return std::min(config_.election_timeout * 2, now_ - lonely_since_);
}

bool Replica::nobody_can_claim() const {
  if (role_ == Role::kPrimary || !suspicion_.is_suspected()) return false;
  return board_.nobody_can_claim(own_status(), generation_, now_, fresh_for(), now_ - lonely_since_,
                                 config_.recovery_wait, config_.failover);
}

std::uint64_t Replica::highest_known_generation() const {
  return std::max({generation_, record_.voted_generation, board_.highest_generation(),
                   board_.highest_voted_generation()});
}

// The longest log among those that have one goes on. `board_` tells of members that answered
// lately.
void Replica::judge_generation() {
  if (claim_ == wire::Claim::kBlank || disk_failed_ || election_.phase != Phase::kIdle ||
      now_ < election_.next_round || !nobody_can_claim())
    return;
  for (const auto& [peer, status] : board_.statuses()) {
    if (now_ - status.at >= fresh_for() || status.reply.claim == wire::Claim::kBlank) continue;
    if (status.generation > generation_) return;
    const auto theirs = std::pair(status.reply.last_term, status.reply.last_index);
    const auto ours = std::pair(log_.last_term(), log_.last_index());
    if (theirs > ours) return;
    // Among equals the first in the list, unless it does not come to it.
    if (theirs == ours && peer < config_.self &&
        now_ - lonely_since_ < config_.recovery_wait + config_.election_timeout * 8 &&
        election_.rounds % 4 != 3) {
      ++election_.rounds;
      election_.next_round = now_ + draw(config_.election_timeout, config_.election_timeout);
      return;
    }
  }
  pending_generation_ = highest_known_generation() + 1;
  record_.voted_generation = pending_generation_;
  note(true, fmt::format("nobody can claim to hold everything: stands for generation={} last={}",
                         pending_generation_, log_.last_index().value));
  ++election_.rounds;
  stand(wire::VoteKind::kGeneration);
}

// Won: what this member has is what there is.
void Replica::begin_generation() {
  note(true, fmt::format("generation {} begins with what node {} has, up to index {}: writes that "
                         "only lost or absent disks held are lost",
                         pending_generation_, config_.self.value, log_.last_index().value));
  generation_ = pending_generation_;
  become_sound();
  save_record();
}

// Whether the message is to be looked at. Members of different generations have histories that
// contradict each other.
bool Replica::settle_generation(NodeId from, const wire::Message& message) {
  if (message.generation == generation_) return true;
  if (message.generation < generation_) {
    // So that it learns why nobody listens.
    if (!std::holds_alternative<wire::HeartbeatReply>(message.body) &&
        !std::holds_alternative<wire::AppendReply>(message.body))
      on_status_request(from, {});
    return false;
  }
  const bool from_primary = std::holds_alternative<wire::Heartbeat>(message.body) ||
                            std::holds_alternative<wire::AppendEntries>(message.body);
  const auto* vote = std::get_if<wire::VoteRequest>(&message.body);
  // Its record is of a generation that was begun, though nobody may have heard of it.
  const bool from_candidate = vote != nullptr && vote->kind == wire::VoteKind::kGeneration;
  // Whatever its term: an answer of a higher one is how the primary learns of it.
  const bool may_adopt =
      claim_ == wire::Claim::kRecovering ||
      (message.term >= term_ && (message.generation <= agreed_generation_ || nobody_can_claim()));
  if ((from_primary && may_adopt) || (from_candidate && claim_ == wire::Claim::kRecovering)) {
    adopt_generation(message.generation);
    return true;
  }
  if (!refused_noted_) {
    note(
        true,
        fmt::format(
            "refused: the cluster went on as generation {} without this node, whose "
            "data is of generation {}; or belongs to another cluster; wipe its disk to let it join",
            message.generation, generation_));
  }
  refused_noted_ = true;
  return false;
}

void Replica::adopt_generation(std::uint64_t generation) {
  note(true, fmt::format("generation {} was begun: this node follows it", generation));
  generation_ = generation;
  refused_noted_ = false;
  if (role_ != Role::kReplica || primary_.value != 0) become_replica({});
  verified_ = {};
  is_log_partial_ = true;  // it has nothing of what the new generation wrote
  become_recovering("new_generation");
}

void Replica::on_generation_forced() {
  if (role_ == Role::kPrimary || claim_ == wire::Claim::kBlank) {
    note(true, "a generation cannot be begun here: this node is primary, or has an empty disk");
    return;
  }
  note(true, "an operator says that what is here is all there is");
  pending_generation_ =
      forced_generation(highest_known_generation(), self_slot_, config_.members.size());
  // Absent members may have been in terms that nobody here has heard of. An entry of such a one is
  // another than ours of the same term, and who holds it may come back recovering and follow.
  const Term first =
      forced_term(std::max(term_, board_.highest_term()), self_slot_, config_.members.size());
  term_ = next_term(Term{first.value - 1});
  become_replica({});
  voted_for_ = config_.self;
  begin_generation();
  become_primary();
}

}  // namespace holdfast::core
