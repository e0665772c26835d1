// World is one run: machines with registers on them, clients, faults, all from one seed. First a
// while of faults, in which every promise must hold; then they end, and within a bound the cluster
// must serve and all members agree.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "replication/core/config.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/register_node.hpp"
#include "tests/sim/timeline.hpp"

namespace holdfast::sim {

struct Scenario {
  std::uint64_t seed = 1;
  std::size_t members = 0;  // 0: by the seed
  bool trace = false;
#ifdef HOLDFAST_SIM_BUGS
  core::Bug bug = core::Bug::kNone;
#endif
};

struct RunResult {
  std::string failure;  // empty: every promise held
  std::size_t members = 0;
  std::uint64_t writes = 0;
  std::uint64_t reads = 0;
  std::uint64_t elections = 0;
  std::uint64_t generations = 0;
  TrueTime recovered_us = 0;  // from the end of the faults until all agreed
};

class World final : public FaultTarget {
 public:
  explicit World(const Scenario& scenario);
  ~World() override;
  RunResult run();

  std::size_t machine_count() const override { return hosts_.size(); }
  Machine& machine(std::size_t number) override { return *hosts_[number]->machine; }
  void kill_process(std::size_t number) override;
  void lose_power(std::size_t number) override;
  void wipe(std::size_t number) override;
  void restart(std::size_t number) override;
  bool may_lose_disk(std::size_t number) override;
  void allow_any_loss() override { any_loss_ = true; }
  void hand_over(std::size_t target, std::int64_t timeout_us) override;
  void abort_hand_over() override;
  void fail_disk(std::size_t number, bool failed) override;
  std::size_t primary_or_any() override;

 private:
  struct Host {
    std::unique_ptr<Machine> machine;
    std::unique_ptr<Disk<RecordOnDisk>> record_disk;
    std::unique_ptr<Disk<LogOnDisk>> log_disk;
    std::unique_ptr<Surroundings> around;
    std::uint64_t boot = 1;
    bool in_doubt = false;  // its disk lost something, and it has not made up for it yet
  };
  struct Client {
    std::size_t target = 0;
    std::uint64_t operation = 0;  // the one under way
  };
  void plan();
  void build();
  RegisterNode* node(std::size_t number);
  void trace(std::size_t number, const std::string& text);
  void settle_doubts();
  void client_acts(std::size_t number);
  void client_done(std::size_t number, std::uint64_t operation, bool moves_on);
  bool run_until(TrueTime end, const std::function<bool()>& done);
  void check_leases();
  void check_committed_stays(LogIndex index, Term term);
  bool all_agree();
  std::string describe(std::size_t number);
  void write_something();
  void mend_old_generations();

  Scenario scenario_;
  Timeline timeline_;
  Random random_;
  Checker checker_;
  core::Config config_;
  FaultPlan faults_plan_;
  DiskTiming log_timing_;
  bool fsync_always_ = false;
  PausePlan pause_plan_;
  Weather weather_;
  std::uint64_t snapshot_every_ = 0;
  core::ReadMode read_mode_ = core::ReadMode::kLease;
  TrueTime chaos_us_ = 5'000'000;
  std::int64_t think_us_ = 20'000;
  bool any_loss_ = false;
  bool clients_work_ = true;

  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::unique_ptr<Faults> faults_;
  std::vector<Client> clients_;
  std::uint64_t next_operation_ = 1;
  bool wrote_after_ = false;
};

}  // namespace holdfast::sim
