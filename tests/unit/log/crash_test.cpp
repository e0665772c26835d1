// What a member acknowledged survives a fault at any operation (see crash_run.hpp for what is
// demanded).
#include <rapidcheck.h>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/unit/log/crash_run.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using sim::SimDisk;

namespace {

using enum Action;

const std::vector<Step> kScript{
    {kAppend, 3},   {kSync},       {kAppend, 5},    {kAppend, 1},   {kTruncate, 2}, {kTerm},
    {kAppend, 4},   {kSync},       {kAppend, 2},    {kTruncate, 4}, {kAppend, 9},   {kSnapshot},
    {kAppend, 9},   {kSaveRecord}, {kRemoveBelow},  {kKeys},        {kAppend, 9},   {kMode},
    {kAppend, 3},   {kSnapshot},   {kAppend, 9},    {kRemoveBelow}, {kMode},        {kKill},
    {kAppend, 9},   {kSync},       {kAppend, 2},    {kReset, 9},    {kAppend, 4},   {kTerm},
    {kTruncate, 2}, {kAppend, 3},  {kReset, 0},     {kAppend, 3},   {kSync},        {kStop},
    {kAppend, 4},   {kSnapshot},   {kMode},         {kAppend, 7},   {kRemoveBelow}, {kPowerLoss},
    {kAppend, 12},  {kSync},       {kTruncate, 11}, {kTerm},        {kAppend, 2},
};

struct Variant {
  const char* name;
  CrashRun::Options options;
};
const Variant kVariants[] = {
    {"killed process", {.seed = 1}},
    {"loss of power", {.seed = 2, .death_is_power_loss = true}},
    {"killed process, encrypted, packed",
     {.seed = 3, .encrypted = true, .packing = Packing::kZstd, .mode = FsyncMode::kAlways}},
    {"loss of power, encrypted, packed",
     {.seed = 4,
      .encrypted = true,
      .packing = Packing::kZstd,
      .mode = FsyncMode::kAlways,
      .death_is_power_loss = true}},
};

std::uint64_t operations_of(const std::vector<Step>& script, const CrashRun::Options& options) {
  CrashRun run(options);
  INFO(run.problem());
  const bool held = run.run(script);
  INFO(run.problem());
  REQUIRE(held);
  return run.disk().operations();
}

// One strike in each run, and maybe a death some operations later (0: none).
struct Strike {
  SimDisk::Fault fault;
  std::uint64_t then_death = 0;
};
constexpr SimDisk::Fault kDeath{SimDisk::Strike::kDeath, FileErrorKind::kIo};
constexpr SimDisk::Fault kShortWrite{SimDisk::Strike::kShortWrite, FileErrorKind::kIo};
constexpr SimDisk::Fault kBroken{SimDisk::Strike::kError, FileErrorKind::kIo};
constexpr SimDisk::Fault kFull{SimDisk::Strike::kError, FileErrorKind::kNoSpace};

// A run for every operation of the script, struck there by the strikes in turn.
void strike_everywhere(const std::vector<Step>& script, CrashRun::Options options,
                       const std::vector<Strike>& strikes) {
  const std::uint64_t operations = operations_of(script, options);
  for (std::uint64_t at = 0; at < operations; ++at) {
    const Strike& strike = strikes[at % strikes.size()];
    options.seed += 10;
    CrashRun run(options);
    run.disk().strike_at(at, strike.fault);
    if (strike.then_death > 0) run.disk().strike_at(at + strike.then_death, kDeath);
    const bool held = run.run(script);
    INFO("operation " << at << " seed " << options.seed << ": " << run.problem());
    REQUIRE(held);
  }
}

}  // namespace

TEST_CASE("a script without faults keeps everything it acknowledged", "[crash]") {
  for (const Variant& variant : kVariants) {
    INFO(variant.name);
    CHECK(operations_of(kScript, variant.options) > 200);
  }
}

TEST_CASE("a death at any operation loses nothing acknowledged and revives nothing truncated",
          "[crash]") {
  for (const Variant& variant : kVariants) {
    INFO(variant.name);
    strike_everywhere(kScript, variant.options, {{kDeath}});
  }
}

TEST_CASE("an error of any operation is survived, and so is a death soon after it", "[crash]") {
  for (const Variant& variant : kVariants) {
    INFO(variant.name);
    strike_everywhere(kScript, variant.options, {{kBroken}, {kBroken, 1}, {kFull, 3}});
  }
}

// Minutes: test_log "[thorough]".
TEST_CASE("each error at each operation, and deaths at several distances", "[.][thorough]") {
  for (std::uint64_t round = 0; round < 5; ++round) {
    for (const Variant& variant : kVariants) {
      INFO(variant.name);
      CrashRun::Options options = variant.options;
      options.seed += 1'000'000 * round;
      for (const SimDisk::Fault fault : {kBroken, kFull, kShortWrite, kDeath}) {
        for (const std::uint64_t then_death : {0, 1, 2, 3, 5, 8, 13, 40})
          strike_everywhere(kScript, options, {{fault, then_death}});
      }
    }
  }
}

TEST_CASE("a write that is done in parts changes nothing", "[crash]") {
  strike_everywhere(kScript, kVariants[0].options, {{kShortWrite}});
  strike_everywhere(kScript, kVariants[3].options, {{kShortWrite}});
}

TEST_CASE("an entry of several fragments survives like any other", "[crash]") {
  const std::vector<Step> script{{kAppend, 2}, {kAppendLarge}, {kAppend, 1}, {kSync}};
  for (const Variant& variant : kVariants) {
    INFO(variant.name);
    strike_everywhere(script, variant.options, {{kDeath}, {kBroken, 2}});
  }
}

TEST_CASE("any script with any faults keeps what was acknowledged", "[crash]") {
  const bool holds = rc::check("random scripts", [] {
    const auto seed = *rc::gen::arbitrary<std::uint32_t>();
    const auto actions = *rc::gen::container<std::vector<std::pair<unsigned, unsigned>>>(
        rc::gen::pair(rc::gen::inRange(0u, 40u), rc::gen::inRange(1u, 12u)));
    std::vector<Step> script;
    for (const auto& [kind, amount] : actions) {
      // Appends, syncs and truncations are the most frequent.
      static constexpr Action kChoices[] = {kTerm, kSnapshot, kRemoveBelow, kReset,     kMode,
                                            kKeys, kStop,     kKill,        kPowerLoss, kSync,
                                            kSync, kTruncate, kTruncate,    kSaveRecord};
      script.push_back({kind < std::size(kChoices) ? kChoices[kind] : kAppend, amount});
    }
    CrashRun::Options options;
    options.seed = seed;
    options.encrypted = seed % 2 == 0;
    options.packing = seed % 3 == 0 ? Packing::kZstd : Packing::kPlain;
    options.mode = static_cast<FsyncMode>(seed % 5 % 3);
    options.death_is_power_loss = seed % 7 < 4;
    CrashRun run(options);
    run.disk().set_weather({.short_write = 50'000,
                            .write_error = seed % 4 == 0 ? 10'000u : 0u,
                            .sync_error = seed % 4 == 1 ? 20'000u : 0u,
                            .read_error = seed % 8 == 2 ? 1'000u : 0u});
    const auto deaths =
        *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(0, 400));
    for (std::size_t i = 0; i < deaths.size() && i < 3; ++i)
      run.disk().strike_at(deaths[i], {SimDisk::Strike::kDeath, FileErrorKind::kIo});
    const bool held = run.run(script);
    if (!held) RC_FAIL(run.problem());
  });
  CHECK(holds);
}
