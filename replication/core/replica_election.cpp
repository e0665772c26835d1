// Elections: suspicion, pre-votes, votes, and what a promise holds up.
#include <fmt/format.h>
#include <algorithm>

#include "base/planted_fault.hpp"
#include "replication/core/replica.hpp"

namespace holdfast::core {

using wire::Refusal;
using wire::VoteKind;
using wire::VoteReply;
using wire::VoteRequest;

namespace {
constexpr Duration kRefusalSaidFor = milliseconds(10'000);
}  // namespace

bool Replica::is_log_behind(const VoteRequest& request) const {
  return std::pair(request.last_term, request.last_index) <
         std::pair(log_.last_term(), log_.last_index());
}

// Whether this member may not vote now, whatever for. A primary is bound as long as its lease.
bool Replica::is_promised() const {
  if (HF_BUG(kIgnorePromise)) return false;
  if (role_ == Role::kPrimary) return now_ < lease_.until();
  return promise_.holds(now_);
}

bool Replica::may_stand() const {
  const bool claims = claim_ == wire::Claim::kSound ||
                      (HF_BUG(kRecoveringVotes) && claim_ == wire::Claim::kRecovering);
  return claims && !disk_failed_ && is_ready_;
}

std::size_t Replica::votes_needed() const {
  return config_.failover == Failover::kUnilateral ? 1 : quorum();
}

// Two members that promote themselves without asking never use the same term.
Term Replica::next_term(Term above) const {
  Term next{above.value + 1};
  if (config_.failover == Failover::kUnilateral && next.value % 2 == self_slot_ % 2) ++next.value;
  return next;
}

// Who comes first in the list of members asks first; the lost primary's place does not count.
Duration Replica::rank_delay() const {
  std::int64_t rank = 0;
  for (const PeerProgress& peer : peers_)
    if (peer.id < config_.self && peer.id != primary_) ++rank;
  return config_.heartbeat * rank;
}

void Replica::refuse_vote(NodeId from, const VoteRequest& request, Refusal reason) {
  // A candidate asks many times a second, for as long as it takes.
  const RefusalSaid said{from, request.kind, reason};
  if (said != refusal_said_ || now_ >= refusal_said_until_) {
    refusal_said_ = said;
    refusal_said_until_ = now_ + kRefusalSaidFor;
    note(false, fmt::format("{} refused candidate={} term={} reason={} theirs={} ours={}",
                            request.kind == VoteKind::kPreVote ? "pre-vote" : "vote", from.value,
                            request.for_term.value, name_of(reason), request.last_index.value,
                            log_.last_index().value));
  }
  send(from, VoteReply{request.kind, request.for_term, false, reason});
}

void Replica::on_pre_vote_request(NodeId from, const VoteRequest& request) {
  if (!may_stand() && claim_ != wire::Claim::kSound)
    return refuse_vote(from, request, Refusal::kRecovering);
  if (request.for_term <= term_) return refuse_vote(from, request, Refusal::kOldTerm);
  if (is_log_behind(request)) return refuse_vote(from, request, Refusal::kLogBehind);
  const bool hears = role_ == Role::kPrimary || !suspicion_.is_suspected();
  if (hears) {
    election_.kept_pre_vote = {from, request};
    return refuse_vote(from, request, Refusal::kPrimaryAlive);
  }
  send(from, VoteReply{VoteKind::kPreVote, request.for_term, true, Refusal::kNone});
  // Let it go first, once; and of two that ask at the same time the one with the better log goes
  // on, or the first in the list.
  if (election_.preferred == from || election_.phase == Phase::kStanding) return;
  const bool better = std::pair(request.last_term, request.last_index) >
                      std::pair(log_.last_term(), log_.last_index());
  if (election_.phase != Phase::kIdle && !better && config_.self < from) return;
  election_.preferred = from;
  election_.to_idle(std::max(election_.next_round, now_ + config_.lease + config_.heartbeat * 4));
}

void Replica::on_vote_request(NodeId from, const VoteRequest& request) {
  if (is_promised()) {
    election_.kept_vote = {from, request};
    return;
  }
  judge_vote(from, request);
}

void Replica::judge_kept_vote() {
  if (!election_.kept_vote) return;
  const KeptRequest kept = *election_.kept_vote;
  election_.kept_vote.reset();
  if (HF_BUG(kKeptVoteUnjudged)) {
    term_ = std::max(term_, kept.request.for_term);
    voted_for_ = kept.from;
    if (role_ != Role::kPrimary) become_replica({});
    save_record();
    return send(kept.from,
                VoteReply{kept.request.kind, kept.request.for_term, true, Refusal::kNone});
  }
  judge_vote(kept.from, kept.request);
}

void Replica::judge_vote(NodeId from, const VoteRequest& request) {
  const Term term = request.for_term;
  if (request.kind == VoteKind::kGeneration) {
    const bool is_repeated =
        request.new_generation == record_.voted_generation && term == term_ && voted_for_ == from;
    const bool wanted = request.new_generation > generation_ &&
                        (request.new_generation > record_.voted_generation || is_repeated) &&
                        nobody_can_claim();
    if (claim_ == wire::Claim::kBlank || !wanted)
      return refuse_vote(from, request, Refusal::kOther);
  } else if (!may_stand() && claim_ != wire::Claim::kSound) {
    return refuse_vote(from, request, Refusal::kRecovering);
  }
  if (term < term_) return refuse_vote(from, request, Refusal::kOldTerm);
  const bool voted = voted_for_.value != 0 && voted_for_ != from && !HF_BUG(kVoteTwice);
  if (term == term_ && (voted || primary_.value != 0))
    return refuse_vote(from, request, Refusal::kAlreadyVoted);
  if (is_log_behind(request)) {
    if (term > term_) adopt_term(term);
    return refuse_vote(from, request, Refusal::kLogBehind);
  }
  if (request.kind == VoteKind::kGeneration)
    agreed_generation_ = record_.voted_generation = request.new_generation;
  const bool is_repeated = term == term_ && voted_for_ == from;
  if (!is_repeated) {
    term_ = term;
    voted_for_ = from;
    become_replica({});
    save_record();
    note(false, fmt::format("vote granted candidate={} term={} last={}", from.value, term.value,
                            request.last_index.value));
  }
  election_.next_round = std::max(
      election_.next_round, now_ + draw(config_.lease + config_.heartbeat * 4, config_.lease));
  send(from, VoteReply{request.kind, term, true, Refusal::kNone});
}

void Replica::suspect(std::string_view why) {
  if (suspicion_.is_suspected() || role_ == Role::kPrimary) return;
  suspicion_.suspect();
  lonely_since_ = now_;
  election_.rounds = 0;
  election_.preferred = {};
  election_.to_idle(now_ + rank_delay());
  note(false, fmt::format("primary suspected primary={} term={} reason={}", primary_.value,
                          term_.value, why));
  if (config_.failover == Failover::kUnilateral)
    election_.next_round = std::max(election_.next_round, promise_.until());
  if (election_.kept_pre_vote) {
    const KeptRequest kept = *election_.kept_pre_vote;
    election_.kept_pre_vote.reset();
    on_pre_vote_request(kept.from, kept.request);
  }
}

void Replica::tick_election() {
  if (!suspicion_.is_suspected() && suspicion_.is_silent(awake_.now())) suspect("silence");
  if (!suspicion_.is_suspected()) return;
  judge_generation();
  switch (election_.phase) {
    case Phase::kIdle:
      if (may_stand() && now_ >= election_.next_round) ask_for_pre_votes();
      break;
    case Phase::kAsking:
      if (now_ >= election_.deadline) election_.to_idle(now_ + draw({}, config_.heartbeat * 4));
      break;
    case Phase::kWaiting:
      if (!promise_.holds(now_)) stand(VoteKind::kVote);
      break;
    case Phase::kStanding:
      if (now_ < election_.deadline) break;
      election_.preferred = {};
      become_replica({});
      election_.to_idle(now_ + draw({}, config_.election_timeout));
      break;
  }
}

void Replica::ask_for_pre_votes() {
  ++election_.rounds;
  election_.phase = Phase::kAsking;
  election_.granted.assign(1, config_.self);
  election_.deadline = now_ + draw(config_.election_timeout / 2, config_.heartbeat * 2);
  // A survivor without a majority asks for hours: at the beginning, then now and then.
  constexpr std::uint64_t kRoundsBetweenNotes = 128;
  if (config_.members.size() > 1 &&
      (election_.rounds <= 3 || election_.rounds % kRoundsBetweenNotes == 0))
    note(false, fmt::format("asks for pre-votes term={} last={} round={}", next_term(term_).value,
                            log_.last_index().value, election_.rounds));
  for (const PeerProgress& peer : peers_) ask_for_vote(peer.id);
  check_votes();
}

// What this member asks now, if anything.
void Replica::ask_for_vote(NodeId peer) {
  if (election_.phase == Phase::kAsking) {
    send(peer,
         VoteRequest{VoteKind::kPreVote, next_term(term_), log_.last_index(), log_.last_term(), 0});
  } else if (election_.phase == Phase::kStanding) {
    send(peer, VoteRequest{election_.kind, term_, log_.last_index(), log_.last_term(),
                           pending_generation_});
  }
}

void Replica::on_vote_reply(NodeId from, const VoteReply& reply) {
  if (!reply.granted) return;
  if (reply.kind == VoteKind::kPreVote) {
    if (election_.phase != Phase::kAsking || reply.for_term != next_term(term_)) return;
  } else if (election_.phase != Phase::kStanding || reply.for_term != term_ ||
             reply.kind != election_.kind) {
    return;
  }
  if (election_.count(from)) check_votes();
}

void Replica::check_votes() {
  if (election_.granted.size() < votes_needed()) return;
  if (election_.phase == Phase::kAsking) {
    // Its own promise binds a candidate like every voter.
    if (promise_.holds(now_) && !HF_BUG(kBreakPromiseByCandidacy)) {
      election_.phase = Phase::kWaiting;
      election_.deadline = kNever;
    } else {
      stand(VoteKind::kVote);
    }
  } else if (election_.phase == Phase::kStanding) {
    // The own vote must be durable too, which `granted` containing it says.
    const auto& granted = election_.granted;
    if (std::find(granted.begin(), granted.end(), config_.self) == granted.end()) return;
    if (election_.kind == VoteKind::kGeneration) begin_generation();
    become_primary();
  }
}

void Replica::stand(VoteKind kind) {
  const Term above = kind == VoteKind::kGeneration ? std::max(term_, board_.highest_term()) : term_;
  become_replica({});
  term_ = next_term(above);
  voted_for_ = config_.self;
  role_ = Role::kCandidate;
  election_.phase = Phase::kStanding;
  election_.kind = kind;
  election_.granted.clear();
  election_.deadline = now_ + draw(config_.lease + config_.heartbeat * 4, config_.lease);
  announce({});
  save_record();
  for (const PeerProgress& peer : peers_) ask_for_vote(peer.id);
}

}  // namespace holdfast::core
