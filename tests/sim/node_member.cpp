#include "tests/sim/node_member.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "replication/log/fsync_mode.hpp"

namespace holdfast::sim {

namespace {

constexpr std::uint64_t kSegmentBytes = 4'000;
constexpr std::uint64_t kSnapshotLogBytes = 100;  // for each of WorldPlan::snapshot_every
constexpr std::uint64_t kOperationsOfDeath = 6;   // it strikes before so many
constexpr std::uint32_t kAlways = 1'000'000;
constexpr std::uint32_t kShortWrites = 5'000;
// A process that cannot go on is started again, as a service manager does.
constexpr std::int64_t kRestartUs = 100'000;
constexpr std::array kFsyncNames{"always", "everysec", "no"};

}  // namespace

NodeMember::NodeMember(Surroundings around, const WorldPlan& plan, std::uint64_t seed)
    : around_(std::move(around)), plan_(plan), random_(seed) {
  renew_disk();
}

void NodeMember::renew_disk() {
  disk_ = std::make_unique<SimDisk>(random_.next());
  disk_->set_slow_syncs(random_.below(2) == 0);
}

config::Options NodeMember::options() const {
  config::Options options;
  for (const NodeId member : plan_.config.members) {
    const std::string name = fmt::format("n{}", member.value);
    const auto port = static_cast<std::int64_t>(7000 + member.value);
    options.cluster.nodes.list.push_back({name, name, port, port + 100, ""});
  }
  options.cluster.node = fmt::format("n{}", number() + 1);
  options.cluster.bootstrap = plan_.config.bootstrap;
  options.cluster.secret = "a secret that no other cluster has";
  options.cluster.heartbeat_ms = plan_.config.heartbeat.us / 1000;
  options.cluster.lease_ms = plan_.config.lease.us / 1000;
  options.cluster.election_timeout_ms = plan_.config.election_timeout.us / 1000;
  options.cluster.busy_limit_ms = plan_.config.busy_limit.us / 1000;
  options.cluster.recovery_wait_ms = plan_.config.recovery_wait.us / 1000;
  options.cluster.reads =
      plan_.read_mode == core::ReadMode::kQuorum ? config::Reads::kQuorum : config::Reads::kLease;
  if (plan_.kind == WorldKind::kUnilateral)
    options.cluster.failover = config::Failover::kUnilateral;
  if (plan_.kind == WorldKind::kAsyncAcks) options.cluster.acks = config::Acks::kAsync;
  options.persistence.log_fsync = fsync_;
  options.persistence.snapshot_log_bytes = plan_.snapshot_every * kSnapshotLogBytes;
  return options;
}

log::StorageOptions NodeMember::storage_options() {
  log::StorageOptions storage;
  storage.folder = "/data";
  storage.boot_id = fmt::format("boot {}", boot_);
  storage.segment_bytes_max = kSegmentBytes;
  storage.snapshots_kept = 2;
  storage.fsync_mode = log::fsync_mode_of(fsync_);
  storage.keys = log::KeyRing(keys_);
  storage.next_salt = [random = Random(random_.next())]() mutable {
    log::Salt salt;
    for (std::uint8_t& byte : salt) byte = static_cast<std::uint8_t>(random.next());
    return salt;
  };
  return storage;
}

void NodeMember::start() {
  if (around_.trace) around_.trace(number(), "restarts");
  is_disk_failed_ = has_disk_failed_ = false;
  fsync_ = draw_fsync();
  if (plan_.kind == WorldKind::kKeyChanges) change_keys();
  disk_->set_weather({.short_write = kShortWrites});
  auto process = std::make_unique<NodeProcess>(around_, *disk_, storage_options(), plan_.log_timing,
                                               options(), plan_.config, random_.next(),
                                               [this](const std::string& cause) { end(cause); });
  process->expect_on_disk(log_);
  around_.machine.start(std::move(process));
}

config::LogFsync NodeMember::draw_fsync() {
  if (plan_.kind == WorldKind::kFsyncChanges)
    return static_cast<config::LogFsync>(random_.below(kFsyncNames.size()));
  return plan_.fsync_always ? config::LogFsync::kAlways : config::LogFsync::kEverySecond;
}

// As the README says: a new one goes on top, and an old one goes when no file needs it any more.
void NodeMember::change_keys() {
  std::erase_if(keys_, [&](const log::MasterKey& key) {
    if (key == keys_.front()) return false;
    const log::KeyId id = log::key_id(key);
    const std::string_view name(reinterpret_cast<const char*>(id.data()), id.size());
    const std::vector<std::string> paths = disk_->paths();
    return std::none_of(paths.begin(), paths.end(), [&](const std::string& path) {
      return disk_->content(path).find(name) != std::string::npos;
    });
  });
  if (random_.below(2) == 0) return;
  log::MasterKey key;
  for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(random_.next());
  keys_.insert(keys_.begin(), key);
  if (around_.trace) around_.trace(number(), fmt::format("has {} keys", keys_.size()));
}

void NodeMember::change_fsync() {
  const std::string mode(kFsyncNames[random_.below(kFsyncNames.size())]);
  if (around_.trace) around_.trace(number(), "appendfsync " + mode);
  post([this, mode](NodeProcess& process, const TimePoint& now) {
    const std::string reply = process.command({"CONFIG", "SET", "appendfsync", mode}, now);
    if (reply != "+OK\r\n") around_.checker.fail(fmt::format("an operator is answered: {}", reply));
  });
}

bool NodeMember::has_entry(LogIndex index, Term term) const {
  if (process() == nullptr) return log_.holds(index, term);
  const core::Replica* replica = process()->replica();
  return process()->storage().on_disk().holds(index, term) ||
         (replica != nullptr && replica->term_at(index) == term);
}

const log::DurableRecord* NodeMember::record() const {
  if (process() != nullptr && process()->storage().record()) return &*process()->storage().record();
  return record_ ? &*record_ : nullptr;
}

void NodeMember::remember() {
  if (process() == nullptr) return;
  if (process()->storage().record()) record_ = process()->storage().record();
  if (process()->storage().is_loaded()) log_ = process()->storage().lasting_on_disk();
  if (has_disk_failed_) log_ = {};  // what it had not synced may be gone
}

// From within the process: it ends when it has returned.
void NodeMember::end(const std::string& cause) {
  if (around_.trace) around_.trace(number(), "ends: " + cause);
  const bool is_planned = cause == NodeProcess::kEndedAsPlanned;
  if (!disk_->is_dead() && !has_disk_failed_ && !is_planned)
    return around_.checker.fail(fmt::format("node {} cannot go on: {}", number() + 1, cause));
  around_.timeline.after(0, [this, life = life()] {
    if (life != around_.machine.life()) return;
    kill_process();
    around_.timeline.after(kRestartUs, [this, down = this->life()] {
      if (down == around_.machine.life()) start();
    });
  });
}

// Sometimes in the middle of what its storage does.
void NodeMember::die(bool says_goodbye) {
  remember();
  if (process() != nullptr && random_.below(2) == 0)
    process()->storage().die(random_.below(kOperationsOfDeath));
  around_.machine.kill(says_goodbye);
}

void NodeMember::kill_process() {
  die(true);
  disk_->kill_process();
}

void NodeMember::lose_power() {
  die(false);
  disk_->lose_power();
  ++boot_;
}

void NodeMember::wipe() {
  die(false);
  renew_disk();
  record_.reset();
  log_ = {};
  ++boot_;
}

bool NodeMember::set_disk_failed(bool failed, bool may_forget) {
  is_disk_failed_ = failed;
  has_disk_failed_ |= failed;
  const bool syncs_fail = failed && (plan_.fsync_always || (may_forget && random_.below(2) == 0));
  disk_->set_weather({.short_write = kShortWrites,
                      .write_error = failed ? kAlways : 0,
                      .sync_error = syncs_fail ? kAlways : 0});
  return syncs_fail && !plan_.fsync_always;
}

void NodeMember::hand_over(std::size_t target, std::int64_t timeout_us) {
  const std::string to = fmt::format("n{}", target + 1);
  const std::string port = std::to_string(7001 + target);
  const std::string timeout = std::to_string(std::max<std::int64_t>(timeout_us / 1000, 1));
  post([to, port, timeout](NodeProcess& process, const TimePoint& now) {
    process.command({"FAILOVER", "TO", to, port, "TIMEOUT", timeout}, now);
  });
}

void NodeMember::say_farewell() {
  if (around_.trace) around_.trace(number(), "is to end");
  post([](NodeProcess& process, const TimePoint& now) { process.say_farewell(now); });
}

void NodeMember::force_generation(std::function<bool()> is_needed) {
  if (around_.trace) around_.trace(number(), "is forced to begin a generation");
  post([is_needed = std::move(is_needed)](NodeProcess& process, const TimePoint& now) {
    if (!is_needed()) return;
    process.command({"HOLDFAST", "FORCE-GENERATION", "lose-what-absent-members-hold"}, now);
  });
}

void NodeMember::abort_hand_over() {
  post([](NodeProcess& process, const TimePoint& now) {
    process.command({"FAILOVER", "ABORT"}, now);
  });
}

}  // namespace holdfast::sim
