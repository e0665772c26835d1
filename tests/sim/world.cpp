#include "tests/sim/world.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstdio>

namespace holdfast::sim {

namespace {

// From the end of the faults until all members must agree; recovery_wait is within.
constexpr TrueTime kQuietUs = 15'000'000;
constexpr std::int64_t kPatienceUs = 400'000;  // of a client

}  // namespace

World::World(const Scenario& scenario) : scenario_(scenario), random_(scenario.seed) {
  plan();
  build();
}

World::~World() {
  // Processes refer to disks and network.
  for (auto& host : hosts_) host->machine->kill(false);
}

// What kind of world this seed is.
void World::plan() {
  const auto one_in = [&](std::uint64_t n) { return random_.below(n) == 0; };
  const auto between = [&](std::int64_t least, std::int64_t most) {
    return least +
           static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most - least + 1)));
  };
  std::size_t members = scenario_.members;
  if (members == 0) {
    const std::uint64_t kind = random_.below(20);
    members = kind == 0 ? 1 : kind == 1 ? 2 : kind < 15 ? 3 : 5;
  }
  for (std::size_t i = 1; i <= members; ++i) config_.members.push_back({i});
  config_.bootstrap = true;
  if (one_in(2)) {
    config_.heartbeat = {between(20'000, 75'000)};
    config_.lease = {between(2 * config_.heartbeat.us, config_.election_timeout.us)};
  }
  config_.message_bytes = static_cast<std::size_t>(between(64, 600));
  config_.window_bytes = config_.message_bytes * 4 * static_cast<std::size_t>(between(1, 8));
  config_.window_messages = static_cast<std::size_t>(between(2, 30));
  config_.backlog_bytes = one_in(3) ? 2'000 : 200'000;
#ifdef HOLDFAST_SIM_BUGS
  config_.bug = scenario_.bug;
#endif
  fsync_always_ = one_in(3);
  log_timing_.write_us_max = one_in(4) ? 20'000 : 400;
  log_timing_.sync_period_us = fsync_always_ ? 0 : 1'000'000;
  log_timing_.slow_one_in = one_in(3) ? 40 : 0;
  snapshot_every_ = one_in(3) ? 0 : static_cast<std::uint64_t>(between(5, 80));
  think_us_ = between(2'000, 30'000);

  if (one_in(2)) weather_.lost_one_in = static_cast<std::uint64_t>(between(10, 200));
  if (one_in(2)) weather_.doubled_one_in = static_cast<std::uint64_t>(between(5, 100));
  if (one_in(2)) weather_.late_one_in = static_cast<std::uint64_t>(between(5, 100));
  if (one_in(2)) weather_.late_us_max = between(5'000, 400'000);
  weather_.reorders = one_in(2);

  FaultPlan& f = faults_plan_;
  const auto sometimes = [&](std::int64_t least, std::int64_t most) {
    return one_in(2) ? between(least, most) : 0;
  };
  f.kill_us = sometimes(200'000, 2'000'000);
  f.power_us = sometimes(300'000, 2'000'000);
  f.wipe_us = one_in(3) ? between(500'000, 2'000'000) : 0;
  f.cut_us = sometimes(200'000, 1'500'000);
  f.flap_us = sometimes(50'000, 800'000);
  f.pause_us = sometimes(100'000, 1'000'000);
  f.pause_us_max = between(100'000, 1'500'000);
  f.busy_us = one_in(4) ? between(300'000, 1'500'000) : 0;
  f.hand_over_us = sometimes(30'000, 1'000'000);
  f.disk_us = one_in(4) ? between(300'000, 1'500'000) : 0;
  f.clock_us = sometimes(100'000, 1'000'000);
  // Two clocks run apart by less than the bound that leases are shortened by.
  f.drift_ppm_max = config_.clock_drift_ppm * 45 / 100;
  f.clocks_stop = one_in(8);
  f.relapse_one_in = one_in(2) ? 3 : 0;
  f.down_us_max = between(100'000, 2'000'000);
  if (one_in(2)) pause_plan_.inside_one_in = static_cast<std::uint64_t>(between(200, 3'000));
  if (one_in(3)) f.hit_primary_one_in = static_cast<std::uint64_t>(between(1, 4));
  if (!fsync_always_ && members > 1 && one_in(12))
    f.catastrophe_at_us = between(1'000'000, chaos_us_ - 500'000);
  if (f.catastrophe_at_us != 0) config_.recovery_wait = core::milliseconds(2'000);
  read_mode_ = f.clocks_stop || one_in(6) ? core::ReadMode::kQuorum : core::ReadMode::kLease;
  clients_.resize(static_cast<std::size_t>(between(1, 5)));
}

void World::build() {
  const std::size_t count = config_.members.size();
  network_ = std::make_unique<Network>(timeline_, random_, count);
  network_->set_weather(weather_);
  for (std::size_t i = 0; i < count; ++i) {
    auto host = std::make_unique<Host>();
    const auto offset = static_cast<std::int64_t>(random_.below(1'000'000'000));
    host->machine = std::make_unique<Machine>(timeline_, random_, *network_, i, offset);
    host->machine->pauses() = pause_plan_;
    DiskTiming record_timing;
    host->record_disk = std::make_unique<Disk<RecordOnDisk>>(timeline_, random_, record_timing);
    host->log_disk = std::make_unique<Disk<LogOnDisk>>(timeline_, random_, log_timing_);
    host->around = std::make_unique<Surroundings>(Surroundings{timeline_,
                                                               random_,
                                                               *network_,
                                                               *host->machine,
                                                               checker_,
                                                               *host->record_disk,
                                                               *host->log_disk,
                                                               snapshot_every_,
                                                               {},
                                                               {},
                                                               {},
                                                               {}});
    if (scenario_.trace)
      host->around->trace = [this](std::size_t n, const std::string& text) { trace(n, text); };
    host->around->may_lose_data = [this] { return any_loss_; };
    host->around->on_primary = [this](std::size_t n) {
      check_leases();
      faults_->on_primary(n);
    };
    host->around->on_committed = [this](LogIndex index, Term term) {
      check_committed_stays(index, term);
    };
    hosts_.push_back(std::move(host));
  }
  for (std::size_t i = 0; i < count; ++i) restart(i);
  faults_ = std::make_unique<Faults>(timeline_, random_, *network_, *this, faults_plan_);
}

void World::trace(std::size_t number, const std::string& text) {
  std::printf("%10.3f ms  node %zu  %s\n", static_cast<double>(timeline_.now()) / 1000.0,
              number + 1, text.c_str());
}

RegisterNode* World::node(std::size_t number) {
  return static_cast<RegisterNode*>(hosts_[number]->machine->process());
}

void World::restart(std::size_t number) {
  Host& host = *hosts_[number];
  if (host.machine->is_up()) return;
  RecordOnDisk& disk = host.record_disk->state_for_repair();
  const std::string boot = std::to_string(host.boot);
  const bool in_doubt =
      disk.is_there && disk.record.running && disk.record.boot_id != boot && !fsync_always_;
  if (scenario_.trace) trace(number, in_doubt ? "restarts, tail in doubt" : "restarts");
  core::Config config = config_;
  config.self = {number + 1};
  const bool is_there = disk.is_there;
  disk.record.boot_id = boot;  // reaches the disk with the first record that is saved
  auto process =
      std::make_unique<RegisterNode>(*host.around, config, in_doubt, host.machine->clock().now());
  disk.is_there = is_there;
  host.machine->start(std::move(process));
}

void World::kill_process(std::size_t number) {
  if (scenario_.trace) trace(number, "is killed");
  hosts_[number]->machine->kill(true);
  hosts_[number]->record_disk->kill_process();
  hosts_[number]->log_disk->kill_process();
}

void World::lose_power(std::size_t number) {
  if (scenario_.trace) trace(number, "loses power");
  Host& host = *hosts_[number];
  host.machine->kill(false);
  host.record_disk->lose_power();
  host.log_disk->lose_power();
  ++host.boot;
  if (!fsync_always_) host.in_doubt = true;
}

void World::wipe(std::size_t number) {
  if (scenario_.trace) trace(number, "loses its disk");
  Host& host = *hosts_[number];
  host.machine->kill(false);
  host.record_disk->wipe();
  host.log_disk->wipe();
  ++host.boot;
  host.in_doubt = true;
}

// A member is out of doubt once it says so and has it on disk.
void World::settle_doubts() {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const RecordOnDisk& disk = hosts_[i]->record_disk->state();
    if (hosts_[i]->in_doubt && hosts_[i]->machine->is_up() &&
        node(i)->replica().claim() == wire::Claim::kSound && disk.is_there &&
        !disk.record.recovering)
      hosts_[i]->in_doubt = false;
  }
}

bool World::may_lose_disk(std::size_t number) {
  settle_doubts();
  std::size_t in_doubt = 1;
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (i != number && (hosts_[i]->in_doubt || !hosts_[i]->record_disk->state().is_there ||
                        hosts_[i]->record_disk->state().record.recovering))
      ++in_doubt;
  // Before a majority has written anything, nobody can tell what was lost.
  return checker_.committed_last().value > 0 && in_doubt <= (hosts_.size() - 1) / 2;
}

void World::hand_over(std::size_t target, std::int64_t timeout_us) {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i]->machine->is_up() || node(i)->replica().role() != core::Role::kPrimary) continue;
    hosts_[i]->machine->post([target, timeout_us](Process& process, core::MonoTime now) {
      static_cast<RegisterNode&>(process).hand_over({target + 1}, {timeout_us}, now);
    });
  }
}

void World::abort_hand_over() {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i]->machine->is_up() || node(i)->replica().role() != core::Role::kPrimary) continue;
    hosts_[i]->machine->post([](Process& process, core::MonoTime now) {
      static_cast<RegisterNode&>(process).abort_hand_over(now);
    });
  }
}

void World::fail_disk(std::size_t number, bool failed) {
  Host& host = *hosts_[number];
  if (host.log_disk->is_failed() == failed || !host.machine->is_up()) return;
  if (scenario_.trace) trace(number, failed ? "disk fails" : "disk is mended");
  host.log_disk->set_failed(failed);
  host.machine->post([failed](Process& process, core::MonoTime now) {
    static_cast<RegisterNode&>(process).disk_event(failed, now);
  });
}

std::size_t World::primary_or_any() {
  for (std::size_t i = 0; i < hosts_.size(); ++i)
    if (hosts_[i]->machine->is_up() && node(i)->replica().role() == core::Role::kPrimary) return i;
  return random_.below(hosts_.size());
}

void World::check_leases() {
  if (faults_plan_.clocks_stop) return;
  std::size_t holder = hosts_.size();
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i]->machine->is_up() ||
        !node(i)->replica().lease_holds(hosts_[i]->machine->clock().now()))
      continue;
    if (holder < hosts_.size())
      return checker_.fail(
          fmt::format("lease exclusivity: nodes {} and {} hold one", holder + 1, i + 1));
    holder = i;
  }
  // A new primary is no business of a holder's: it may hold no lease yet, but nobody may be elected
  // within one.
  for (std::size_t i = 0; i < hosts_.size() && holder < hosts_.size(); ++i) {
    if (i == holder || !hosts_[i]->machine->is_up()) continue;
    const core::Replica& other = node(i)->replica();
    if (other.role() == core::Role::kPrimary && other.term() > node(holder)->replica().term())
      return checker_.fail(
          fmt::format("lease exclusivity: node {} is elected in term {} within "
                      "node {}'s lease of term {}",
                      i + 1, other.term().value, holder + 1, node(holder)->replica().term().value));
  }
}

// An entry that counts as committed must be out of reach of every election to come: if all
// processes died now, nobody without it would get a majority by what lies on the disks. Members in
// doubt neither vote nor stand.
void World::check_committed_stays(LogIndex index, Term term) {
  settle_doubts();
  std::vector<const LogOnDisk*> logs;
  for (const auto& host : hosts_) {
    const RecordOnDisk& record = host->record_disk->state();
    if (record.is_there && !record.record.recovering && !host->in_doubt)
      logs.push_back(&host->log_disk->state());
  }
  for (const LogOnDisk* candidate : logs) {
    if (candidate->holds(index, term)) continue;
    const auto votes = static_cast<std::size_t>(
        std::count_if(logs.begin(), logs.end(), [&](const LogOnDisk* voter) {
          return std::pair(candidate->last_term(), candidate->last_index()) >=
                 std::pair(voter->last_term(), voter->last_index());
        }));
    if (votes > hosts_.size() / 2)
      return checker_.fail(
          fmt::format("commitment is forever: index {} of term {} counts as committed, but a "
                      "member without it can still be elected",
                      index.value, term.value));
  }
}

void World::client_acts(std::size_t number) {
  if (!clients_work_) return;
  Client& client = clients_[number];
  const std::uint64_t operation = client.operation = next_operation_++;
  Machine& machine = *hosts_[client.target]->machine;
  if (!machine.is_up()) return client_done(number, operation, true);
  const Reply reply = [this, number, operation](Outcome outcome, LogIndex) {
    client_done(number, operation, outcome == Outcome::kRefused);
  };
  if (random_.below(2) == 0) {
    const std::size_t bytes = random_.below(12) == 0 ? random_.below(2'000) : random_.below(60);
    machine.post([operation, bytes, reply](Process& process, core::MonoTime) {
      static_cast<RegisterNode&>(process).write(operation, bytes, reply);
    });
  } else {
    const Checker::Shown shown = checker_.shown();
    const std::size_t target = client.target;
    const Reply checked = [this, shown, target, reply](Outcome outcome, LogIndex version) {
      if (outcome == Outcome::kDone) checker_.on_read(target, version, shown);
      reply(outcome, version);
    };
    machine.post([mode = read_mode_, checked](Process& process, core::MonoTime now) {
      static_cast<RegisterNode&>(process).read(mode, now, checked);
    });
  }
  timeline_.after(kPatienceUs, [this, number, operation] { client_done(number, operation, true); });
}

void World::client_done(std::size_t number, std::uint64_t operation, bool moves_on) {
  Client& client = clients_[number];
  if (client.operation != operation) return;
  client.operation = 0;
  if (moves_on)
    client.target = random_.below(3) == 0 ? random_.below(hosts_.size()) : primary_or_any();
  timeline_.after(
      1 + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(think_us_))),
      [this, number] { client_acts(number); });
}

bool World::run_until(TrueTime end, const std::function<bool()>& done) {
  TrueTime next_look = timeline_.now();
  while (timeline_.now() < end && !checker_.failed()) {
    if (!timeline_.step(end)) break;
    if (timeline_.now() < next_look) continue;
    next_look = timeline_.now() + 20'000;
    settle_doubts();
    check_leases();
    if (done && done()) return true;
  }
  return false;
}

void World::write_something() {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i]->machine->is_up() || !node(i)->replica().accepts_entries()) continue;
    hosts_[i]->machine->post([this](Process& process, core::MonoTime) {
      static_cast<RegisterNode&>(process).write(next_operation_++, 20,
                                                [this](Outcome outcome, LogIndex) {
                                                  if (outcome == Outcome::kDone)
                                                    wrote_after_ = true;
                                                });
    });
    return;
  }
}

bool World::all_agree() {
  if (!wrote_after_) {
    write_something();
    return false;
  }
  const LogIndex last = checker_.committed_last();
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i]->machine->is_up()) return false;
    const RegisterNode& here = *node(i);
    if (here.replica().claim() != wire::Claim::kSound || here.state().index != last ||
        here.replica().commit_index() != last)
      return false;
    checker_.on_state(i, last, here.state().digest);
  }
  return true;
}

std::string World::describe(std::size_t number) {
  if (!hosts_[number]->machine->is_up()) return "is down";
  const core::Replica& replica = node(number)->replica();
  std::string text = fmt::format(
      "{} term={} claim={} primary={} last={} commit={} applied={} generation={}",
      core::name_of(replica.role()), replica.term().value, core::name_of(replica.claim()),
      replica.primary().value, replica.last_index().value, replica.commit_index().value,
      node(number)->state().index.value, replica.generation());
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
    newest = std::max(newest, node(i)->replica().generation());
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (node(i)->replica().generation() == newest) continue;
    wipe(i);
    restart(i);
  }
}

RunResult World::run() {
  for (std::size_t i = 0; i < clients_.size(); ++i)
    timeline_.after(static_cast<std::int64_t>(random_.below(500'000)),
                    [this, i] { client_acts(i); });
  // A cluster first comes up in peace: an empty disk is no loss then.
  run_until(1'000'000, [&] { return checker_.committed_last().value > 0; });
  faults_->begin();
  run_until(chaos_us_, {});
  clients_work_ = false;
  faults_->end();
  network_->set_weather({});
  if (scenario_.trace)
    std::printf("%10.3f ms  faults end\n", static_cast<double>(timeline_.now()) / 1000.0);
  const TrueTime quiet_since = timeline_.now();
  bool agreed = run_until(quiet_since + kQuietUs / 2, [this] { return all_agree(); });
  if (!agreed && any_loss_ && !checker_.failed()) {
    mend_old_generations();
    agreed = run_until(timeline_.now() + kQuietUs / 2, [this] { return all_agree(); });
  }
  if (!agreed && !checker_.failed() && scenario_.trace)
    for (std::size_t i = 0; i < hosts_.size(); ++i) trace(i, describe(i));
  if (!agreed && !checker_.failed())
    checker_.fail(wrote_after_ ? "members do not agree after the faults ended"
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
