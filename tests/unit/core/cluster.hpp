// A cluster of replicas in a test: an ideal network that delivers at once where it is not cut,
// disks that answer at once, one clock. It speaks the language of tests/scenarios/*.txt, where a
// line is `command arguments -> expected answer`; scenario_test.cpp reads those.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replication/core/replica.hpp"

namespace holdfast::core {

class Cluster {
 public:
  explicit Cluster(std::size_t members, Failover failover = Failover::kQuorum);

  // Carries out one command; the answer is what stands behind `->`.
  std::string run(const std::string& command);
  // What every member noted so far, for a test that fails.
  std::string stories() const;

 private:
  struct Disk {
    bool is_there = false;
    log::DurableRecord record;
    wire::SnapshotId snapshot;
    std::vector<log::Entry> log;
    std::map<std::uint64_t, std::string> snapshot_data;  // the register as of snapshot
    std::size_t synced = 0;                              // entries of `log`
    bool in_doubt = false;
  };
  struct Node {
    std::unique_ptr<Replica> replica;  // null: it is down
    Disk disk;
    std::vector<std::pair<LogIndex, std::string>> applied;  // index, value
    std::deque<Happening> inbox;
    bool is_paused = false;
    bool holds_disk = false;
    std::string story;
  };
  struct InFlight {
    std::size_t from = 0;
    std::size_t to = 0;
    wire::Message message;
  };
  Node& node(std::size_t number) { return nodes_.at(number - 1); }
  bool reaches(std::size_t from, std::size_t to) const;
  void start(std::size_t number, bool bootstrap);
  void stop(std::size_t number, bool says_goodbye);
  void step(std::size_t number, Happening what);
  void carry_out(std::size_t number, Effects& effects);
  void deliver_all();
  void tick(std::int64_t ms);
  std::string settle();
  void link(std::size_t a, std::size_t b, bool up);
  std::string write(std::size_t number, const std::string& value);
  std::string read(std::size_t number);
  std::string describe(std::size_t number) const;
  std::size_t primary() const;

  Failover failover_;
  MonoTime now_{1'000'000'000};
  std::vector<Node> nodes_;
  std::vector<std::vector<bool>> cut_;
  std::deque<InFlight> in_flight_;
  std::uint64_t next_read_ = 1;
  std::map<std::uint64_t, bool> read_outcomes_;
};

}  // namespace holdfast::core
