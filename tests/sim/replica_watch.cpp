#include "tests/sim/replica_watch.hpp"

#include <fmt/format.h>
#include <optional>
#include <vector>

#include "base/crc32c.hpp"

namespace holdfast::sim {

std::uint64_t hash_of(const Rope& payload, log::EntryKind kind, UnixMs time) {
  std::uint32_t crc = 0;
  for (std::size_t i = 0; i < payload.piece_count(); ++i) crc = crc32c(payload.piece(i), crc);
  return (static_cast<std::uint64_t>(crc) << 24) ^ (payload.size() << 8) ^
         static_cast<std::uint64_t>(time) ^ static_cast<std::uint64_t>(kind);
}

void ReplicaWatch::reset(LogIndex index, Term term) {
  log_.clear();
  first_ = {index.value + 1};
  before_first_ = term;
}

void ReplicaWatch::recover(const log::Entry& entry) {
  if (entry.index < first_) return;
  if (entry.index.value != last_index().value + 1)
    return checker_.fail(
        fmt::format("node {} recovers index {} out of order", node_ + 1, entry.index.value));
  log_.push_back({{entry.term, hash_of(entry.payload, entry.kind, entry.time)}, entry});
}

void ReplicaWatch::truncate(LogIndex from) {
  while (!log_.empty() && last_index() >= from) log_.pop_back();
}

void ReplicaWatch::append(const log::Entry& entry) {
  if (entry.index.value != last_index().value + 1)
    return checker_.fail(
        fmt::format("node {} appends index {} out of order", node_ + 1, entry.index.value));
  const Term previous = log_.empty() ? before_first_ : log_.back().fact.term;
  log_.push_back({{entry.term, hash_of(entry.payload, entry.kind, entry.time)}, entry});
  checker_.on_appended(node_, entry.index, log_.back().fact, previous);
}

void ReplicaWatch::look_at(const core::Replica& replica) {
  check_generation(replica);
  check_primary(replica);
  check_committed(replica.commit_index());
}

void ReplicaWatch::check_committed(LogIndex commit) {
  while (committed_ < commit && !checker_.failed()) {
    ++committed_.value;
    const Known* known = find(committed_);
    if (known == nullptr)
      return checker_.fail(
          fmt::format("node {} commits index {}, which it has not", node_ + 1, committed_.value));
    const bool is_new = checker_.committed(committed_) == nullptr;
    checker_.on_committed(node_, committed_, known->fact);
    if (is_new && events_.on_committed) events_.on_committed(known->entry, committed_ == commit);
  }
}

void ReplicaWatch::check_primary(const core::Replica& replica) {
  if (replica.role() != core::Role::kPrimary || replica.term() == primary_term_) return;
  primary_term_ = replica.term();
  if (checker_.on_primary(node_, replica.term())) {
    const LogIndex last = checker_.committed_last();
    const std::optional<Term> term = replica.term_at(last);
    const bool lacks_some = last > replica.last_index() ||
                            (term && last.value != 0 && *term != checker_.committed(last)->term);
    if (lacks_some && !checker_.may_lose_committed())
      checker_.fail(fmt::format("node {} is primary of term {} without the committed entry {}",
                                node_ + 1, replica.term().value, last.value));
    events_.on_primary(node_);
  }
}

void ReplicaWatch::check_generation(const core::Replica& replica) {
  const bool is_new = knows_generation_ && replica.generation() > generation_;
  knows_generation_ = true;
  generation_ = replica.generation();
  if (!is_new || replica.role() != core::Role::kPrimary || replica.term() < checker_.newest_term())
    return;
  std::vector<EntryFact> facts;
  for (const Known& known : log_) facts.push_back(known.fact);
  const LogIndex kept = checker_.on_generation(node_, events_.may_lose_data(), first_, facts);
  if (events_.on_loss) events_.on_loss(kept);
}

}  // namespace holdfast::sim
