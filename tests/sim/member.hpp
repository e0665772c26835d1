// Member is one machine's part in the cluster, across the lives of its process: what starts and
// ends it, what happens to its disks, and what a world may look at. What runs there, a replica with
// a register or a whole node, is its own matter.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "replication/core/replica.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/replica_watch.hpp"

namespace holdfast::sim {

// What every member has around it; the world's own.
struct Surroundings {
  Timeline& timeline;
  Random& random;
  Network& network;
  Machine& machine;
  Checker& checker;
  const MemberEvents& events;
  // One line for the trace; null: nobody reads it.
  std::function<void(std::size_t node, const std::string& text)> trace;
};

class Member {
 public:
  virtual ~Member() = default;

  // REQUIRES: it is down.
  virtual void start() = 0;
  // The machine lives on.
  virtual void kill_process() = 0;
  virtual void lose_power() = 0;
  // Power and disk.
  virtual void wipe() = 0;
  // `may_forget`: syncs may fail too, and what they were to save is gone with the process. True: it
  // forgets.
  virtual bool set_disk_failed(bool failed, bool may_forget) = 0;
  virtual bool is_disk_failed() const = 0;

  // The durable record, as a start would find it.
  virtual bool has_record() const = 0;
  virtual bool is_marked_recovering() const = 0;
  // Null: down, or still loading.
  virtual const core::Replica* replica() const = 0;
  virtual LogIndex applied() const = 0;
  // Tells the checker what is applied.
  virtual void check_state() = 0;
  virtual void hand_over(std::size_t target, std::int64_t timeout_us) = 0;
  virtual void abort_hand_over() = 0;
  // A planned end of the process, which is started again. Whole nodes only, as the next.
  virtual void say_farewell() {}
  virtual void change_fsync() {}
  virtual void force_generation(std::function<bool()> /*is_needed*/) {}
  // By what lies on its disks: could it be elected without this entry, and by whom? Null: no
  // election is judged by this kind of member's disks.
  virtual const struct LogOnDisk* log_on_disk() const { return nullptr; }
  // Whether it has this entry in memory or on its disk, or a snapshot above it. Of whole nodes.
  virtual bool has_entry(LogIndex, Term) const { return true; }
};

// Clients of all members.
class Workload {
 public:
  virtual ~Workload() = default;
  virtual void begin() = 0;
  // Nothing is asked any more.
  virtual void end() = 0;
  // One write more, if anybody takes it; `has_written`: such a one was acknowledged.
  virtual void write_once() = 0;
  virtual bool has_written() const = 0;
};

}  // namespace holdfast::sim
