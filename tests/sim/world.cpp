#include "tests/sim/world.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstdio>
#include <tuple>
#include <utility>

#include "tests/sim/history.hpp"
#include "tests/sim/node_member.hpp"
#include "tests/sim/register_member.hpp"
#include "tests/sim/register_workload.hpp"
#include "tests/sim/sessions.hpp"

namespace holdfast::sim {

namespace {

// From the end of the faults until all members must agree; recovery_wait is within.
constexpr TrueTime kQuietUs = 15'000'000;
// From the mending of a disk until all that it refused has been written anew and synced.
constexpr TrueTime kMendingUs = 3'000'000;
// An operator forces nothing before there was no primary for so long.
constexpr TrueTime kPatienceOfOperatorUs = 1'000'000;

}  // namespace

World::World(const Scenario& scenario)
    : scenario_(scenario), random_(scenario.seed), plan_(make_plan(scenario_, random_)) {
  build();
}

World::~World() {
  // Processes refer to disks and network.
  for (auto& host : hosts_) host->machine.kill(false);
}

void World::build() {
  const std::size_t count = plan_.config.members.size();
  network_ = std::make_unique<Network>(timeline_, random_, count);
  network_->set_weather(plan_.weather);
  events_.may_lose_data = [this] { return any_loss_; };
  if (may_lose_committed()) checker_.allow_loss_of_committed();
  events_.on_primary = [this](std::size_t number) {
    check_leases();
    faults_->on_primary(number);
  };
  for (std::size_t i = 0; i < count; ++i) {
    const auto offset = static_cast<std::int64_t>(random_.below(1'000'000'000));
    hosts_.push_back(std::make_unique<Host>(timeline_, random_, *network_, i, offset));
    hosts_.back()->machine.pauses() = plan_.pauses;
  }
  if (scenario_.inhabitants == Inhabitants::kRegisters) {
    build_registers();
  } else {
    build_nodes();
  }
  for (std::size_t i = 0; i < count; ++i) restart(i);
  faults_ = std::make_unique<Faults>(timeline_, random_, *network_, *this, plan_.faults);
}

Surroundings World::around(std::size_t number) {
  Surroundings around{timeline_, random_, *network_, machine(number), checker_, events_, {}};
  if (scenario_.trace)
    around.trace = [this](std::size_t n, const std::string& text) { trace(n, text); };
  return around;
}

void World::build_registers() {
  events_.on_committed = [this](const log::Entry& entry, bool is_last) {
    if (is_last) check_committed_stays(entry);
  };
  std::vector<RegisterMember*> members;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    auto member = std::make_unique<RegisterMember>(around(i), plan_.config, plan_.log_timing,
                                                   plan_.snapshot_every);
    members.push_back(member.get());
    hosts_[i]->member = std::move(member);
  }
  workload_ = std::make_unique<RegisterWorkload>(timeline_, random_, checker_, std::move(members),
                                                 plan_.clients, plan_.think_us, plan_.read_mode);
}

void World::build_nodes() {
  const bool is_promised = plan_.kind != WorldKind::kAsyncAcks && !may_lose_committed();
  history_ = std::make_unique<History>(checker_, is_promised);
  if (!may_lose_committed()) {
    events_.on_committed = [this](const log::Entry& entry, bool) { history_->on_committed(entry); };
    events_.on_loss = [this](LogIndex kept) { history_->on_loss(kept); };
  }
  std::vector<NodeMember*> members;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    machine(i).wall_clock().set(kWallEpochUs + draw_wall_error());
    auto member = std::make_unique<NodeMember>(around(i), plan_, random_.next());
    members.push_back(member.get());
    hosts_[i]->member = std::move(member);
  }
  std::function<void(const std::string& text)> tell;
  if (scenario_.trace)
    tell = [this](const std::string& text) {
      std::printf("%10.3f ms  %s\n", static_cast<double>(timeline_.now()) / 1000.0, text.c_str());
    };
  workload_ =
      std::make_unique<Sessions>(timeline_, random_, *history_, std::move(members), plan_.clients,
                                 plan_.think_us, plan_.faults.clocks_stop, std::move(tell));
}

std::int64_t World::draw_wall_error() {
  const auto spread = static_cast<std::uint64_t>(kWallErrorUsMax);
  return static_cast<std::int64_t>(random_.below(2 * spread + 1)) - kWallErrorUsMax;
}

void World::trace(std::size_t number, const std::string& text) {
  std::printf("%10.3f ms  node %zu  %s\n", static_cast<double>(timeline_.now()) / 1000.0,
              number + 1, text.c_str());
}

void World::restart(std::size_t number) {
  if (!machine(number).is_up()) member(number).start();
}

void World::kill_process(std::size_t number) {
  if (scenario_.trace) trace(number, "is killed");
  member(number).kill_process();
}

void World::lose_power(std::size_t number) {
  if (scenario_.trace) trace(number, "loses power");
  member(number).lose_power();
  if (!plan_.fsync_always) hosts_[number]->in_doubt = true;
}

void World::wipe(std::size_t number) {
  if (scenario_.trace) trace(number, "loses its disk");
  member(number).wipe();
  hosts_[number]->in_doubt = true;
  if (!may_lose_committed()) return;
  checker_.forget_unless([this](LogIndex index, Term term) {
    return std::any_of(hosts_.begin(), hosts_.end(),
                       [&](const auto& host) { return host->member->has_entry(index, term); });
  });
}

void World::desert(std::size_t number) {
  if (machine(number).is_up()) kill_process(number);
  hosts_[number]->in_doubt = true;
}

// A member is out of doubt once it says so and has it on disk. Where an operator forces
// generations, it must be of the newest: others are to be wiped.
void World::settle_doubts() {
  std::uint64_t newest = 0;
  if (plan_.kind == WorldKind::kDesertion) {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (replica(i) != nullptr) hosts_[i]->generation = replica(i)->generation();
      newest = std::max(newest, hosts_[i]->generation);
    }
    for (auto& host : hosts_)
      if (host->generation < newest) host->in_doubt = true;
  }
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (hosts_[i]->in_doubt && timeline_.now() >= hosts_[i]->in_doubt_until &&
        replica(i) != nullptr && replica(i)->claim() == wire::Claim::kSound &&
        member(i).has_record() && !member(i).is_marked_recovering() &&
        hosts_[i]->generation == newest)
      hosts_[i]->in_doubt = false;
  }
}

bool World::is_in_doubt(std::size_t number) {
  return hosts_[number]->in_doubt || !member(number).has_record() ||
         member(number).is_marked_recovering();
}

bool World::is_any_in_doubt() {
  settle_doubts();
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (is_in_doubt(i)) return true;
  return false;
}

bool World::may_lose_disk(std::size_t number) {
  settle_doubts();
  std::size_t in_doubt = 1;
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (i != number && is_in_doubt(i)) ++in_doubt;
  // Before a majority has written anything, nobody can tell what was lost.
  const std::size_t most =
      plan_.kind == WorldKind::kUnilateral ? hosts_.size() - 1 : (hosts_.size() - 1) / 2;
  return checker_.committed_last().value > 0 && in_doubt <= most;
}

void World::hand_over(std::size_t target, std::int64_t timeout_us) {
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (is_primary(i)) member(i).hand_over(target, timeout_us);
}

void World::abort_hand_over() {
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (is_primary(i)) member(i).abort_hand_over();
}

bool World::has_primary() const {
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (is_primary(i)) return true;
  return false;
}

// When those that are left can elect nobody: a sound one, as the README advises, or the one that
// has the most, though sound ones do not follow it before they are wiped.
void World::force_generation(const std::set<std::size_t>& gone) {
  settle_doubts();
  if (has_primary() || timeline_.now() - primary_seen_ < kPatienceOfOperatorUs) return;
  std::size_t sound = 0;
  std::optional<std::size_t> most;
  const bool prefers_sound = scenario_.seed % 2 == 0;
  const auto rank = [&](std::size_t i) {
    const bool is_sound = replica(i)->claim() == wire::Claim::kSound;
    return std::tuple(prefers_sound && is_sound, replica(i)->last_index(), is_sound);
  };
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (gone.contains(i)) continue;
    if (!hosts_[i]->in_doubt && member(i).has_record() && !member(i).is_marked_recovering())
      ++sound;
    if (replica(i) == nullptr || replica(i)->claim() == wire::Claim::kBlank) continue;
    if (!most || rank(*most) < rank(i)) most = i;
  }
  if (sound > hosts_.size() / 2 || !most) return;
  if (!forced_) forced_ = most;
  if (replica(*forced_) == nullptr) return;
  primary_seen_ = timeline_.now();  // he waits for what comes of it
  member(*forced_).force_generation([this] { return !is_quiet_ && !has_primary(); });
}

void World::fail_disk(std::size_t number, bool failed) {
  Host& host = *hosts_[number];
  if (!failed && host.in_doubt_until == INT64_MAX)
    host.in_doubt_until = timeline_.now() + kMendingUs;
  if (member(number).is_disk_failed() == failed || !machine(number).is_up()) return;
  if (scenario_.trace) trace(number, failed ? "disk fails" : "disk is mended");
  const bool forgets = member(number).set_disk_failed(failed, failed && may_lose_disk(number));
  if (!forgets) return;
  host.in_doubt = true;
  host.in_doubt_until = INT64_MAX;
}

void World::set_wall_clock(std::size_t number, std::int64_t drift_ppm) {
  Clock& clock = machine(number).wall_clock();
  clock.set_drift(0);
  // The error stays within its bound, whatever this one drifts by until it is set again.
  clock.set(kWallEpochUs + timeline_.now() + draw_wall_error() / 2);
  clock.set_drift(drift_ppm);
}

std::size_t World::primary_or_any() {
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (is_primary(i)) return i;
  return random_.below(hosts_.size());
}

void World::check_leases() {
  if (plan_.faults.clocks_stop || may_lose_committed()) return;
  std::size_t holder = hosts_.size();
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (replica(i) == nullptr || !replica(i)->lease_holds(machine(i).clock().now())) continue;
    if (holder < hosts_.size())
      return checker_.fail(
          fmt::format("lease exclusivity: nodes {} and {} hold one", holder + 1, i + 1));
    holder = i;
  }
  // A new primary is no business of a holder's: it may hold no lease yet, but nobody may be elected
  // within one.
  for (std::size_t i = 0; i < hosts_.size() && holder < hosts_.size(); ++i) {
    if (i == holder || !is_primary(i)) continue;
    const core::Replica& other = *replica(i);
    if (other.term() > replica(holder)->term())
      return checker_.fail(
          fmt::format("lease exclusivity: node {} is elected in term {} within "
                      "node {}'s lease of term {}",
                      i + 1, other.term().value, holder + 1, replica(holder)->term().value));
  }
}

// An entry that counts as committed must be out of reach of every election to come: if all
// processes died now, nobody without it would get a majority by what lies on the disks. Members in
// doubt neither vote nor stand.
void World::check_committed_stays(const log::Entry& entry) {
  settle_doubts();
  std::vector<const LogOnDisk*> logs;
  for (const auto& host : hosts_) {
    if (host->member->has_record() && !host->member->is_marked_recovering() && !host->in_doubt)
      logs.push_back(host->member->log_on_disk());
  }
  for (const LogOnDisk* candidate : logs) {
    if (candidate->holds(entry.index, entry.term)) continue;
    const auto votes = static_cast<std::size_t>(
        std::count_if(logs.begin(), logs.end(), [&](const LogOnDisk* voter) {
          return std::pair(candidate->last_term(), candidate->last_index()) >=
                 std::pair(voter->last_term(), voter->last_index());
        }));
    if (votes > hosts_.size() / 2)
      return checker_.fail(
          fmt::format("commitment is forever: index {} of term {} counts as committed, but a "
                      "member without it can still be elected",
                      entry.index.value, entry.term.value));
  }
}

bool World::run_until(TrueTime end, const std::function<bool()>& done) {
  TrueTime next_look = timeline_.now();
  while (timeline_.now() < end && !checker_.failed()) {
    if (!timeline_.step(end)) break;
    if (timeline_.now() < next_look) continue;
    next_look = timeline_.now() + 20'000;
    settle_doubts();
    check_leases();
    if (has_primary()) primary_seen_ = timeline_.now();
    if (done && done()) return true;
  }
  return false;
}

bool World::all_agree() {
  if (!workload_->has_written()) {
    workload_->write_once();
    return false;
  }
  LogIndex last = checker_.committed_last();
  // The side that lost may have committed more than the one that won.
  for (std::size_t i = 0; i < hosts_.size() && may_lose_committed(); ++i)
    if (is_primary(i)) last = replica(i)->last_index();
  std::size_t primaries = 0;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (replica(i) == nullptr || replica(i)->claim() != wire::Claim::kSound ||
        member(i).applied() != last || replica(i)->commit_index() != last || last.value == 0 ||
        (!may_lose_committed() && replica(i)->term_at(last) != checker_.committed(last)->term))
      return false;
    primaries += is_primary(i) ? 1 : 0;
    member(i).check_state();
  }
  return primaries == 1;
}

std::string World::describe(std::size_t number) {
  if (!machine(number).is_up()) return "is down";
  if (this->replica(number) == nullptr) return "is loading";
  const core::Replica& replica = *this->replica(number);
  std::string text = fmt::format(
      "{} term={} claim={} primary={} last={} commit={} applied={} generation={}",
      core::name_of(replica.role()), replica.term().value, core::name_of(replica.claim()),
      replica.primary().value, replica.last_index().value, replica.commit_index().value,
      member(number).applied().value, replica.generation());
  if (replica.role() != core::Role::kPrimary) return text;
  for (const core::PeerView& peer : replica.peers())
    text +=
        fmt::format("; {} {} match={} next={}{}", peer.id.value,
                    peer.is_connected ? core::name_of(peer.claim) : "lost", peer.persisted.value,
                    peer.next.value, peer.is_snapshotting ? " snapshot" : "");
  return text;
}

// What an operator does when a member says that the cluster went on without it.
void World::mend_old_generations() {
  std::uint64_t newest = 0;
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (replica(i) != nullptr) newest = std::max(newest, replica(i)->generation());
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (replica(i) == nullptr || replica(i)->generation() == newest) continue;
    wipe(i);
    restart(i);
  }
}

RunResult World::run() {
  workload_->begin();
  // A cluster first comes up in peace: an empty disk is no loss then.
  run_until(1'000'000, [&] { return checker_.committed_last().value > 0; });
  faults_->begin();
  run_until(plan_.chaos_us, {});
  workload_->end();
  is_quiet_ = true;
  faults_->end();
  network_->set_weather({});
  if (scenario_.trace)
    std::printf("%10.3f ms  faults end\n", static_cast<double>(timeline_.now()) / 1000.0);
  const TrueTime quiet_since = timeline_.now();
  bool agreed = run_until(quiet_since + kQuietUs / 2, [this] { return all_agree(); });
  // Those of an old generation that are emptied may let another one begin, which leaves out others.
  const int mendings = plan_.kind == WorldKind::kDesertion ? 3 : 1;
  for (int i = 0; i < mendings && !agreed && any_loss_ && !checker_.failed(); ++i) {
    mend_old_generations();
    agreed = run_until(timeline_.now() + kQuietUs / 2 / mendings, [this] { return all_agree(); });
  }
  if (!agreed && !checker_.failed() && scenario_.trace)
    for (std::size_t i = 0; i < hosts_.size(); ++i) trace(i, describe(i));
  if (!agreed && !checker_.failed())
    checker_.fail(workload_->has_written() ? "members do not agree after the faults ended"
                                           : "no progress after the faults ended");
  RunResult result;
  result.failure = checker_.failure();
  result.members = hosts_.size();
  result.writes = checker_.acknowledged_count();
  result.reads = checker_.read_count();
  result.elections = checker_.election_count();
  result.recovered_us = timeline_.now() - quiet_since;
  return result;
}

}  // namespace holdfast::sim
