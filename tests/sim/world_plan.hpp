// WorldPlan is what kind of world a seed makes: its members, their options, the weather, the
// faults.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/random.hpp"
#include "replication/core/config.hpp"
#include "replication/core/event.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/network.hpp"

namespace holdfast::sim {

enum class Inhabitants : std::uint8_t {
  kNodes,      // whole nodes: kernel, commands, keyspace, gate, storage over a simulated disk
  kRegisters,  // a replica and one register each
};

// What is special about a world of whole nodes; most have nothing.
enum class WorldKind : std::uint8_t {
  kPlain,
  kAsyncAcks,     // acks: async
  kFsyncChanges,  // members sync differently, and change it while they run
  kKeyChanges,    // members come back with new encryption keys
  kFarewells,     // processes are ended as planned, too
  kUnilateral,    // two members, failover: unilateral
  kDesertion,     // a minority goes for long, another loses power, and an operator decides
};
inline constexpr std::array kWorldKindNames{"plain",    "async",      "fsync",    "keys",
                                            "farewell", "unilateral", "desertion"};

struct Scenario {
  std::uint64_t seed = 1;
  Inhabitants inhabitants = Inhabitants::kNodes;
  std::size_t members = 0;        // 0: by the seed
  std::optional<WorldKind> kind;  // none: by the seed
  bool trace = false;
};

struct WorldPlan {
  WorldKind kind = WorldKind::kPlain;
  core::Config config;
  FaultPlan faults;
  DiskTiming log_timing;
  bool fsync_always = false;
  PausePlan pauses;
  Weather weather;
  // Entries (registers), or hundreds of bytes of log (nodes); 0: never.
  std::uint64_t snapshot_every = 0;
  core::ReadMode read_mode = core::ReadMode::kLease;
  TrueTime chaos_us = 5'000'000;
  std::int64_t think_us = 20'000;  // of a client, at most
  std::size_t clients = 1;
};

WorldPlan make_plan(const Scenario& scenario, Random& random);

}  // namespace holdfast::sim
