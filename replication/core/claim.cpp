#include "replication/core/claim.hpp"

#include <algorithm>

namespace holdfast::core {

using wire::Claim;

Claim claim_at_start(const Start& start) {
  const bool empty_log = start.last_index.value == 0;
  if (start.is_new) return Claim::kBlank;
  if (start.record.recovering && start.record.term.value == 0 && empty_log) return Claim::kBlank;
  const bool doubt = start.record.recovering || start.tail_in_doubt || start.log_is_missing;
  return doubt ? Claim::kRecovering : Claim::kSound;
}

bool begins_anew(const Start& start) {
  if (claim_at_start(start) != Claim::kRecovering) return false;
  return start.record.is_log_partial || start.log_is_missing || start.last_index.value == 0;
}

std::uint64_t proposed_generation(const log::DurableRecord& record) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8 | record.log_id[i];
  return number << 16 | 1;
}

bool StatusBoard::all_empty() const {
  return std::all_of(statuses_.begin(), statuses_.end(), [](const auto& each) {
    const Status& status = each.second;
    return status.term.value == 0 && status.reply.last_index.value == 0 &&
           status.reply.claim != Claim::kRecovering;
  });
}

bool StatusBoard::any_sound() const {
  return std::any_of(statuses_.begin(), statuses_.end(),
                     [](const auto& each) { return each.second.reply.claim == Claim::kSound; });
}

Term StatusBoard::highest_term() const {
  Term highest;
  for (const auto& [peer, status] : statuses_) highest = std::max(highest, status.term);
  return highest;
}

std::uint64_t StatusBoard::highest_generation() const {
  std::uint64_t highest = 0;
  for (const auto& [peer, status] : statuses_)
    if (status.reply.claim != Claim::kBlank) highest = std::max(highest, status.generation);
  return highest;
}

std::uint64_t StatusBoard::highest_voted_generation() const {
  std::uint64_t highest = 0;
  for (const auto& [peer, status] : statuses_)
    highest = std::max(highest, status.reply.voted_generation);
  return highest;
}

std::uint64_t StatusBoard::highest_proposal() const {
  std::uint64_t highest = 0;
  for (const auto& [peer, status] : statuses_)
    if (status.reply.claim == Claim::kBlank) highest = std::max(highest, status.generation);
  return highest;
}

std::uint64_t StatusBoard::longest_promise_us() const {
  std::uint64_t longest = 0;
  for (const auto& [peer, status] : statuses_)
    longest = std::max(longest, status.reply.promise_us_max);
  return longest;
}

bool StatusBoard::nobody_can_claim(const wire::StatusReply& own, std::uint64_t own_generation,
                                   MonoTime now, Duration fresh_for, Duration lonely,
                                   Duration recovery_wait, Failover failover) const {
  const bool one_suffices = failover == Failover::kUnilateral;
  const std::size_t needed = one_suffices ? 1 : (peers_ + 1) / 2 + 1;
  std::size_t present = 0;
  std::size_t sound = 0;
  std::size_t with_log = 0;
  std::size_t with_entries = 0;  // that were not begun anew
  std::uint64_t newest = own_generation;
  for (const auto& [peer, status] : statuses_)
    if (now - status.at < fresh_for && status.reply.claim != Claim::kBlank)
      newest = std::max(newest, status.generation);
  // Who is sound in an older generation is refused, and elects nobody; nor does it give up what it
  // holds by itself.
  if (own.claim == Claim::kSound && own_generation < newest) return false;
  const auto count = [&](const wire::StatusReply& reply, std::uint64_t generation) {
    const bool is_old = generation < newest;
    if (reply.claim == Claim::kSound && !is_old) ++sound;
    if (reply.claim == Claim::kRecovering || (reply.claim == Claim::kSound && !is_old)) ++with_log;
    if (reply.last_index.value != 0 && !reply.is_log_partial && !is_old) ++with_entries;
  };
  count(own, own_generation);
  for (const auto& [peer, status] : statuses_) {
    if (now - status.at >= fresh_for) continue;
    if (status.reply.hears_primary) return false;
    ++present;
    count(status.reply, status.generation);
  }
  if (sound >= needed || with_log < needed) return false;
  const std::size_t absent = peers_ - present;
  if (absent == 0) return true;
  // Who is away may be sound, and serve all by itself.
  if (lonely < recovery_wait || one_suffices || with_entries < needed) return false;
  // While a majority may still be sound, those who are away are not given up without an operator.
  return sound == 0 || sound + absent < needed;
}

namespace {

// The next number behind `known` that is this place's: they take turns, the first one at 2.
std::uint64_t next_in_turn(std::uint64_t known, std::size_t slot, std::size_t members) {
  std::uint64_t next = known + 1;
  while ((next + 2 * members - 2) % members != slot) ++next;
  return next;
}

}  // namespace

std::uint64_t forced_generation(std::uint64_t known, std::size_t slot, std::size_t members) {
  return next_in_turn(known, slot, members);
}

Term forced_term(Term known, std::size_t slot, std::size_t members) {
  constexpr std::uint64_t kElections = 1'000'000;
  return {next_in_turn(known.value / kElections + 1, slot, members) * kElections};
}

}  // namespace holdfast::core
