// World is one run: machines with whole nodes or with registers on them, clients, faults, all from
// one seed. First a while of faults, in which every promise must hold; then they end, and within a
// bound the cluster must serve and all members agree.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/member.hpp"
#include "tests/sim/timeline.hpp"
#include "tests/sim/world_plan.hpp"

namespace holdfast::sim {

class History;

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
  Machine& machine(std::size_t number) override { return hosts_[number]->machine; }
  void kill_process(std::size_t number) override;
  void lose_power(std::size_t number) override;
  void wipe(std::size_t number) override;
  void restart(std::size_t number) override;
  bool may_lose_disk(std::size_t number) override;
  bool is_any_in_doubt() override;
  void allow_any_loss() override { any_loss_ = true; }
  void desert(std::size_t number) override;
  void hand_over(std::size_t target, std::int64_t timeout_us) override;
  void abort_hand_over() override;
  void say_farewell(std::size_t number) override { member(number).say_farewell(); }
  void change_fsync(std::size_t number) override { member(number).change_fsync(); }
  void force_generation(const std::set<std::size_t>& gone) override;
  void fail_disk(std::size_t number, bool failed) override;
  void set_wall_clock(std::size_t number, std::int64_t drift_ppm) override;
  std::size_t primary_or_any() override;

 private:
  struct Host {
    Host(Timeline& timeline, Random& random, Network& network, std::size_t number,
         std::int64_t clock_offset_us)
        : machine(timeline, random, network, number, clock_offset_us) {}
    Machine machine;
    std::unique_ptr<Member> member;
    bool in_doubt = false;         // its disk lost something, and it has not made up for it yet
    TrueTime in_doubt_until = 0;   // at least
    std::uint64_t generation = 0;  // as last seen
  };
  void build();
  void build_registers();
  void build_nodes();
  Surroundings around(std::size_t number);
  Member& member(std::size_t number) { return *hosts_[number]->member; }
  const core::Replica* replica(std::size_t number) const {
    return hosts_[number]->member->replica();
  }
  bool is_primary(std::size_t number) const {
    return replica(number) != nullptr && replica(number)->role() == core::Role::kPrimary;
  }
  bool has_primary() const;
  bool may_lose_committed() const { return plan_.kind == WorldKind::kUnilateral; }
  std::int64_t draw_wall_error();
  void trace(std::size_t number, const std::string& text);
  void settle_doubts();
  bool is_in_doubt(std::size_t number);
  bool run_until(TrueTime end, const std::function<bool()>& done);
  void check_leases();
  void check_committed_stays(const log::Entry& entry);
  bool all_agree();
  std::string describe(std::size_t number);
  void mend_old_generations();

  Scenario scenario_;
  Timeline timeline_;
  Random random_;
  Checker checker_;
  WorldPlan plan_;
  MemberEvents events_;
  bool any_loss_ = false;
  bool is_quiet_ = false;  // the faults have ended
  TrueTime primary_seen_ = 0;
  std::optional<std::size_t> forced_;  // by the operator, who sticks to it

  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::unique_ptr<Faults> faults_;
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<History> history_;  // of whole nodes
};

}  // namespace holdfast::sim
