// NodeMember is a member that is a whole node, with its data folder on a simulated disk that is
// torn, fails and forgets.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/node_process.hpp"
#include "tests/sim/world_plan.hpp"

namespace holdfast::sim {

class NodeMember final : public Member {
 public:
  NodeMember(Surroundings around, const WorldPlan& plan, std::uint64_t seed);

  std::size_t number() const { return around_.machine.number(); }
  // Null: it is down.
  NodeProcess* process() const { return static_cast<NodeProcess*>(around_.machine.process()); }
  std::uint64_t life() const { return around_.machine.life(); }
  // To be done in a coming turn; lost if the process dies before.
  void post(std::function<void(NodeProcess&, const TimePoint&)> action) {
    around_.machine.post([action = std::move(action)](Process& process, const TimePoint& now) {
      action(static_cast<NodeProcess&>(process), now);
    });
  }

  void start() override;
  void kill_process() override;
  void lose_power() override;
  void wipe() override;
  bool set_disk_failed(bool failed, bool may_forget) override;
  bool is_disk_failed() const override { return is_disk_failed_; }
  bool has_record() const override { return record() != nullptr; }
  bool has_entry(LogIndex index, Term term) const override;
  bool is_marked_recovering() const override { return has_record() && record()->recovering; }
  const core::Replica* replica() const override {
    return process() ? process()->replica() : nullptr;
  }
  LogIndex applied() const override { return process()->applied(); }
  void check_state() override { process()->check_data(); }
  void hand_over(std::size_t target, std::int64_t timeout_us) override;
  void abort_hand_over() override;
  void say_farewell() override;
  void change_fsync() override;
  void force_generation(std::function<bool()> is_needed) override;

 private:
  config::Options options() const;
  log::StorageOptions storage_options();
  const log::DurableRecord* record() const;
  void remember();
  void end(const std::string& cause);
  void die(bool says_goodbye);
  void renew_disk();
  config::LogFsync draw_fsync();
  void change_keys();

  Surroundings around_;
  const WorldPlan& plan_;
  Random random_;
  std::unique_ptr<SimDisk> disk_;
  // Of the life before, as far as it is known.
  std::optional<log::DurableRecord> record_;
  TermsOfLog log_;
  bool is_disk_failed_ = false;
  bool has_disk_failed_ = false;                             // in this life
  config::LogFsync fsync_ = config::LogFsync::kEverySecond;  // at its start
  std::vector<log::MasterKey> keys_;                         // the first one writes
  std::uint64_t boot_ = 1;
};

}  // namespace holdfast::sim
