// What a member can claim after a restart, and what it learns from the others about it.
//
//   sound       it holds everything that it ever acknowledged, and knows its votes
//   recovering  acknowledged entries may be missing at the end of its log: it neither votes nor
//               counts until it holds everything up to the last index that a primary of its own
//               term or a newer one had when they first met
//   blank       an empty disk: it has forgotten its votes too. It takes part in nothing before all
//               other members have told their terms. If all are empty, they may begin a cluster
//               (explicitly); otherwise it votes in no term up to the highest and is recovering
//
// If all members are present and fewer than a majority are sound, nobody can claim anything. Those
// who are absent are waited for up to recovery_wait, as they may hold what the others lost; then
// nobody can claim anything if none that is present is sound, or if there would be no sound
// majority even with all that are absent. In their absence a log counts for nothing that is empty,
// or is known to lack what others have (log::DurableRecord::is_log_partial): two lost disks of
// three do not know what the third one holds. The longest log among those that have one begins a
// new generation, and whoever was absent is refused until its disk is wiped. That is the one case
// in which acknowledged writes may be lost, and it is said loudly. Anything else (one of three is
// sound, one recovers, one stays away) is for an operator to decide: GenerationForced. Its term is
// far above all that are known, as absent members may have been in terms that nobody here heard of.
// No two members are forced to the same generation or term, as they may not hear of each other.
// Those that are begun by votes grow from one to the next, as each voter votes for a higher one
// only than before (log::DurableRecord::voted_generation).
//
// Who is sound in an older generation than another is refused and elects nobody, so it does not
// count as sound; nor does it give up by itself what it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/ids.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/config.hpp"
#include "replication/core/start.hpp"
#include "replication/core/time.hpp"

namespace holdfast::core {

// From what recovery found.
wire::Claim claim_at_start(const Start& start);
// The same, of what a log that is recovering holds: log::DurableRecord::is_log_partial.
bool begins_anew(const Start& start);

// What a blank member proposes as the cluster's first generation, in the place where others say
// theirs. It comes from its log id, which is random and lasts, so that two clusters do not begin
// with the same number: a member of one is a stranger to the other, whatever their names and
// secrets. Generations that follow add one.
std::uint64_t proposed_generation(const log::DurableRecord& record);

// Answers to our StatusRequests, all of this life.
class StatusBoard {
 public:
  struct Status {
    MonoTime at;
    Term term;
    std::uint64_t generation = 0;
    wire::StatusReply reply;
  };
  StatusBoard(std::uint64_t nonce, std::size_t peers) : nonce_(nonce), peers_(peers) {}

  std::uint64_t nonce() const { return nonce_; }
  void on_reply(NodeId from, MonoTime now, Term term, std::uint64_t generation,
                const wire::StatusReply& reply) {
    if (reply.nonce == nonce_) statuses_[from] = {now, term, generation, reply};
  }
  const std::map<NodeId, Status>& statuses() const { return statuses_; }

  bool all_answered() const { return statuses_.size() == peers_; }
  // Nobody has ever voted or written anything. REQUIRES: all_answered.
  bool all_empty() const;
  bool any_sound() const;
  Term highest_term() const;
  // Of those that have one; 0: none has.
  std::uint64_t highest_generation() const;
  // That anybody voted for.
  std::uint64_t highest_voted_generation() const;
  // Of the numbers that blank members propose for the first generation.
  std::uint64_t highest_proposal() const;
  std::uint64_t longest_promise_us() const;

  // Judgement of a member that finds no primary; `own` is what it would answer itself, of
  // `own_generation`; `lonely` is how long it has been without a primary.
  bool nobody_can_claim(const wire::StatusReply& own, std::uint64_t own_generation, MonoTime now,
                        Duration fresh_for, Duration lonely, Duration recovery_wait,
                        Failover failover) const;

 private:
  std::uint64_t nonce_;
  std::size_t peers_;  // all members but this one
  std::map<NodeId, Status> statuses_;
};

// The number and the first term of a generation that the member in this place of the list is forced
// to begin: above what is known, and none that another place comes to. The term is more than a
// million above, and a million apart from that of any other place: nobody holds so many elections
// unnoticed.
std::uint64_t forced_generation(std::uint64_t known, std::size_t slot, std::size_t members);
Term forced_term(Term known, std::size_t slot, std::size_t members);

// What a recovering member must reach.
struct RecoveryMark {
  Term term;  // of the primary that it met; 0: none yet
  LogIndex index;
};

}  // namespace holdfast::core
