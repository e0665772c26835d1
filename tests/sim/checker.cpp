#include "tests/sim/checker.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace holdfast::sim {

std::uint64_t next_digest(std::uint64_t digest, std::uint64_t entry_hash) {
  std::uint64_t mixed = digest * 0x9e3779b97f4a7c15U + entry_hash + 1;
  mixed ^= mixed >> 29;
  return mixed * 0xbf58476d1ce4e5b9U;
}

void Checker::on_appended(std::size_t node, LogIndex index, const EntryFact& entry, Term previous) {
  const auto [at, is_new] =
      appended_.try_emplace({index, entry.term}, Appended{entry.hash, previous});
  if (is_new) return;
  if (at->second.hash != entry.hash || at->second.previous != previous)
    fail(fmt::format("log matching: node {} has another entry at index {} term {}", node + 1,
                     index.value, entry.term.value));
}

void Checker::on_committed(std::size_t node, LogIndex index, const EntryFact& entry) {
  if (may_lose_committed_) {
    committed_.resize(index.value);
    committed_.back() = entry;
    return;
  }
  if (const EntryFact* known = committed(index)) {
    if (!(*known == entry))
      fail(
          fmt::format("commitment is forever: node {} commits term {} at index {}, where term {} "
                      "was committed",
                      node + 1, entry.term.value, index.value, known->term.value));
    return;
  }
  if (index.value != committed_.size() + 1)
    return fail(fmt::format("node {} commits index {} before {}", node + 1, index.value,
                            committed_.size() + 1));
  digests_.push_back(next_digest(digest_at({committed_.size()}), entry.hash));
  committed_.push_back(entry);
}

bool Checker::on_primary(std::size_t node, Term term) {
  const auto [at, is_new] = primaries_.try_emplace(term, node);
  if (!is_new && at->second != node)
    fail(fmt::format("one primary a term: nodes {} and {} in term {}", at->second + 1, node + 1,
                     term.value));
  return term == primaries_.rbegin()->first;
}

void Checker::on_state(std::size_t node, LogIndex index, std::uint64_t digest) {
  if (index.value > committed_.size())
    return fail(
        fmt::format("node {} applied index {}, which is not committed", node + 1, index.value));
  if (digest_at(index) != digest)
    fail(fmt::format("equal index, equal digest: node {} differs at index {}", node + 1,
                     index.value));
}

void Checker::on_data(std::size_t node, LogIndex index, Term term, std::uint64_t digest) {
  const auto [at, is_new] = data_.try_emplace({index, term}, digest);
  if (!is_new && at->second != digest)
    fail(fmt::format("equal index, equal digest: node {} differs at index {} of term {}", node + 1,
                     index.value, term.value));
}

void Checker::on_marked(std::size_t node, LogIndex index, Term term, const std::string& digest) {
  const auto [at, is_new] = marked_.try_emplace({index, term}, digest);
  if (!is_new && at->second != digest)
    fail(fmt::format("node {} has another digest than others at the marker of index {} of term {}",
                     node + 1, index.value, term.value));
}

void Checker::forget_unless(const std::function<bool(LogIndex index, Term term)>& is_held) {
  const auto is_gone = [&](const auto& each) {
    return !is_held(each.first.first, each.first.second);
  };
  std::erase_if(appended_, is_gone);
  std::erase_if(data_, is_gone);
  std::erase_if(marked_, is_gone);
}

void Checker::on_acknowledged(LogIndex index, std::uint64_t entry_hash) {
  ++acknowledged_count_;
  const EntryFact* entry = committed(index);
  if (entry == nullptr || entry->hash != entry_hash)
    return fail(fmt::format("the write acknowledged at index {} is not what was committed there",
                            index.value));
  shown_ = std::max(shown_, index);
}

void Checker::on_read(std::size_t node, LogIndex version, Shown when_asked) {
  ++read_count_;
  LogIndex shown_when_asked = when_asked.index;
  for (std::size_t i = when_asked.losses; i < kept_.size(); ++i)
    shown_when_asked = std::min(shown_when_asked, kept_[i]);
  if (version < shown_when_asked)
    return fail(
        fmt::format("stale read: node {} shows version {}, but {} was shown before it was "
                    "asked",
                    node + 1, version.value, shown_when_asked.value));
  if (version.value > committed_.size())
    return fail(fmt::format("dirty read: node {} shows version {}, which is not committed",
                            node + 1, version.value));
  shown_ = std::max(shown_, version);
}

LogIndex Checker::on_generation(std::size_t node, bool may_lose, LogIndex first,
                                const std::vector<EntryFact>& log) {
  if (may_lose_committed_) return committed_last();
  if (!may_lose)
    fail(fmt::format("node {} begins a new generation while a majority can claim its data",
                     node + 1));
  std::size_t agreed = first.value - 1;
  while (agreed < committed_.size() && agreed + 1 - first.value < log.size() &&
         committed_[agreed] == log[agreed + 1 - first.value])
    ++agreed;
  if (agreed >= committed_.size()) return committed_last();
  committed_.resize(agreed);
  digests_.resize(agreed);
  shown_ = std::min(shown_, LogIndex{agreed});
  kept_.push_back({agreed});
  return {agreed};
}

}  // namespace holdfast::sim
