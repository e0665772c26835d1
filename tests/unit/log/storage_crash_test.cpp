// A scripted life of a member, struck at every operation of its disk in every way: whatever
// happens, a restart gives a prefix that holds every write that was said to be persisted.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <map>

#include "base/check.hpp"
#include "tests/unit/log/storage_member.hpp"

namespace holdfast::log::test {

namespace {

using sim::SimDisk;

enum class End { kKill, kPowerLoss };

// A peer's snapshot that is installed, by where it stands to what the member has.
enum class Install {
  kNone,     // the member's ordinary life
  kAhead,    // behind all of it
  kWithin,   // within the log, which is of another branch
  kBehind,   // older than its own newest snapshot
  kNothing,  // index 0
};

struct Scenario {
  FsyncMode mode = FsyncMode::kEverySecond;
  SimDisk::Strike strike = SimDisk::Strike::kError;
  FileErrorKind error = FileErrorKind::kIo;
  End end = End::kKill;
  bool encrypted = false;
  bool slow_syncs = false;  // appends go on beside them
  Install install = Install::kNone;
};

class Run {
 public:
  Run(const Scenario& scenario, std::uint64_t seed)
      : scenario_(scenario), disk_(seed), member_(disk_, small_storage(seed, scenario.mode)) {
    disk_.set_slow_syncs(scenario.slow_syncs);
    if (scenario.encrypted) member_.options().keys = KeyRing({numbered_key(1)});
  }

  // Empty: all was well.
  std::string run() {
    restart();
    if (scenario_.install != Install::kNone) return run_install();
    step([&] { member_.append(3); });
    step([&] { member_.append_together(4); });
    step([&] { member_.wait(1'100'000); });
    step([&] { member_.save_record(); });
    step([&] { member_.append(1, 20'000); });  // longer than a segment, and not copied
    step([&] { member_.append(2); });
    step([&] { snapshot(); });
    step([&] { member_.append(5, 300); });
    step([&] { member_.wait(1'000'400); });  // a sync begins, and others are appended beside it
    step([&] { member_.append(2, 300); });
    step([&] { member_.wait(2'000); });
    step([&] { member_.append(1); });
    step([&] { member_.append(2, 300); });
    step([&] { truncate(2); });
    step([&] { member_.append(1); });
    step([&] { member_.change_mode(FsyncMode::kAlways); });
    step([&] { member_.append(2); });
    step([&] { member_.change_mode(FsyncMode::kEverySecond); });
    step([&] { member_.append(6, 400); });
    step([&] { snapshot(); });
    step([&] { member_.append(2); });
    step([&] { change_keys(); });
    step([&] { member_.append(2); });
    step([&] { truncate(1); });
    step([&] { member_.append_together(3); });
    step([&] { snapshot(); });
    step([&] { member_.append(2); });
    step([&] {
      if (!member_.stop() && !disk_.is_dead()) member_.kill();
    });
    step([&] { member_.append(2); });
    step([&] { member_.wait(500'000); });
    step([&] { end(); });
    step([&] { member_.append(1); });
    return problem();
  }

  std::string run_install() {
    step([&] { member_.append(3, 300); });
    step([&] { snapshot(); });
    step([&] { member_.append(3, 900); });
    step([&] { snapshot(); });
    step([&] { member_.append(4, 300); });
    step([&] { install(50); });
    step([&] { member_.append(2); });
    step([&] { member_.wait(1'000'400); });
    step([&] { member_.append(1); });
    step([&] { snapshot(); });
    step([&] { member_.append(2); });
    step([&] { end(); });
    step([&] { member_.append(1); });
    step([&] { install(500); });
    step([&] { end(); });
    step([&] { member_.append(1); });
    return problem();
  }

  std::string problem() const {
    if (!problem_.empty()) return problem_ + " struck at " + disk_.struck();
    if (!member_.problem().empty()) return member_.problem() + " struck at " + disk_.struck();
    return {};
  }
  SimDisk& disk() { return disk_; }

 private:
  template <typename Action>
  void step(Action action) {
    if (!problem().empty()) return;
    action();
    if (!member_.refusal().empty()) problem_ = "refused: " + member_.refusal();
    if (disk_.is_dead()) end();
    if (!member_.is_running()) restart();
    if (problem().empty() && member_.is_failed() && !member_.heal()) {
      if (disk_.is_dead()) {
        end();
        restart();
      } else {
        problem_ = "does not heal: " + member_.failed()->text;
      }
    }
    if (problem().empty() && member_.persisted() < member_.last_write() && member_.is_running())
      check_all_is_answered();
    if (problem().empty() && installed_in_ == lives_ && member_.persisted() < member_.last_write())
      problem_ = "an installation is not answered";
    installed_in_ = 0;
  }
  void check_all_is_answered() {
    if (member_.persisted_entries() != member_.model().size())
      problem_ = fmt::format("{} of {} entries persisted", member_.persisted_entries(),
                             member_.model().size());
  }
  void end() {
    if (scenario_.end == End::kKill) {
      member_.kill();
    } else {
      member_.lose_power();
    }
  }
  void restart() {
    for (int i = 0; i < 5; ++i) {
      ++lives_;
      if (member_.start()) return;
      if (disk_.is_dead()) end();
    }
    problem_ = "does not start: " + member_.refusal();
  }
  void snapshot() {
    if (member_.persisted_entries() == 0) return;
    member_.begin_snapshot();
    member_.add_block();
    member_.append(1);
    member_.add_block();
    member_.finish_snapshot();
  }
  void truncate(std::uint64_t count) {
    const std::uint64_t size = member_.model().size();
    member_.truncate(std::max(size - std::min(size, count), member_.committed()) + 1);
  }
  void install(std::uint64_t term) {
    std::size_t entries = 0;
    if (scenario_.install == Install::kAhead) entries = member_.model().size() + 3;
    if (scenario_.install == Install::kWithin) entries = member_.model().size() - 1;
    if (scenario_.install == Install::kBehind) entries = 2;
    const StorageMember::PeerSnapshot& snapshot = peer_snapshot(entries, term);
    for (int i = 0; i < 2; ++i) {
      const std::size_t failures = member_.store_failures().size();
      member_.store(snapshot, 300);
      if (disk_.is_dead()) return;
      if (member_.store_failures().size() == failures) break;
    }
    installed_in_ = lives_;
    member_.install(snapshot);
  }
  static const StorageMember::PeerSnapshot& peer_snapshot(std::size_t entries, std::uint64_t term) {
    static std::map<std::pair<std::size_t, std::uint64_t>, StorageMember::PeerSnapshot> all;
    auto& snapshot = all[{entries, term}];
    if (!snapshot.stream.empty() || entries == 0) return snapshot;
    SimDisk disk(7);
    StorageMember peer(disk, small_storage(7, FsyncMode::kAlways));
    HF_CHECK(peer.start());
    peer.set_term(term);
    peer.append(entries, 60);
    peer.take_snapshot();
    return snapshot = peer.read_snapshot(1000);
  }
  void change_keys() {
    if (scenario_.encrypted) member_.change_keys(KeyRing({numbered_key(2), numbered_key(1)}));
  }

  Scenario scenario_;
  SimDisk disk_;
  StorageMember member_;
  std::string problem_;
  unsigned lives_ = 0;
  unsigned installed_in_ = 0;  // the life whose last step was an installation
};

void strike_everywhere(const Scenario& scenario, std::uint64_t seeds = 1) {
  Run calm(scenario, 1);
  REQUIRE(calm.run() == "");
  const std::uint64_t operations = calm.disk().operations();
  REQUIRE(operations > 100);
  for (std::uint64_t at = 0; at < operations; ++at) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      Run run(scenario, seed);
      run.disk().strike_at(at, {scenario.strike, scenario.error});
      const std::string problem = run.run();
      INFO("operation " << at << " of seed " << seed);
      REQUIRE(problem == "");
    }
  }
}

}  // namespace

TEST_CASE("an error of the disk at any operation loses nothing that was acknowledged",
          "[storage][crash]") {
  Scenario scenario;
  scenario.strike = SimDisk::Strike::kError;
  scenario.mode = GENERATE(FsyncMode::kEverySecond, FsyncMode::kAlways, FsyncMode::kNo);
  scenario.error = GENERATE(FileErrorKind::kIo, FileErrorKind::kNoSpace);
  scenario.end = GENERATE(End::kKill, End::kPowerLoss);
  scenario.slow_syncs = scenario.mode == FsyncMode::kEverySecond && GENERATE(false, true);
  strike_everywhere(scenario);
}

TEST_CASE("a short write at any operation is gone on with", "[storage][crash]") {
  Scenario scenario;
  scenario.strike = SimDisk::Strike::kShortWrite;
  scenario.encrypted = true;
  scenario.end = GENERATE(End::kKill, End::kPowerLoss);
  strike_everywhere(scenario);
}

TEST_CASE("the process may die at any operation", "[storage][crash]") {
  Scenario scenario;
  scenario.strike = SimDisk::Strike::kDeath;
  scenario.mode = GENERATE(FsyncMode::kEverySecond, FsyncMode::kAlways);
  strike_everywhere(scenario);
}

TEST_CASE("the machine may die at any operation", "[storage][crash]") {
  Scenario scenario;
  scenario.strike = SimDisk::Strike::kDeath;
  scenario.mode = GENERATE(FsyncMode::kEverySecond, FsyncMode::kAlways, FsyncMode::kNo);
  scenario.slow_syncs = scenario.mode == FsyncMode::kEverySecond && GENERATE(false, true);
  scenario.end = End::kPowerLoss;
  strike_everywhere(scenario, 3);
}

TEST_CASE("an installation that is struck by an error at any operation is carried out",
          "[storage][crash][install]") {
  Scenario scenario;
  scenario.install =
      GENERATE(Install::kAhead, Install::kWithin, Install::kBehind, Install::kNothing);
  scenario.strike = GENERATE(SimDisk::Strike::kError, SimDisk::Strike::kShortWrite);
  scenario.end = GENERATE(End::kKill, End::kPowerLoss);
  scenario.mode = scenario.end == End::kKill ? FsyncMode::kEverySecond : FsyncMode::kAlways;
  scenario.encrypted = scenario.strike == SimDisk::Strike::kShortWrite;
  strike_everywhere(scenario);
}

TEST_CASE("a death at any operation of an installation leaves the old state or the new one",
          "[storage][crash][install]") {
  Scenario scenario;
  scenario.install =
      GENERATE(Install::kAhead, Install::kWithin, Install::kBehind, Install::kNothing);
  scenario.strike = SimDisk::Strike::kDeath;
  scenario.end = GENERATE(End::kKill, End::kPowerLoss);
  const bool loses_power = scenario.end == End::kPowerLoss;
  scenario.mode =
      loses_power ? GENERATE(FsyncMode::kAlways, FsyncMode::kNo) : FsyncMode::kEverySecond;
  strike_everywhere(scenario, loses_power ? 3 : 1);
}

}  // namespace holdfast::log::test
