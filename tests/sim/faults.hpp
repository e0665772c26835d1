// Faults decides, by seed, what goes wrong when: it acts on machines, clocks, network and disks
// through FaultTarget and knows nothing of what runs on them.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "base/random.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/timeline.hpp"

namespace holdfast::sim {

// Mean time between faults of a kind; 0: never.
struct FaultPlan {
  std::int64_t kill_us = 0;
  std::int64_t power_us = 0;
  std::int64_t wipe_us = 0;
  std::int64_t cut_us = 0;
  std::int64_t flap_us = 0;
  std::int64_t pause_us = 0;
  std::int64_t pause_us_max = 1'000'000;
  std::int64_t busy_us = 0;
  std::int64_t hand_over_us = 0;
  std::int64_t farewell_us = 0;  // a process is ended as planned
  std::int64_t fsync_us = 0;     // a member is told to sync otherwise
  std::int64_t disk_us = 0;
  std::int64_t clock_us = 0;
  std::int64_t wall_clock_us = 0;  // somebody sets one
  std::int64_t drift_ppm_max = 0;
  bool clocks_stop = false;
  std::int64_t down_us_max = 1'500'000;
  // A machine that came back dies again soon, one time in so many; 0: never.
  std::uint64_t relapse_one_in = 0;
  // A new primary is hit within a few milliseconds, one time in so many; 0: never.
  std::uint64_t hit_primary_one_in = 0;
  // Once, at this time, all lose power; 0: never.
  std::int64_t catastrophe_at_us = 0;
  // Once, from this time on as soon as nobody is in doubt, a minority goes until the end of the
  // faults, and one of the others loses power, or all do: what remains may elect nobody, until an
  // operator decides, or they do themselves. 0: never.
  std::int64_t desertion_at_us = 0;
  bool desertion_hurts_all = false;
};

class FaultTarget {
 public:
  virtual ~FaultTarget() = default;
  virtual std::size_t machine_count() const = 0;
  virtual Machine& machine(std::size_t number) = 0;
  virtual void kill_process(std::size_t number) = 0;
  virtual void lose_power(std::size_t number) = 0;
  virtual void wipe(std::size_t number) = 0;
  virtual void restart(std::size_t number) = 0;
  // Whether the cluster's promises allow that this one's disk loses something now.
  virtual bool may_lose_disk(std::size_t number) = 0;
  virtual bool is_any_in_doubt() = 0;
  virtual void allow_any_loss() = 0;
  // It goes for good, with what it holds.
  virtual void desert(std::size_t number) = 0;
  virtual void hand_over(std::size_t target, std::int64_t timeout_us) = 0;
  virtual void abort_hand_over() = 0;
  virtual void say_farewell(std::size_t number) = 0;
  virtual void change_fsync(std::size_t number) = 0;
  // An operator looks whether he has to.
  virtual void force_generation(const std::set<std::size_t>& gone) = 0;
  virtual void fail_disk(std::size_t number, bool failed) = 0;
  virtual void set_wall_clock(std::size_t number, std::int64_t drift_ppm) = 0;
  // Where the work is: faults like to hit it.
  virtual std::size_t primary_or_any() = 0;
};

class Faults {
 public:
  Faults(Timeline& timeline, Random& random, Network& network, FaultTarget& target, FaultPlan plan);
  void begin();
  // Nothing goes wrong any more; what is broken is mended. Machines that are down are restarted.
  void end();
  void on_primary(std::size_t number);

 private:
  void every(std::int64_t mean_us, void (Faults::*act)());
  std::size_t victim();
  std::int64_t below(std::int64_t bound);
  void down_for_a_while(std::size_t number);
  void kill();
  void lose_power();
  void wipe();
  void cut();
  void cut_pair();
  void blink(std::size_t number);
  void heal_later();
  void hit(std::size_t number);
  void flap();
  void pause();
  void busy();
  void hand_over();
  void farewell();
  void fsync();
  void disk();
  void clock();
  void stop_clock();
  void wall_clock();
  void catastrophe();
  void desertion();
  void look_after();

  Timeline& timeline_;
  Random& random_;
  Network& network_;
  FaultTarget& target_;
  FaultPlan plan_;
  std::set<std::size_t> gone_;  // until the end
  bool ended_ = true;
};

}  // namespace holdfast::sim
