// The simulator's command line.
//
//   sim --seeds A..B [--members N]           runs them all; prints and stops at the first failure
//   sim ... --kind NAME                      only worlds of this kind (world_plan.hpp)
//   sim ... --registers                      replicas with a register each, not whole nodes
//   sim --seed N [--trace] [--members N]     runs one; --trace tells its story
//   sim_bugs --hunt N [--from A]             each planted fault must be found by seed N
//   sim_bugs --bug NAME --seed N [--trace] [--registers]
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/planted_fault.hpp"
#include "tests/sim/world.hpp"

namespace {

using holdfast::sim::kWorldKindNames;
using holdfast::sim::RunResult;
using holdfast::sim::Scenario;
using holdfast::sim::World;
using holdfast::sim::WorldKind;

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
  std::uint64_t hunt = 0;
  std::size_t members = 0;
  bool trace = false;
  bool keep_going = false;
  bool registers = false;
  std::optional<WorldKind> kind;
  std::string bug;
};

std::optional<WorldKind> kind_of(const std::string& name) {
  for (std::size_t i = 0; i < kWorldKindNames.size(); ++i)
    if (name == kWorldKindNames[i]) return static_cast<WorldKind>(i);
  std::fprintf(stderr, "sim: there is no kind '%s'\n", name.c_str());
  std::exit(2);
}

#ifdef HOLDFAST_SIM_BUGS
using holdfast::Bug;

// Most are found among whole nodes; some only where what lies on the disks can be looked at.
struct BugName {
  const char* name;
  Bug bug;
  bool registers = false;
};
constexpr BugName kBugs[] = {
    {"acknowledge_before_persist", Bug::kAcknowledgeBeforePersist},
    {"persisted_by_index", Bug::kPersistedByIndex, true},
    {"skip_no_op", Bug::kSkipNoOp},
    {"vote_twice", Bug::kVoteTwice},
    {"ignore_promise", Bug::kIgnorePromise},
    {"break_promise_by_candidacy", Bug::kBreakPromiseByCandidacy},
    {"forget_promise_on_restart", Bug::kForgetPromiseOnRestart},
    {"kept_vote_unjudged", Bug::kKeptVoteUnjudged},
    {"lease_by_tick_time", Bug::kLeaseByTickTime},
    {"read_without_lease", Bug::kReadWithoutLease},
    {"read_without_round", Bug::kReadWithoutRound},
    {"recovering_votes", Bug::kRecoveringVotes},
    {"lose_recovering_mark", Bug::kLoseRecoveringMark},
    {"count_wiped_vote", Bug::kCountWipedVote},
    {"commit_old_terms", Bug::kCommitOldTerms, true},
    {"apply_before_commit", Bug::kApplyBeforeCommit},
    {"install_beyond_commit", Bug::kInstallBeyondCommit, true},
    {"apply_half_entry", Bug::kApplyHalfEntry},
    {"forget_truncation", Bug::kForgetTruncation},
    {"release_by_old_hand_over", Bug::kReleaseByOldHandOver},
    {"read_overdue_undeleted", Bug::kReadOverdueUndeleted},
    {"read_uncommitted", Bug::kReadUncommitted},
    {"keep_segment_at_mode_change", Bug::kKeepSegmentAtModeChange},
    {"read_with_newest_key_only", Bug::kReadWithNewestKeyOnly},
};

Bug bug_of(const std::string& name) {
  for (const BugName& each : kBugs)
    if (name == each.name) return each.bug;
  if (!name.empty()) {
    std::fprintf(stderr, "sim: there is no bug '%s'\n", name.c_str());
    std::exit(2);
  }
  return Bug::kNone;
}
#endif

RunResult run_one(const Arguments& arguments, std::uint64_t seed) {
  Scenario scenario;
  scenario.seed = seed;
  scenario.members = arguments.members;
  scenario.kind = arguments.kind;
  scenario.trace = arguments.trace;
  if (arguments.registers) scenario.inhabitants = holdfast::sim::Inhabitants::kRegisters;
#ifdef HOLDFAST_SIM_BUGS
  holdfast::planted_fault = bug_of(arguments.bug);
#endif
  return World(scenario).run();
}

int run_seeds(const Arguments& arguments) {
  std::uint64_t writes = 0;
  std::uint64_t reads = 0;
  std::uint64_t elections = 0;
  std::int64_t slowest_us = 0;
  int failures = 0;
  for (std::uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
    const RunResult result = run_one(arguments, seed);
    writes += result.writes;
    reads += result.reads;
    elections += result.elections;
    slowest_us = std::max(slowest_us, result.recovered_us);
    if (result.failure.empty()) continue;
    std::printf("seed %llu (%zu members): %s\n", static_cast<unsigned long long>(seed),
                result.members, result.failure.c_str());
    std::fflush(stdout);
    ++failures;
    if (!arguments.keep_going) return 1;
  }
  std::printf(
      "seeds %llu..%llu: %d failures; %llu writes acknowledged, %llu reads, %llu elections;"
      " slowest recovery %.1f s\n",
      static_cast<unsigned long long>(arguments.first),
      static_cast<unsigned long long>(arguments.last), failures,
      static_cast<unsigned long long>(writes), static_cast<unsigned long long>(reads),
      static_cast<unsigned long long>(elections), static_cast<double>(slowest_us) / 1e6);
  return failures == 0 ? 0 : 1;
}

#ifdef HOLDFAST_SIM_BUGS
// In a process of its own, as a planted fault may break one of our own checks. True: it was found.
bool hunt(const BugName& bug, Arguments arguments) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    arguments.bug = bug.name;
    arguments.registers |= bug.registers;
    for (std::uint64_t seed = arguments.first; seed <= arguments.hunt; ++seed) {
      const RunResult result = run_one(arguments, seed);
      if (result.failure.empty()) continue;
      std::printf("%-28s seed %4llu: %s\n", bug.name, static_cast<unsigned long long>(seed),
                  result.failure.c_str());
      std::fflush(stdout);
      _exit(0);
    }
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) std::printf("%-28s stopped by a check\n", bug.name);
  const bool found = WIFSIGNALED(status) || WEXITSTATUS(status) == 0;
  if (!found) std::printf("%-28s NOT FOUND\n", bug.name);
  return found;
}
#endif

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&] { return std::string(i + 1 < argc ? argv[++i] : ""); };
    if (option == "--seeds") {
      const std::string range = value();
      const std::size_t dots = range.find("..");
      arguments.first = std::strtoull(range.c_str(), nullptr, 10);
      arguments.last = dots == std::string::npos
                           ? arguments.first
                           : std::strtoull(range.c_str() + dots + 2, nullptr, 10);
    } else if (option == "--seed") {
      arguments.first = arguments.last = std::strtoull(value().c_str(), nullptr, 10);
    } else if (option == "--from") {
      arguments.first = std::strtoull(value().c_str(), nullptr, 10);
    } else if (option == "--members") {
      arguments.members = std::strtoull(value().c_str(), nullptr, 10);
    } else if (option == "--registers") {
      arguments.registers = true;
    } else if (option == "--kind") {
      arguments.kind = kind_of(value());
    } else if (option == "--trace") {
      arguments.trace = true;
    } else if (option == "--keep-going") {
      arguments.keep_going = true;
    } else if (option == "--bug") {
      arguments.bug = value();
    } else if (option == "--hunt") {
      arguments.hunt = std::strtoull(value().c_str(), nullptr, 10);
    } else {
      std::fprintf(stderr, "sim: unknown option '%s'\n", argv[i]);
      return 2;
    }
  }
#ifdef HOLDFAST_SIM_BUGS
  if (arguments.hunt != 0) {
    int missed = 0;
    if (!arguments.bug.empty()) bug_of(arguments.bug);  // a name that is unknown ends here
    for (const BugName& bug : kBugs) {
      if (!arguments.bug.empty() && arguments.bug != bug.name) continue;
      if (!hunt(bug, arguments)) ++missed;
    }
    return missed == 0 ? 0 : 1;
  }
#endif
  return run_seeds(arguments);
}
