// RegisterNode is a process around a replica: the smallest server there is. It holds one register;
// an entry is a write of it. It does what a whole node does with effects: applies at once as
// primary, undoes what is void, holds replies until their index is committed, takes snapshots.
//
// Not its own: time, machine, network, disks and what is checked (Surroundings).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "replication/core/replica.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/network.hpp"

namespace holdfast::sim {

struct RegisterState {
  LogIndex index;  // applied
  Term term;
  std::uint64_t digest = 0;
};

// What lies on the disks of one machine.
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

struct Surroundings {
  Timeline& timeline;
  Random& random;
  Network& network;
  Machine& machine;
  Checker& checker;
  Disk<RecordOnDisk>& record_disk;
  Disk<LogOnDisk>& log_disk;
  std::uint64_t snapshot_every = 0;  // entries; 0: never
  // One line for the trace; null: nobody reads it.
  std::function<void(std::size_t node, const std::string& text)> trace;
  // Whether this member took part in losing a majority's data, so that a generation may begin.
  std::function<bool()> may_lose_data;
  std::function<void(std::size_t node)> on_primary;
  // A member sees this entry committed first.
  std::function<void(LogIndex index, Term term)> on_committed;
};

enum class Outcome : std::uint8_t { kDone, kRefused };
// `version`: the place in the log of what was written or read.
using Reply = std::function<void(Outcome outcome, LogIndex version)>;

class RegisterNode final : public Process {
 public:
  RegisterNode(Surroundings& around, core::Config config, bool tail_in_doubt, core::MonoTime now);

  void write(std::uint64_t id, std::size_t payload_bytes, Reply reply);
  void read(core::ReadMode mode, core::MonoTime now, Reply reply);
  void hand_over(NodeId target, core::Duration timeout, core::MonoTime now);
  void abort_hand_over(core::MonoTime now);
  void disk_event(bool failed, core::MonoTime now);
  const core::Replica& replica() const { return replica_; }
  const RegisterState& state() const { return state_; }

  void on_message(std::size_t from, const wire::Message& message, core::MonoTime now) override;
  void on_link_up(std::size_t peer, core::MonoTime now) override;
  void on_link_down(std::size_t peer, core::MonoTime now) override;
  void on_turn_end(core::MonoTime now) override;
  core::MonoTime next_due() const override { return replica_.next_due(); }
  void say_busy() override;

 private:
  struct Held {
    LogIndex index;
    std::uint64_t hash = 0;  // of a write; 0: a read
    Reply reply;
  };
  struct IncomingBytes {
    wire::SnapshotId id;
    std::string bytes;
  };
  static core::Start recover(Surroundings& around, bool tail_in_doubt, core::MonoTime now);

  void step(core::Happening what, core::MonoTime now);
  void carry_out();
  void do_writes();
  void note_write(const core::LogWrite& write);
  void do_became();
  void do_store();
  void do_install();
  void send_snapshots();
  void do_apply();
  void do_reads();
  void submit(core::MonoTime now);
  void check_committed();
  void check_said(const wire::Message& message);
  void release_replies();
  void undo_from(LogIndex index);
  void apply(LogIndex index, Term term, std::uint64_t hash);
  void maybe_snapshot();
  void post(core::Happening what);
  void post_later(core::Happening what);
  void check_generation();
  EntryFact* fact(LogIndex index);

  Surroundings& around_;
  std::size_t number_;
  core::Replica replica_;
  core::Effects effects_;
  RegisterState state_;
  std::deque<RegisterState> undo_;  // before each entry that is applied and not committed
  std::vector<core::Proposal> proposals_;
  std::deque<Held> held_;
  std::deque<std::pair<std::uint64_t, Reply>> reads_;
  std::uint64_t next_read_ = 1;

  // The log as far as it was handed to the disk.
  LogIndex first_;  // of facts_
  Term before_first_;
  std::vector<EntryFact> facts_;
  LogIndex committed_;
  std::uint64_t generation_ = 0;

  std::optional<IncomingBytes> incoming_;
  // Being sent, by peer.
  std::vector<std::optional<RegisterState>> outgoing_;
  LogIndex snapshot_index_;
  bool is_snapshotting_ = false;
};

}  // namespace holdfast::sim
