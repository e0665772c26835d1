// Whole groups of members after losses of power: who begins a generation, and who must not.
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <map>

#include "tests/unit/core/fixture.hpp"

using namespace holdfast;
using namespace holdfast::core;
using wire::Claim;

namespace {

// Members with disks that answer at once and a network that delivers at once what `passes` lets
// through.
struct Bus {
  struct Node {
    std::unique_ptr<Replica> replica;
    log::DurableRecord record;
    wire::SnapshotId snapshot;
    std::vector<log::Entry> log;
    std::string story;
  };
  std::size_t count;
  std::map<std::uint64_t, Node> nodes;
  MonoTime now{1'000'000'000};
  struct Mail {
    std::uint64_t from;
    std::uint64_t to;
    wire::Message message;
  };
  std::deque<Mail> mail;
  std::function<bool(const Mail&)> passes = [](const Mail&) { return true; };
  std::function<void()> after_step = [] {};

  explicit Bus(std::size_t n) : count(n) {}
  Node& node(std::uint64_t n) { return nodes[n]; }
  void start(std::uint64_t n, bool in_doubt) {
    Node& it = node(n);
    Config config;
    config.self = {n};
    for (std::size_t i = 1; i <= count; ++i) config.members.push_back({i});
    Start start;
    start.now = now;
    start.seed = n + static_cast<std::uint64_t>(now.us);
    start.record = it.record;
    start.tail_in_doubt = in_doubt;
    start.is_new = it.record.incarnation == 0;
    start.snapshot = it.snapshot;
    start.applied = start.last_index = it.snapshot.index;
    for (const log::Entry& entry : it.log) {
      if (start.runs.empty() || start.runs.back().term != entry.term)
        start.runs.push_back({entry.index, entry.term});
      start.last_index = entry.index;
      start.tail.push_back(entry);
    }
    it.replica = std::make_unique<Replica>(config, start);
    step(n, Tick{});
    for (auto& [other, peer] : nodes) {
      if (other == n || !peer.replica) continue;
      step(n, PeerConnected{{other}});
      step(other, PeerConnected{{n}});
    }
  }
  void kill(std::uint64_t n) {
    if (!node(n).replica) return;
    node(n).replica.reset();
    std::erase_if(mail, [&](const Mail& m) { return m.from == n || m.to == n; });
    for (auto& [other, peer] : nodes)
      if (peer.replica) step(other, PeerLost{{n}});
  }
  void step(std::uint64_t n, Happening what) {
    Node& it = node(n);
    if (!it.replica) return;
    Effects effects;
    it.replica->step({now, std::move(what)}, effects);
    std::vector<Happening> answers;
    for (RecordWrite& write : effects.records) {
      it.record = write.record;
      answers.push_back(RecordSaved{write.write});
    }
    for (LogWrite& write : effects.writes) {
      if (write.reset) {
        it.log.clear();
        it.snapshot = *write.reset;
      }
      while (write.truncate_from.value != 0 && !it.log.empty() &&
             it.log.back().index >= write.truncate_from)
        it.log.pop_back();
      it.log.insert(it.log.end(), write.entries.begin(), write.entries.end());
      answers.push_back(Persisted{write.write});
    }
    for (const Note& note : effects.notes) it.story += note.text + "\n";
    for (Send& send : effects.send) mail.push_back({n, send.to.value, std::move(send.message)});
    for (Happening& answer : answers) step(n, std::move(answer));
  }
  void deliver() {
    for (int i = 0; i < 100000 && !mail.empty(); ++i) {
      Mail next = std::move(mail.front());
      mail.pop_front();
      if (!node(next.to).replica || !passes(next)) continue;
      step(next.to, Received{{next.from}, next.message});
      after_step();
    }
  }
  void tick(std::int64_t ms) {
    for (const MonoTime end = now + milliseconds(ms); now < end;) {
      now = now + milliseconds(5);
      for (std::uint64_t n = 1; n <= count; ++n) step(n, Tick{});
      deliver();
    }
  }
  std::uint64_t primary() {
    for (auto& [n, it] : nodes)
      if (it.replica && it.replica->accepts_entries()) return n;
    return 0;
  }
  std::string stories() {
    std::string all;
    for (auto& [n, it] : nodes)
      all += "--- " + std::to_string(n) + " " +
             (it.replica ? std::string(name_of(it.replica->claim())) + " generation " +
                               std::to_string(it.replica->generation()) + " term " +
                               std::to_string(it.replica->term().value) + " last " +
                               std::to_string(it.replica->last_index().value)
                         : "down") +
             "\n" + it.story;
    return all;
  }
  void holds(std::uint64_t n, std::uint64_t last, std::uint64_t term = 1,
             std::uint64_t own_term = 4) {
    Node& it = node(n);
    it.record.incarnation = 1;
    it.record.generation = 1;
    it.record.term = {own_term};
    for (std::uint64_t i = 1; i <= last; ++i)
      it.log.push_back({{term}, {i}, 0, log::EntryKind::kMutations, Rope::copy_of("e")});
  }
};

}  // namespace

TEST_CASE("who began a generation and died before anybody heard of it comes back, and is followed",
          "[generation]") {
  const bool in_doubt = GENERATE(false, true);
  Bus bus(3);
  bus.holds(1, 50);
  bus.holds(2, 40);
  bus.holds(3, 40);
  for (std::uint64_t n : {1, 2, 3}) bus.start(n, true);
  // Its process ends when the record of generation 2 is saved, and nothing of it has left.
  bool is_dead = false;
  bus.after_step = [&] {
    if (is_dead || bus.node(1).record.generation != 2) return;
    is_dead = true;
    bus.kill(1);
  };
  bus.tick(3000);
  REQUIRE(is_dead);
  REQUIRE(bus.node(2).replica->generation() == 1);
  bus.start(1, in_doubt);
  bus.tick(120'000);
  INFO(bus.stories());
  CHECK(bus.primary() != 0);
}

TEST_CASE("a refused sound member does not keep the others from going on", "[generation]") {
  Bus bus(3);
  bus.holds(1, 50);
  bus.holds(2, 49);
  bus.holds(3, 48);
  for (std::uint64_t n : {1, 2}) bus.start(n, true);
  bus.tick(40'000);
  REQUIRE(bus.primary() == 1);
  bus.tick(1000);
  REQUIRE(bus.node(2).replica->claim() == Claim::kSound);
  bus.start(3, false);  // sound, of generation 1: refused
  bus.tick(1000);
  REQUIRE(bus.node(3).replica->is_refused());
  bus.kill(1);
  bus.kill(2);
  SECTION("1 restarts, 2 lost power") {
    bus.start(1, false);
    bus.start(2, true);
    bus.tick(120'000);
    INFO(bus.stories());
    CHECK(bus.primary() != 0);
  }
  SECTION("both lost power") {
    bus.start(1, true);
    bus.start(2, true);
    bus.tick(120'000);
    INFO(bus.stories());
    CHECK(bus.primary() != 0);
  }
}

TEST_CASE("a recovering member of a higher term joins the generation that was begun without it",
          "[generation]") {
  Bus bus(3);
  bus.holds(1, 50);
  bus.holds(2, 49);
  bus.holds(3, 60);
  bus.start(3, true);
  bus.tick(20'000);
  bus.start(2, true);
  bus.tick(25'000);  // 3 has waited long enough, 2 has not: it refuses, and keeps its term
  REQUIRE(bus.node(2).record.generation == 1);
  bus.kill(3);
  bus.kill(2);
  bus.tick(100);
  bus.start(2, true);
  bus.start(1, true);
  bus.tick(40'000);
  REQUIRE(bus.primary() == 1);
  bus.start(3, true);
  bus.tick(120'000);
  INFO(bus.stories());
  CHECK(bus.node(3).replica->claim() == Claim::kSound);
}

TEST_CASE("no two members begin generations of one number", "[generation]") {
  const bool has_snapshot = GENERATE(false, true);
  Bus bus(3);
  bus.holds(1, 50);
  bus.holds(2, 30);
  bus.holds(3, 40);
  if (has_snapshot) {
    bus.node(1).snapshot = {{45}, {1}};
    bus.node(1).log.erase(bus.node(1).log.begin(), bus.node(1).log.begin() + 45);
  }
  bool is_dead = false;
  bus.passes = [](const Bus::Mail& m) { return m.from + m.to != 4; };  // not between 1 and 3
  bus.after_step = [&] {
    if (is_dead || bus.node(1).record.generation != 2) return;
    is_dead = true;
    bus.kill(1);
  };
  for (std::uint64_t n : {1, 2, 3}) bus.start(n, true);
  bus.tick(80'000);
  REQUIRE(is_dead);
  INFO(bus.stories());
  REQUIRE(bus.primary() != 0);
  CHECK(bus.node(1).record.term == Term{5});
  CHECK(bus.node(bus.primary()).replica->term() > Term{5});
  // It is another generation, begun by others and with other data.
  CHECK(bus.node(bus.primary()).record.generation != bus.node(1).record.generation);
  bus.passes = [](const Bus::Mail&) { return true; };
  bus.start(1, false);
  bus.tick(5000);
  INFO(bus.stories());
  CHECK(bus.node(1).replica->is_refused());
}

// 1 and 2 go on and commit; 3 hears of it and gets nothing. Then 2 loses its last entry with its
// power, and 1, which is sound and has it, stays away.
TEST_CASE("who lags behind a primary when it is lost does not count in others' absence",
          "[generation]") {
  enum class Third { kWiped, kAdopts, kLags };
  const Third third = GENERATE(Third::kWiped, Third::kAdopts, Third::kLags);
  CAPTURE(static_cast<int>(third));
  Bus bus(3);
  const bool is_new_generation = third == Third::kAdopts;
  bus.holds(1, 50);
  bus.holds(2, 50);
  if (third != Third::kWiped) bus.holds(3, 40);
  bus.start(1, is_new_generation);
  bus.start(2, is_new_generation);
  bus.tick(is_new_generation ? 40'000 : 2'000);
  REQUIRE(bus.primary() == 1);
  bus.passes = [](const Bus::Mail& m) {
    const auto* append = std::get_if<wire::AppendEntries>(&m.message.body);
    return m.to != 3 || append == nullptr || append->entries.empty();
  };
  bus.start(3, true);
  bus.tick(1000);
  REQUIRE(bus.node(3).replica->claim() == Claim::kRecovering);
  const Proposal proposal{1, log::EntryKind::kMutations, Rope::copy_of("W")};
  bus.step(1, Submitted{{&proposal, 1}});
  bus.tick(100);
  REQUIRE(bus.node(1).replica->commit_index() == bus.node(1).replica->last_index());
  for (std::uint64_t n : {1, 2, 3}) bus.kill(n);
  bus.node(2).log.pop_back();
  bus.passes = [](const Bus::Mail&) { return true; };
  bus.start(2, true);
  bus.start(3, false);
  bus.tick(60'000);
  CHECK(bus.primary() == 0);
  bus.start(1, false);
  bus.tick(10'000);
  INFO(bus.stories());
  CHECK_FALSE(bus.node(1).replica->is_refused());
  CHECK(bus.primary() == 1);
}
