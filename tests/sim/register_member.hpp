// RegisterMember is a member that is nothing but a replica and one register.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "tests/sim/member.hpp"
#include "tests/sim/register_node.hpp"

namespace holdfast::sim {

class RegisterMember final : public Member {
 public:
  RegisterMember(Surroundings around, core::Config config, DiskTiming log_timing,
                 std::uint64_t snapshot_every);

  // Null: it is down.
  RegisterNode* node() const { return static_cast<RegisterNode*>(around_.machine.process()); }

  // To be done in a coming turn; lost if the process dies before.
  void post(std::function<void(RegisterNode&, core::MonoTime)> action) {
    around_.machine.post([action = std::move(action)](Process& process, const TimePoint& now) {
      action(static_cast<RegisterNode&>(process), {now.mono_us});
    });
  }

  void start() override;
  void kill_process() override;
  void lose_power() override;
  void wipe() override;
  bool set_disk_failed(bool failed, bool may_forget) override;
  bool is_disk_failed() const override { return log_disk_.is_failed(); }
  bool has_record() const override { return record_disk_.state().is_there; }
  bool is_marked_recovering() const override { return record_disk_.state().record.recovering; }
  const core::Replica* replica() const override { return node() ? &node()->replica() : nullptr; }
  LogIndex applied() const override { return node()->state().index; }
  void check_state() override;
  void hand_over(std::size_t target, std::int64_t timeout_us) override;
  void abort_hand_over() override;
  const LogOnDisk* log_on_disk() const override { return &log_disk_.state(); }

 private:
  Surroundings around_;
  core::Config config_;
  bool fsync_always_;
  Disk<RecordOnDisk> record_disk_;
  Disk<LogOnDisk> log_disk_;
  RegisterDisks disks_;
  std::uint64_t boot_ = 1;
};

}  // namespace holdfast::sim
