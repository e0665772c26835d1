#include "tests/sim/register_member.hpp"

#include <utility>

namespace holdfast::sim {

RegisterMember::RegisterMember(Surroundings around, core::Config config, DiskTiming log_timing,
                               std::uint64_t snapshot_every)
    : around_(std::move(around)),
      config_(std::move(config)),
      fsync_always_(log_timing.sync_period_us == 0),
      record_disk_(around_.timeline, around_.random, DiskTiming{}),
      log_disk_(around_.timeline, around_.random, log_timing),
      disks_{record_disk_, log_disk_, snapshot_every} {
  config_.self = {around_.machine.number() + 1};
}

void RegisterMember::start() {
  RecordOnDisk& disk = record_disk_.state_for_repair();
  const std::string boot = std::to_string(boot_);
  const bool in_doubt =
      disk.is_there && disk.record.running && disk.record.boot_id != boot && !fsync_always_;
  if (around_.trace)
    around_.trace(around_.machine.number(), in_doubt ? "restarts, tail in doubt" : "restarts");
  log_disk_.sync_found();
  const bool is_there = disk.is_there;
  // Both at once and before anything else, as log::MemberRecord does: killed now, it recovers
  // still.
  disk.record.boot_id = boot;
  disk.record.recovering |= in_doubt;
  auto process = std::make_unique<RegisterNode>(around_, disks_, config_, in_doubt,
                                                around_.machine.clock().now());
  disk.is_there = is_there;
  around_.machine.start(std::move(process));
}

void RegisterMember::kill_process() {
  around_.machine.kill(true);
  record_disk_.kill_process();
  log_disk_.kill_process();
}

void RegisterMember::lose_power() {
  around_.machine.kill(false);
  record_disk_.lose_power();
  log_disk_.lose_power();
  ++boot_;
}

void RegisterMember::wipe() {
  around_.machine.kill(false);
  record_disk_.wipe();
  log_disk_.wipe();
  ++boot_;
}

bool RegisterMember::set_disk_failed(bool failed, bool) {
  log_disk_.set_failed(failed);
  post([failed](RegisterNode& node, core::MonoTime now) { node.disk_event(failed, now); });
  return false;
}

void RegisterMember::check_state() {
  around_.checker.on_state(around_.machine.number(), node()->state().index, node()->state().digest);
}

void RegisterMember::hand_over(std::size_t target, std::int64_t timeout_us) {
  post([target, timeout_us](RegisterNode& node, core::MonoTime now) {
    node.hand_over({target + 1}, {timeout_us}, now);
  });
}

void RegisterMember::abort_hand_over() {
  post([](RegisterNode& node, core::MonoTime now) { node.abort_hand_over(now); });
}

}  // namespace holdfast::sim
