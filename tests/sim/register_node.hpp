// RegisterNode is a process around a replica: the smallest server there is. It holds one register;
// an entry is a write of it. It does what a whole node does with effects: applies at once as
// primary, undoes what is void, holds replies until their index is committed, takes snapshots.
//
// Not its own: time, machine, network and what is checked (Surroundings), and its disks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "replication/core/replica.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/member.hpp"
#include "tests/sim/replica_watch.hpp"

namespace holdfast::sim {

struct RegisterState {
  LogIndex index;  // applied
  Term term;
  std::uint64_t digest = 0;
};

struct RecordOnDisk {
  bool is_there = false;
  log::DurableRecord record;
};
struct LogOnDisk {
  RegisterState snapshot;
  std::vector<log::Entry> entries;  // behind the snapshot, or from before it

  LogIndex last_index() const { return entries.empty() ? snapshot.index : entries.back().index; }
  Term last_term() const { return entries.empty() ? snapshot.term : entries.back().term; }
  bool holds(LogIndex index, Term term) const {
    if (index <= snapshot.index) return true;
    if (entries.empty() || index < entries.front().index || index > entries.back().index)
      return false;
    return entries[index.value - entries.front().index.value].term == term;
  }
};

// What lies on the disks of one member.
struct RegisterDisks {
  Disk<RecordOnDisk>& record;
  Disk<LogOnDisk>& log;
  std::uint64_t snapshot_every = 0;  // entries; 0: never
};

enum class Outcome : std::uint8_t { kDone, kRefused };
// `version`: the place in the log of what was written or read.
using Reply = std::function<void(Outcome outcome, LogIndex version)>;

class RegisterNode final : public Process {
 public:
  RegisterNode(Surroundings& around, RegisterDisks& disks, core::Config config, bool tail_in_doubt,
               core::MonoTime now);

  void write(std::uint64_t id, std::size_t payload_bytes, Reply reply);
  void read(core::ReadMode mode, core::MonoTime now, Reply reply);
  void hand_over(NodeId target, core::Duration timeout, core::MonoTime now);
  void abort_hand_over(core::MonoTime now);
  void disk_event(bool failed, core::MonoTime now);
  const core::Replica& replica() const { return replica_; }
  const RegisterState& state() const { return state_; }

  void on_message(std::size_t from, const wire::Message& message, const TimePoint& now) override;
  void on_link_up(std::size_t peer, const TimePoint& now) override;
  void on_link_down(std::size_t peer, const TimePoint& now) override;
  void on_turn_end(const TimePoint& now) override;
  core::MonoTime next_due() const override { return replica_.next_due(); }
  void say_busy() override;

 private:
  struct Held {
    LogIndex index;
    std::uint64_t hash = 0;  // of a write; 0: a read
    Reply reply;
  };
  struct IncomingBytes {
    std::uint64_t number = 0;
    wire::SnapshotId id;
    std::string bytes;
    bool is_void = false;   // its failure is said, or will be
    bool is_whole = false;  // stored
  };
  static core::Start recover(Random& random, const RegisterDisks& disks, bool tail_in_doubt,
                             core::MonoTime now);

  void step(core::Happening what, core::MonoTime now);
  void carry_out();
  void do_writes();
  void note_write(const core::LogWrite& write);
  void do_became();
  void do_store();
  void on_stored(core::SnapshotStored stored, core::MonoTime now);
  void do_install();
  void send_snapshots();
  void do_apply();
  void do_reads();
  void submit(core::MonoTime now);
  void check_said(const wire::Message& message);
  void release_replies();
  void undo_from(LogIndex index);
  void apply(LogIndex index, Term term, std::uint64_t hash);
  void maybe_snapshot();
  void post(core::Happening what);
  void post_later(core::Happening what);
  void post_later(std::function<void(RegisterNode&, core::MonoTime)> action);

  Surroundings& around_;
  RegisterDisks& disks_;
  std::size_t number_;
  core::Replica replica_;
  core::Effects effects_;
  RegisterState state_;
  std::deque<RegisterState> undo_;  // before each entry that is applied and not committed
  std::vector<core::Proposal> proposals_;
  std::deque<Held> held_;
  std::deque<std::pair<std::uint64_t, Reply>> reads_;
  std::uint64_t next_read_ = 1;

  ReplicaWatch watch_;  // of the log as far as it was handed to the disk

  std::optional<IncomingBytes> incoming_;
  // Being sent, by peer.
  std::vector<std::optional<RegisterState>> outgoing_;
  LogIndex snapshot_index_;
  bool is_snapshotting_ = false;
};

}  // namespace holdfast::sim
