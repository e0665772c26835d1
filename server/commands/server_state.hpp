// ServerState is what commands work on beside their own client: data, options, clients, counters.
// The node owns it.
#pragma once

#include <deque>
#include <string>

#include "base/random.hpp"
#include "base/time.hpp"
#include "config/options/options.hpp"
#include "server/client/registry.hpp"
#include "server/client/watch_registry.hpp"
#include "server/commands/cluster.hpp"
#include "server/commands/host.hpp"
#include "server/commands/marked_digest.hpp"
#include "server/commands/persistence_state.hpp"
#include "server/commands/slow_log.hpp"
#include "server/commands/statistics.hpp"
#include "server/commands/table.hpp"
#include "server/keyspace/journal.hpp"
#include "server/keyspace/keyspace.hpp"

namespace holdfast::commands {

enum class PauseMode : std::uint8_t { kNone, kWrites, kAll };

// CLIENT PAUSE. Held commands run when it ends.
struct Pause {
  PauseMode mode = PauseMode::kNone;
  UnixMs until = 0;

  PauseMode at(UnixMs now) const { return now < until ? mode : PauseMode::kNone; }
};

struct ServerState {
  ServerState(config::Options initial, std::uint64_t seed, std::string run_identity,
              TimePoint started_at, Host& outside)
      : options(std::move(initial)),
        random(seed),
        keyspace(static_cast<std::size_t>(options.server.databases), random.next()),
        journal(keyspace),
        run_id(std::move(run_identity)),
        started(started_at),
        host(outside) {
    statistics.by_command.resize(command_numbers());
    keyspace.set_observer(&watches);
  }

  // Of a command that ran, for INFO, LATENCY and SLOWLOG.
  void note_duration(const client::Client& client, const CommandSpec& spec,
                     resp::Arguments arguments, std::int64_t duration_us, UnixMs now);

  config::Options options;
  Random random;
  keyspace::Keyspace keyspace;
  keyspace::Journal journal;
  client::ClientRegistry clients;
  client::WatchRegistry watches;
  Statistics statistics;
  SlowLog slow_log;
  Pause pause;
  std::string run_id;  // 40 hex digits
  TimePoint started;
  Host& host;
  HostEffects effects;
  PersistenceState persistence;
  Cluster* cluster = nullptr;               // null: a server alone
  std::deque<MarkedDigest> marked_digests;  // of the last markers, the newest last
  // Entries can be made: not on a replica. Where they cannot, an overdue key is only passed over.
  bool takes_entries = true;
};

}  // namespace holdfast::commands
