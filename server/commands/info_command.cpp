// INFO: figures for people, drivers and exporters, by section. Every field that one of them is
// known to parse is here; what this server does not have (yet) is an honest zero.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "base/sha256.hpp"
#include "base/text.hpp"
#include "config/options/option_table.hpp"
#include "config/options/option_values.hpp"
#include "server/commands/context.hpp"
#include "server/commands/server_handlers.hpp"
#include "server/commands/table.hpp"
#include "server/commands/version.hpp"

namespace holdfast::commands {

namespace {

struct Facts {
  ServerState& server;
  const TimePoint& now;
  HostFigures host;
  std::string text;

  template <typename Value>
  void add(std::string_view name, const Value& value) {
    fmt::format_to(std::back_inserter(text), "{}:{}\r\n", name, value);
  }
  void zeros(std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) add(name, 0);
  }
};

void server_section(Facts& facts) {
  const std::int64_t uptime_s =
      std::max<std::int64_t>(0, (facts.now.mono_us - facts.server.started.mono_us) / 1'000'000);
  facts.add("redis_version", kRedisVersion);
  facts.add("holdfast_version", HOLDFAST_VERSION);
  facts.add("redis_git_sha1", "00000000");
  facts.add("redis_git_dirty", 0);
  facts.add("redis_build_id", "0");
  facts.add("redis_mode", "standalone");
  facts.add("os", facts.host.os);
  facts.add("arch_bits", sizeof(void*) * 8);
  facts.add("monotonic_clock", "POSIX clock_gettime");
  facts.add("multiplexing_api", "epoll");
  facts.add("gcc_version", fmt::format("{}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__));
  facts.add("process_id", facts.host.process_id);
  facts.add("process_supervised", "no");
  facts.add("run_id", facts.server.run_id);
  facts.add("tcp_port", facts.server.options.server.port);
  facts.add("server_time_usec", facts.now.unix_us);
  facts.add("uptime_in_seconds", uptime_s);
  facts.add("uptime_in_days", uptime_s / 86400);
  facts.add("hz", 10);
  facts.add("configured_hz", 10);
  facts.add("lru_clock", (facts.now.unix_ms / 1000) & 0xffffff);
  facts.add("executable", facts.host.executable);
  facts.add("config_file", facts.host.config_file);
  facts.add("io_threads_active", 0);
}

void clients_section(Facts& facts) {
  std::size_t input_max = 0;
  std::size_t output_max = 0;
  std::size_t blocked = 0;
  std::size_t blocked_until = 0;
  facts.server.clients.for_each([&](const client::Client& one) {
    input_max = std::max(input_max, one.parser.memory_bytes());
    output_max = std::max(output_max, one.output.pending_bytes());
    if (!one.is_blocked()) return;
    ++blocked;
    if (one.awaits_replicas->until != 0) ++blocked_until;
  });
  facts.add("connected_clients", facts.server.clients.size());
  facts.add("cluster_connections", 0);
  facts.add("maxclients", facts.server.options.server.maxclients);
  facts.add("client_recent_max_input_buffer", input_max);
  facts.add("client_recent_max_output_buffer", output_max);
  facts.add("blocked_clients", blocked);
  facts.add("tracking_clients", 0);
  facts.add("clients_in_timeout_table", blocked_until);
}

double ratio(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

void memory_section(Facts& facts) {
  const auto with_human = [&](std::string_view name, std::uint64_t bytes) {
    facts.add(name, bytes);
    facts.add(fmt::format("{}_human", name), human_bytes(bytes));
  };
  const std::uint64_t used = facts.server.keyspace.used_bytes();
  const std::uint64_t peak = facts.server.statistics.note_used(used);
  std::uint64_t overhead = 0;
  for (keyspace::DatabaseIndex i = 0; i < facts.server.keyspace.database_count(); ++i) {
    overhead += facts.server.keyspace.table(i).memory_bytes();
  }
  overhead = std::min(overhead, used);
  std::uint64_t client_bytes = 0;
  facts.server.clients.for_each([&](const client::Client& one) {
    client_bytes += sizeof(one) + one.parser.memory_bytes() + one.output.memory_bytes();
  });
  const std::uint64_t resident = facts.host.resident_bytes;
  const std::uint64_t slack = facts.server.keyspace.slack_bytes();
  with_human("used_memory", used);
  with_human("used_memory_rss", resident);
  with_human("used_memory_peak", peak);
  facts.add("used_memory_peak_perc", fmt::format("{:.2f}%", 100 * ratio(used, peak)));
  facts.add("used_memory_overhead", overhead);
  facts.add("used_memory_startup", 0);
  facts.add("used_memory_dataset", used - overhead);
  facts.add("used_memory_dataset_perc", fmt::format("{:.2f}%", 100 * ratio(used - overhead, used)));
  facts.add("allocator_allocated", used);
  facts.add("allocator_active", used + slack);
  facts.add("allocator_resident", used + slack);
  with_human("total_system_memory", facts.host.system_memory_bytes);
  facts.zeros({"used_memory_lua", "used_memory_vm_eval"});
  facts.add("used_memory_lua_human", "0B");
  facts.zeros({"used_memory_scripts_eval", "number_of_cached_scripts", "number_of_functions",
               "number_of_libraries", "used_memory_vm_functions", "used_memory_vm_total"});
  facts.add("used_memory_vm_total_human", "0B");
  facts.zeros({"used_memory_functions", "used_memory_scripts"});
  facts.add("used_memory_scripts_human", "0B");
  with_human("maxmemory", facts.server.options.memory.maxmemory);
  facts.add(
      "maxmemory_policy",
      config::format_value(*config::find_by_path("memory.maxmemory_policy"), facts.server.options));
  facts.add("allocator_frag_ratio", fmt::format("{:.2f}", ratio(used + slack, used)));
  facts.add("allocator_frag_bytes", slack);
  facts.add("allocator_rss_ratio", "1.00");  // what is active is resident
  facts.add("allocator_rss_bytes", 0);
  facts.add("rss_overhead_ratio", fmt::format("{:.2f}", ratio(resident, used + slack)));
  facts.add("rss_overhead_bytes",
            static_cast<std::int64_t>(resident) - static_cast<std::int64_t>(used + slack));
  facts.add("mem_fragmentation_ratio", fmt::format("{:.2f}", ratio(resident, used)));
  facts.add("mem_fragmentation_bytes",
            static_cast<std::int64_t>(resident) - static_cast<std::int64_t>(used));
  facts.zeros({"mem_not_counted_for_evict", "mem_replication_backlog",
               "mem_total_replication_buffers", "mem_clients_slaves"});
  facts.add("mem_clients_normal", client_bytes);
  facts.zeros({"mem_cluster_links", "mem_aof_buffer"});
  if (const std::uint64_t bytes = facts.server.persistence.memory_bytes; bytes > 0)
    facts.add("mem_log_and_snapshots", bytes);
  facts.add("mem_allocator", "holdfast");
  facts.add("active_defrag_running", 0);
  facts.add("lazyfree_pending_objects", facts.server.keyspace.retired_count());
  facts.add("lazyfreed_objects", 0);
}

void loading_facts(Facts& facts) {
  const PersistenceState& state = facts.server.persistence;
  const std::uint64_t total = std::max(state.loading_bytes, state.loading_bytes_done);
  const std::int64_t passed_ms =
      std::max<MonoUs>(facts.now.mono_us - state.loading_since_us, 0) / 1000;
  const double done = ratio(state.loading_bytes_done, std::max<std::uint64_t>(total, 1));
  facts.add("loading_start_time", (facts.now.unix_ms - passed_ms) / 1000);
  facts.add("loading_total_bytes", total);
  facts.add("loading_rdb_used_mem", 0);
  facts.add("loading_loaded_bytes", state.loading_bytes_done);
  facts.add("loading_loaded_perc", fmt::format("{:.2f}", 100 * done));
  facts.add("loading_eta_seconds", done > 0
                                       ? static_cast<std::int64_t>(static_cast<double>(passed_ms) *
                                                                   (1 - done) / done / 1000)
                                       : 1);
}

void persistence_section(Facts& facts) {
  const PersistenceState& state = facts.server.persistence;
  static const PersistenceState kNothingSaved;
  const PersistenceState& saves = state.enabled ? state : kNothingSaved;
  const UnixMs saved =
      saves.last_snapshot_at != 0 ? saves.last_snapshot_at : facts.server.started.unix_ms;
  const bool log_fails = !state.disk_error.empty();
  facts.add("loading", state.loading ? 1 : 0);
  facts.zeros({"async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"});
  facts.add("current_fork_perc", "0.00");
  facts.add("current_save_keys_processed", saves.snapshot_running ? saves.snapshot_keys_done : 0);
  facts.add("current_save_keys_total", saves.snapshot_running ? saves.snapshot_keys_total : 0);
  facts.add("rdb_changes_since_last_save",
            facts.server.journal.mutation_count() - saves.mutations_at_last_snapshot);
  facts.add("rdb_bgsave_in_progress", saves.snapshot_running || saves.snapshot_wanted ? 1 : 0);
  facts.add("rdb_last_save_time", saved / 1000);
  facts.add("rdb_last_bgsave_status", saves.last_snapshot_ok ? "ok" : "err");
  facts.add("rdb_last_bgsave_time_sec",
            saves.last_snapshot_ms < 0 ? -1 : saves.last_snapshot_ms / 1000);
  facts.add("rdb_current_bgsave_time_sec",
            saves.snapshot_running ? (facts.now.unix_ms - saves.snapshot_since) / 1000 : -1);
  facts.add("rdb_saves", saves.snapshots);
  facts.add("rdb_last_cow_size", 0);
  facts.add("rdb_last_load_keys_expired", state.loaded_keys_expired);
  facts.add("rdb_last_load_keys_loaded", state.loaded_keys);
  facts.add("aof_enabled", state.enabled ? 1 : 0);
  facts.zeros({"aof_rewrite_in_progress", "aof_rewrite_scheduled"});
  facts.add("aof_last_rewrite_time_sec", -1);
  facts.add("aof_current_rewrite_time_sec", -1);
  facts.add("aof_last_bgrewrite_status", "ok");
  facts.zeros({"aof_rewrites", "aof_rewrites_consecutive_failures"});
  facts.add("aof_last_write_status", log_fails ? "err" : "ok");
  facts.zeros({"aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"});
  if (state.enabled) {
    facts.add("aof_current_size", state.log_bytes);
    facts.add("aof_base_size",
              state.log_bytes - std::min(state.log_bytes, state.log_bytes_since_snapshot));
    facts.zeros({"aof_pending_rewrite", "aof_buffer_length"});
    facts.add("aof_pending_bio_fsync", state.log_synced_index < state.log_index_committed ? 1 : 0);
    facts.add("aof_delayed_fsync", 0);
    facts.add("log_segments", state.log_segments);
    facts.add("log_last_index", facts.server.journal.last_index().value);
    facts.add("log_committed_index", state.log_index_committed);
    facts.add("log_synced_index", state.log_synced_index);
    facts.add("log_fsyncs", state.log_fsyncs);
    facts.add("log_fsync_usec_max", state.log_fsync_us_max);
    facts.add("log_last_error", state.disk_error);
  }
  if (state.loading) loading_facts(facts);
}

void stats_section(Facts& facts) {
  const Statistics& statistics = facts.server.statistics;
  const NetworkCounters& network = facts.host.network;
  const NetworkCounters& before = statistics.network_before;
  facts.add("total_connections_received",
            network.connections_received - before.connections_received);
  facts.add("total_commands_processed", statistics.commands_processed);
  facts.add("instantaneous_ops_per_sec", statistics.operations_per_second);
  facts.add("total_net_input_bytes", network.all_input_bytes() - before.all_input_bytes());
  facts.add("total_net_output_bytes", network.all_output_bytes() - before.all_output_bytes());
  facts.add("total_net_repl_input_bytes", network.peer_input_bytes - before.peer_input_bytes);
  facts.add("total_net_repl_output_bytes", network.peer_output_bytes - before.peer_output_bytes);
  facts.add("instantaneous_input_kbps", fmt::format("{:.2f}", statistics.input_kb_per_second));
  facts.add("instantaneous_output_kbps", fmt::format("{:.2f}", statistics.output_kb_per_second));
  facts.add("instantaneous_input_repl_kbps",
            fmt::format("{:.2f}", statistics.peer_input_kb_per_second));
  facts.add("instantaneous_output_repl_kbps",
            fmt::format("{:.2f}", statistics.peer_output_kb_per_second));
  facts.add("rejected_connections", network.connections_rejected - before.connections_rejected);
  facts.add("sync_full", statistics.full_syncs);
  facts.add("sync_partial_ok", statistics.partial_syncs);
  facts.add("sync_partial_err", statistics.partial_syncs_refused);
  facts.add("expired_keys", statistics.expired_keys);
  facts.add("expired_stale_perc", "0.00");
  facts.zeros({"expired_time_cap_reached_count", "expire_cycle_cpu_milliseconds"});
  facts.add("evicted_keys", statistics.evicted_keys);
  facts.zeros(
      {"evicted_clients", "total_eviction_exceeded_time", "current_eviction_exceeded_time"});
  facts.add("keyspace_hits", statistics.keyspace_hits);
  facts.add("keyspace_misses", statistics.keyspace_misses);
  facts.zeros({"pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec",
               "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys",
               "active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits",
               "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time",
               "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes",
               "unexpected_error_replies"});
  facts.add("total_error_replies", statistics.error_replies);
  facts.add("dump_payload_sanitizations", 0);
  facts.add("total_reads_processed", network.reads - before.reads);
  facts.add("total_writes_processed", network.writes - before.writes);
  facts.zeros({"io_threaded_reads_processed", "io_threaded_writes_processed",
               "reply_buffer_shrinks", "reply_buffer_expands"});
}

// Offsets are log indexes.
void primary_facts(Facts& facts, const ClusterView& view) {
  std::size_t count = 0;
  for (const MemberView& one : view.members) count += one.is_replica() ? 1 : 0;
  facts.add("connected_slaves", count);
  std::size_t number = 0;
  for (const MemberView& one : view.members) {
    if (!one.is_replica()) continue;
    facts.add(fmt::format("slave{}", number++),
              fmt::format("ip={},port={},state={},offset={},lag={}", one.host, one.port,
                          one.state(), one.persisted.value, one.silent_us / 1'000'000));
  }
}

void replica_facts(Facts& facts, const ClusterView& view) {
  const MemberView* primary = view.primary_member();
  if (primary != nullptr && primary->is_self) primary = nullptr;  // it has lost its lease
  const bool is_linked = primary != nullptr && primary->is_connected;
  const bool is_up = is_linked && !view.is_syncing;
  const MemberView* shown = primary;
  MonoUs silent_us = primary != nullptr ? primary->silent_us : 0;
  if (primary == nullptr && view.last_primary.value != 0) {
    shown = &view.members[view.last_primary.value - 1];
    silent_us = view.last_primary_silent_us;
  }
  facts.add("master_host", shown != nullptr ? shown->host : "");
  facts.add("master_port", shown != nullptr ? shown->port : 0);
  facts.add("master_link_status", is_up ? "up" : "down");
  facts.add("master_last_io_seconds_ago", is_up ? primary->silent_us / 1'000'000 : -1);
  facts.add("master_sync_in_progress", is_linked && view.is_syncing ? 1 : 0);
  facts.add("slave_read_repl_offset", view.last.value);
  facts.add("slave_repl_offset", view.applied.value);
  if (!is_up)
    facts.add("master_link_down_since_seconds", shown != nullptr ? silent_us / 1'000'000 : -1);
  facts.add("slave_priority", 100);
  facts.add("slave_read_only", 1);
  facts.add("replica_announced", 1);
  facts.add("connected_slaves", 0);
}

void member_facts(Facts& facts) {
  const ClusterView view = facts.server.cluster->view(facts.now.mono_us);
  const config::ClusterOptions& options = facts.server.options.cluster;
  facts.add("role", view.is_master ? "master" : "slave");
  view.is_master ? primary_facts(facts, view) : replica_facts(facts, view);
  // Its lease is given up with the hand-over itself.
  facts.add("master_failover_state", !view.is_handing_over ? "no-failover"
                                     : view.is_master      ? "waiting-for-sync"
                                                           : "failover-in-progress");
  // The same on all members, another one after a loss that began a new generation.
  facts.add(
      "master_replid",
      sha256_hex(fmt::format("{}/{}/{}", options.name, options.id, view.generation)).substr(0, 40));
  facts.add("master_replid2", std::string(40, '0'));
  facts.add("master_repl_offset", view.last.value);
  facts.add("second_repl_offset", -1);
  facts.add("repl_backlog_active", 1);
  facts.zeros({"repl_backlog_size", "repl_backlog_first_byte_offset", "repl_backlog_histlen"});
}

void replication_section(Facts& facts) {
  if (facts.server.cluster != nullptr) return member_facts(facts);
  facts.add("role", "master");
  facts.add("connected_slaves", 0);
  facts.add("master_failover_state", "no-failover");
  facts.add("master_replid", facts.server.run_id);
  facts.add("master_replid2", std::string(40, '0'));
  facts.add("master_repl_offset", 0);
  facts.add("second_repl_offset", -1);
  facts.zeros({"repl_backlog_active", "repl_backlog_size", "repl_backlog_first_byte_offset",
               "repl_backlog_histlen"});
}

void cpu_section(Facts& facts) {
  const auto seconds = [&](std::string_view name, double value) {
    facts.add(name, fmt::format("{:.6f}", value));
  };
  seconds("used_cpu_sys", facts.host.cpu_system_s);
  seconds("used_cpu_user", facts.host.cpu_user_s);
  seconds("used_cpu_sys_children", facts.host.cpu_children_system_s);
  seconds("used_cpu_user_children", facts.host.cpu_children_user_s);
  seconds("used_cpu_sys_main_thread", facts.host.cpu_loop_system_s);
  seconds("used_cpu_user_main_thread", facts.host.cpu_loop_user_s);
}

void modules_section(Facts&) {}

void commandstats_section(Facts& facts) {
  const auto& by_command = facts.server.statistics.by_command;
  const auto add = [&](const CommandSpec& spec) {
    const CommandStatistics& one = by_command[spec.number];
    if (one.calls == 0 && one.rejected == 0) return;
    const double each =
        one.calls == 0 ? 0 : static_cast<double>(one.microseconds) / static_cast<double>(one.calls);
    facts.add(fmt::format("cmdstat_{}", spec.name),
              fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
                          one.calls, one.microseconds, each, one.rejected, one.failed));
  };
  for (const CommandSpec* spec : all_commands()) {
    add(*spec);
    for (const CommandSpec& subcommand : spec->subcommands) add(subcommand);
  }
}

void errorstats_section(Facts& facts) {
  for (const auto& [prefix, count] : facts.server.statistics.by_error) {
    facts.add(fmt::format("errorstat_{}", prefix), fmt::format("count={}", count));
  }
}

void latencystats_section(Facts& facts) {
  const config::LatencyOptions& options = facts.server.options.latency;
  if (!options.tracking) return;
  const auto& by_command = facts.server.statistics.by_command;
  const auto add = [&](const CommandSpec& spec) {
    const auto& latency = by_command[spec.number].latency;
    if (latency == nullptr) return;
    std::string shown;
    for (const double percentile : options.info_percentiles.values) {
      shown += fmt::format("{}p{}={:.3f}", shown.empty() ? "" : ",", percentile,
                           latency->percentile_us(percentile));
    }
    facts.add(fmt::format("latency_percentiles_usec_{}", spec.name), shown);
  };
  for (const CommandSpec* spec : all_commands()) {
    add(*spec);
    for (const CommandSpec& subcommand : spec->subcommands) add(subcommand);
  }
}

void cluster_section(Facts& facts) {
  facts.add("cluster_enabled", 0);
}

// The mean over a few keys, each about equally likely: milliseconds, 0 if none expires.
std::int64_t mean_ttl_ms(const keyspace::Table& table, UnixMs now) {
  constexpr int kSamples = 20;
  if (table.expiring_count() == 0) return 0;
  Random random(static_cast<std::uint64_t>(now));
  std::int64_t sum_ms = 0;
  for (int i = 0; i < kSamples; ++i) {
    UnixMs expire_at = now;
    if (table.random_expiring(random, &expire_at) == nullptr) return 0;
    sum_ms += std::max<std::int64_t>(0, expire_at - now) / kSamples;
  }
  return sum_ms;
}

void keyspace_section(Facts& facts) {
  for (keyspace::DatabaseIndex i = 0; i < facts.server.keyspace.database_count(); ++i) {
    const keyspace::Table& table = facts.server.keyspace.table(i);
    if (table.empty()) continue;
    facts.add(fmt::format("db{}", i),
              fmt::format("keys={},expires={},avg_ttl={}", table.size(), table.expiring_count(),
                          mean_ttl_ms(table, facts.now.unix_ms)));
  }
}

enum class Group { kDefault, kAll };  // the smallest word that brings the section

struct Section {
  std::string_view name;
  std::string_view title;
  Group group;
  void (*write)(Facts&);
};

constexpr Section kSections[] = {
    {"server", "Server", Group::kDefault, server_section},
    {"clients", "Clients", Group::kDefault, clients_section},
    {"memory", "Memory", Group::kDefault, memory_section},
    {"persistence", "Persistence", Group::kDefault, persistence_section},
    {"stats", "Stats", Group::kDefault, stats_section},
    {"replication", "Replication", Group::kDefault, replication_section},
    {"cpu", "CPU", Group::kDefault, cpu_section},
    {"modules", "Modules", Group::kDefault, modules_section},
    {"commandstats", "Commandstats", Group::kAll, commandstats_section},
    {"errorstats", "Errorstats", Group::kDefault, errorstats_section},
    {"latencystats", "Latencystats", Group::kAll, latencystats_section},
    {"cluster", "Cluster", Group::kDefault, cluster_section},
    {"keyspace", "Keyspace", Group::kDefault, keyspace_section},
};

bool is_wanted(CommandContext& ctx, const Section& section) {
  if (ctx.argument_count() == 1) return section.group == Group::kDefault;
  for (std::size_t i = 1; i < ctx.argument_count(); ++i) {
    if (ctx.argument_is(i, section.name)) return true;
    if (ctx.argument_is(i, "default") && section.group == Group::kDefault) return true;
    // Redis's difference between these is what loaded modules add.
    if (ctx.argument_is(i, "all") || ctx.argument_is(i, "everything")) return true;
  }
  return false;
}

}  // namespace

void info(CommandContext& ctx) {
  Facts facts{ctx.server(), ctx.now(), ctx.server().host.figures(), {}};
  for (const Section& section : kSections) {
    if (!is_wanted(ctx, section)) continue;
    if (!facts.text.empty()) facts.text += "\r\n";
    facts.text += fmt::format("# {}\r\n", section.title);
    section.write(facts);
  }
  ctx.reply().verbatim(facts.text);
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{}B", bytes);
  constexpr std::string_view kUnits = "KMGTPE";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.2f}{}", value, kUnits[unit]);
}

}  // namespace holdfast::commands
