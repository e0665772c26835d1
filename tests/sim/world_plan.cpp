#include "tests/sim/world_plan.hpp"

namespace holdfast::sim {

namespace {

// One seed in so many makes a world of each special kind.
constexpr std::uint64_t kOneKindIn = 16;

// Drawn apart, so that a seed's world is otherwise what it was without its kind.
void make_special(const Scenario& scenario, WorldPlan& plan) {
  Random random(~scenario.seed);
  const std::uint64_t drawn = 1 + random.below(kOneKindIn);
  plan.kind = scenario.kind                    ? *scenario.kind
              : drawn < kWorldKindNames.size() ? static_cast<WorldKind>(drawn)
                                               : WorldKind::kPlain;
  const auto between = [&](std::uint64_t least, std::uint64_t most) {
    return static_cast<std::int64_t>(least + random.below(most - least + 1));
  };
  switch (plan.kind) {
    case WorldKind::kFsyncChanges:
      // Nobody knows what a loss of power takes, so it is taken to be as much as it can.
      plan.fsync_always = false;
      plan.faults.fsync_us = between(20'000, 800'000);
      break;
    case WorldKind::kFarewells:
      plan.faults.farewell_us = between(100'000, 1'500'000);
      break;
    case WorldKind::kDesertion:
      if (plan.config.members.size() < 3) {
        plan.kind = WorldKind::kPlain;
        break;
      }
      plan.fsync_always = false;
      plan.faults.catastrophe_at_us = 0;
      plan.faults.desertion_at_us = between(800'000, 2'000'000);
      plan.faults.desertion_hurts_all = random.below(2) == 0;
      if (plan.faults.desertion_hurts_all)
        plan.config.recovery_wait = core::milliseconds(between(400, 1'200));
      break;
    case WorldKind::kUnilateral:
      if (scenario.members != 0 && scenario.members != 2) {
        plan.kind = WorldKind::kPlain;
        break;
      }
      plan.config.members = {{1}, {2}};
      plan.config.failover = core::Failover::kUnilateral;
      plan.faults.catastrophe_at_us = 0;
      break;
    case WorldKind::kAsyncAcks:
      // Nothing holds clients back, and slow disks must catch up within the bound.
      plan.think_us = 100'000;
      break;
    case WorldKind::kPlain:
    case WorldKind::kKeyChanges:
      break;
  }
  // Reads by a majority go with writes by one; and without them clocks are trusted.
  if (plan.kind == WorldKind::kAsyncAcks || plan.kind == WorldKind::kUnilateral) {
    plan.read_mode = core::ReadMode::kLease;
    plan.faults.clocks_stop = false;
  }
}

}  // namespace

WorldPlan make_plan(const Scenario& scenario, Random& random) {
  WorldPlan plan;
  core::Config& config = plan.config;
  const auto one_in = [&](std::uint64_t n) { return random.below(n) == 0; };
  const auto between = [&](std::int64_t least, std::int64_t most) {
    return least +
           static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most - least + 1)));
  };
  std::size_t members = scenario.members;
  if (members == 0) {
    const std::uint64_t kind = random.below(20);
    members = kind == 0 ? 1 : kind == 1 ? 2 : kind < 15 ? 3 : 5;
  }
  for (std::size_t i = 1; i <= members; ++i) config.members.push_back({i});
  config.bootstrap = true;
  if (one_in(2)) {
    config.heartbeat = {between(20'000, 75'000)};
    config.lease = {between(2 * config.heartbeat.us, config.election_timeout.us)};
  }
  config.message_bytes = static_cast<std::size_t>(between(64, 600));
  config.window_bytes = config.message_bytes * 4 * static_cast<std::size_t>(between(1, 8));
  config.fragment_bytes = config.message_bytes;
  config.fragments_ahead = config.window_bytes / config.message_bytes / 2;
  config.window_messages = static_cast<std::size_t>(between(2, 30));
  config.backlog_bytes = one_in(3) ? 2'000 : 200'000;
  plan.fsync_always = one_in(3);
  plan.log_timing.write_us_max = one_in(4) ? 20'000 : 400;
  plan.log_timing.sync_period_us = plan.fsync_always ? 0 : 1'000'000;
  plan.log_timing.slow_one_in = one_in(3) ? 40 : 0;
  plan.snapshot_every = one_in(3) ? 0 : static_cast<std::uint64_t>(between(5, 80));
  plan.think_us = between(2'000, 30'000);

  if (one_in(2)) plan.weather.lost_one_in = static_cast<std::uint64_t>(between(10, 200));
  if (one_in(2)) plan.weather.doubled_one_in = static_cast<std::uint64_t>(between(5, 100));
  if (one_in(2)) plan.weather.late_one_in = static_cast<std::uint64_t>(between(5, 100));
  if (one_in(2)) plan.weather.late_us_max = between(5'000, 400'000);
  plan.weather.reorders = one_in(2);

  FaultPlan& f = plan.faults;
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
  f.drift_ppm_max = config.clock_drift_ppm * 45 / 100;
  f.clocks_stop = one_in(8);
  f.relapse_one_in = one_in(2) ? 3 : 0;
  f.down_us_max = between(100'000, 2'000'000);
  if (one_in(2)) plan.pauses.inside_one_in = static_cast<std::uint64_t>(between(200, 3'000));
  if (one_in(3)) f.hit_primary_one_in = static_cast<std::uint64_t>(between(1, 4));
  if (!plan.fsync_always && members > 1 && one_in(12))
    f.catastrophe_at_us = between(1'000'000, plan.chaos_us - 500'000);
  if (f.catastrophe_at_us != 0) config.recovery_wait = core::milliseconds(2'000);
  plan.read_mode = f.clocks_stop || one_in(6) ? core::ReadMode::kQuorum : core::ReadMode::kLease;
  plan.clients = static_cast<std::size_t>(between(1, 5));
  // Elections with several candidates: the delays by rank are short, messages slow.
  if (one_in(8)) {
    config.heartbeat = {10'000};
    config.lease = {between(30'000, 60'000)};
    plan.weather.late_one_in = 2;
    plan.weather.late_us_max = between(20'000, 80'000);
    f.kill_us = between(150'000, 500'000);
    f.hit_primary_one_in = 1;
  }
  if (scenario.inhabitants == Inhabitants::kRegisters) return plan;

  // Nodes are told their times in milliseconds.
  config.heartbeat = core::milliseconds(config.heartbeat.us / 1000);
  config.lease = core::milliseconds(config.lease.us / 1000);
  f.wall_clock_us = sometimes(100'000, 1'000'000);
  make_special(scenario, plan);
  return plan;
}

}  // namespace holdfast::sim
