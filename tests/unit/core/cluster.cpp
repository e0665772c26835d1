#include "tests/unit/core/cluster.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <sstream>

namespace holdfast::core {

Cluster::Cluster(std::size_t members, Failover failover)
    : failover_(failover), nodes_(members), cut_(members, std::vector<bool>(members)) {
  for (std::size_t i = 1; i <= members; ++i) start(i, true);
}

bool Cluster::reaches(std::size_t from, std::size_t to) const {
  return !cut_[from - 1][to - 1];
}

void Cluster::start(std::size_t number, bool bootstrap) {
  Node& starting = node(number);
  Config config;
  config.self = {number};
  for (std::size_t i = 1; i <= nodes_.size(); ++i) config.members.push_back({i});
  config.bootstrap = bootstrap;
  config.failover = failover_;
  Start start;
  start.now = now_;
  start.seed = number;
  start.is_new = !starting.disk.is_there;
  start.record = starting.disk.record;
  start.tail_in_doubt = starting.disk.in_doubt;
  start.snapshot = starting.disk.snapshot;
  start.applied = start.last_index = start.snapshot.index;
  for (const log::Entry& entry : starting.disk.log) {
    if (start.runs.empty() || start.runs.back().term != entry.term)
      start.runs.push_back({entry.index, entry.term});
    start.last_index = entry.index;
    start.last_time = entry.time;
    start.tail.push_back(entry);
  }
  starting.disk.in_doubt = false;
  starting.applied.clear();
  starting.inbox.clear();
  starting.is_paused = false;
  starting.replica = std::make_unique<Replica>(config, start);
  for (std::size_t peer = 1; peer <= nodes_.size(); ++peer)
    if (peer != number && node(peer).replica && reaches(peer, number) && reaches(number, peer))
      link(number, peer, true);
  step(number, Tick{});
}

void Cluster::stop(std::size_t number, bool says_goodbye) {
  node(number).replica.reset();
  for (std::size_t peer = 1; peer <= nodes_.size(); ++peer)
    if (says_goodbye && node(peer).replica && peer != number && reaches(number, peer))
      step(peer, PeerLost{{number}});
}

void Cluster::link(std::size_t a, std::size_t b, bool up) {
  for (const auto& [here, there] : {std::pair(a, b), std::pair(b, a)}) {
    if (!node(here).replica) continue;
    if (up) {
      step(here, PeerConnected{{there}});
    } else {
      step(here, PeerLost{{there}});
    }
  }
}

void Cluster::step(std::size_t number, Happening what) {
  Node& here = node(number);
  if (!here.replica) return;
  if (here.is_paused) {
    here.inbox.push_back(std::move(what));
    return;
  }
  Effects effects;
  here.replica->step({now_, std::move(what)}, effects);
  carry_out(number, effects);
}

void Cluster::carry_out(std::size_t number, Effects& effects) {
  Node& here = node(number);
  std::vector<Happening> answers;
  for (RecordWrite& write : effects.records) {
    here.disk.is_there = true;
    here.disk.record = write.record;
    answers.push_back(RecordSaved{write.write});
  }
  for (const StoreSnapshot& block : effects.store_snapshot)
    answers.push_back(
        SnapshotStored{block.number, block.offset + block.bytes.size(), block.is_last});
  for (LogWrite& write : effects.writes) {
    auto& log = here.disk.log;
    if (write.reset) {
      log.clear();
      here.disk.snapshot = *write.reset;
    }
    while (write.truncate_from.value != 0 && !log.empty() &&
           log.back().index >= write.truncate_from)
      log.pop_back();
    log.insert(log.end(), write.entries.begin(), write.entries.end());
    if (!here.holds_disk) answers.push_back(Persisted{write.write});
  }
  for (const Became& became : effects.became) {
    if (became.void_from.value == 0) continue;
    while (!here.applied.empty() && here.applied.back().first >= became.void_from)
      here.applied.pop_back();
  }
  if (effects.install_snapshot) here.applied.clear();
  for (const log::Entry& entry : effects.apply)
    if (entry.kind == log::EntryKind::kMutations)
      here.applied.emplace_back(entry.index, entry.payload.str());
  for (const ReadOutcome& outcome : effects.reads) read_outcomes_[outcome.id] = outcome.allowed;
  for (const Note& note : effects.notes) here.story += note.text + "\n";
  for (Send& message : effects.send)
    in_flight_.push_back({number, message.to.value, std::move(message.message)});
  for (Happening& answer : answers) step(number, std::move(answer));
}

void Cluster::deliver_all() {
  for (int rounds = 0; rounds < 100'000 && !in_flight_.empty(); ++rounds) {
    const InFlight next = std::move(in_flight_.front());
    in_flight_.pop_front();
    if (!node(next.to).replica || !reaches(next.from, next.to)) continue;
    step(next.to, Received{{next.from}, next.message});
  }
}

void Cluster::tick(std::int64_t ms) {
  deliver_all();
  for (const MonoTime end = now_ + milliseconds(ms); now_ < end;) {
    now_ = now_ + milliseconds(5);
    for (std::size_t i = 1; i <= nodes_.size(); ++i)
      if (!node(i).is_paused) step(i, Tick{});
    deliver_all();
  }
}

std::size_t Cluster::primary() const {
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].replica && nodes_[i].replica->accepts_entries() && !nodes_[i].is_paused)
      return i + 1;
  return 0;
}

// Until somebody serves and all that can hear it agree; at most two seconds.
std::string Cluster::settle() {
  for (int i = 0; i < 400; ++i) {
    tick(5);
    const std::size_t by = primary();
    if (by == 0 || i < 60) continue;
    bool agree = true;
    for (std::size_t n = 1; n <= nodes_.size(); ++n)
      if (node(n).replica && !node(n).is_paused && reaches(by, n) && reaches(n, by))
        agree = agree && node(n).replica->commit_index() == node(by).replica->commit_index();
    if (agree) return fmt::format("primary {} term {}", by, node(by).replica->term().value);
  }
  return primary() == 0 ? "no primary" : "no agreement";
}

std::string Cluster::write(std::size_t number, const std::string& value) {
  Node& here = node(number);
  if (!here.replica) return "down";
  if (!here.replica->accepts_entries()) return "refused";
  const LogIndex index = here.replica->next_index();
  const Proposal proposal{1, log::EntryKind::kMutations, Rope::copy_of(value)};
  here.applied.emplace_back(index, value);
  step(number, Submitted{{&proposal, 1}});
  deliver_all();
  deliver_all();
  return here.replica->commit_index() >= index ? "ok" : "held";
}

std::string Cluster::read(std::size_t number) {
  Node& here = node(number);
  if (!here.replica) return "down";
  const std::uint64_t id = next_read_++;
  step(number, ReadRequested{id, ReadMode::kLease});
  if (read_outcomes_.count(id) == 0) deliver_all();
  if (read_outcomes_.count(id) == 0) return "waits";
  if (!read_outcomes_[id]) return "refused";
  if (here.applied.empty()) return "nothing";
  return here.applied.back().second;
}

std::string Cluster::describe(std::size_t number) const {
  const Node& here = nodes_.at(number - 1);
  if (!here.replica) return "down";
  const Replica& replica = *here.replica;
  return fmt::format(
      "{} term={} primary={} last={} commit={} {}{}",
      replica.role() == Role::kPrimary     ? "primary"
      : replica.role() == Role::kCandidate ? "candidate"
                                           : "replica",
      replica.term().value, replica.primary().value, replica.last_index().value,
      replica.commit_index().value, name_of(replica.claim()),
      replica.generation() > 1 ? fmt::format(" generation={}", replica.generation()) : "");
}

std::string Cluster::stories() const {
  std::string all;
  for (std::size_t i = 1; i <= nodes_.size(); ++i)
    all += fmt::format("node {}: {}\n{}", i, describe(i), nodes_[i - 1].story);
  return all;
}

std::string Cluster::run(const std::string& command) {
  std::istringstream words(command);
  std::string verb;
  words >> verb;
  const auto number = [&] {
    std::size_t n = 0;
    words >> n;
    return n;
  };
  const auto rest = [&] {
    std::string text;
    words >> text;
    return text;
  };
  if (verb == "tick") {
    tick(static_cast<std::int64_t>(number()));
    return "";
  }
  if (verb == "settle") return settle();
  if (verb == "write") {
    const std::size_t n = number();
    return write(n, rest());
  }
  if (verb == "read") return read(number());
  if (verb == "show") return describe(number());
  if (verb == "cut" || verb == "join") {  // cut 1 2: nothing passes from 1 to 2
    const std::size_t a = number();
    const std::size_t b = number();
    cut_[a - 1][b - 1] = verb == "cut";
    return "";
  }
  if (verb == "isolate" || verb == "heal") {  // isolate 1: silence, no link breaks
    const std::size_t chosen = verb == "isolate" ? number() : 0;
    for (std::size_t a = 1; a <= nodes_.size(); ++a)
      for (std::size_t b = 1; b <= nodes_.size(); ++b)
        cut_[a - 1][b - 1] = chosen != 0 && a != b && (a == chosen || b == chosen);
    return "";
  }
  if (verb == "break") {  // break 1 2: the link breaks, and a new one stands at once
    const std::size_t a = number();
    const std::size_t b = number();
    link(a, b, false);
    link(a, b, true);
    return "";
  }
  if (verb == "kill" || verb == "vanish") {  // vanish: no link breaks
    stop(number(), verb == "kill");
    return "";
  }
  if (verb == "restart") {
    start(number(), false);
    return "";
  }
  if (verb == "power-loss") {  // what was written and not synced is gone: the last `n` entries
    const std::size_t n = number();
    const std::size_t lost = number();
    stop(n, false);
    auto& log = node(n).disk.log;
    log.resize(log.size() - std::min(lost, log.size()));
    node(n).disk.in_doubt = true;
    return "";
  }
  if (verb == "wipe") {
    const std::size_t n = number();
    stop(n, false);
    node(n).disk = {};
    return "";
  }
  if (verb == "pause") {
    node(number()).is_paused = true;
    return "";
  }
  if (verb == "resume") {
    Node& here = node(number());
    here.is_paused = false;
    std::deque<Happening> waiting = std::exchange(here.inbox, {});
    for (Happening& what : waiting)
      step(static_cast<std::size_t>(&here - nodes_.data()) + 1, std::move(what));
    return "";
  }
  if (verb == "hand-over") {
    const std::size_t n = number();
    step(primary(), TransferRequested{{n}, milliseconds(500)});
    return "";
  }
  if (verb == "force") {
    step(number(), GenerationForced{});
    return "";
  }
  if (verb == "story") {  // story 1 words...: whether it told so
    const std::size_t n = number();
    std::string text;
    std::getline(words >> std::ws, text);
    return node(n).story.find(text) != std::string::npos ? "yes" : "no";
  }
  return "unknown command";
}

}  // namespace holdfast::core
