#include "config/options/option_table.hpp"

#include "base/text.hpp"

namespace holdfast::config {

namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMegabyte = 1 << 20;

constexpr std::string_view kPolicies[] = {"volatile-lru", "volatile-random", "volatile-ttl",
                                          "allkeys-lru",  "allkeys-random",  "noeviction"};
constexpr std::string_view kLogFsync[] = {"everysec", "always", "no"};
constexpr std::string_view kFailover[] = {"quorum", "unilateral"};
constexpr std::string_view kAcks[] = {"quorum", "async"};
constexpr std::string_view kReads[] = {"lease", "quorum"};
constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::string_view kLogLevels[] = {"debug", "verbose", "notice", "warning"};

// clang-format off
constexpr OptionRow kTable[] = {
    {.path = "server.port", .redis_name = "port", .max = 65535,
     .help = "TCP port for clients; 0 turns TCP off.",
     .field = [](Options& o) -> Field { return &o.server.port; }},
    {.path = "server.bind", .redis_name = "bind",
     .help = "Addresses to listen on; '*' and '::*' mean all, a leading '-' lets the server start without that one.",
     .field = [](Options& o) -> Field { return &o.server.bind; }},
    {.path = "server.unixsocket", .redis_name = "unixsocket",
     .help = "Path of a Unix socket to listen on as well; empty for none.",
     .field = [](Options& o) -> Field { return &o.server.unixsocket; }},
    {.path = "server.unixsocketperm", .redis_name = "unixsocketperm",
     .help = "Permissions of the Unix socket in octal; 0 leaves them to the umask.",
     .field = [](Options& o) -> Field { return &o.server.unixsocketperm; }},
    {.path = "server.maxclients", .redis_name = "maxclients", .change = Change::kAnytime, .min = 1, .max = 4294967295,
     .help = "Connections beyond this number are refused.",
     .field = [](Options& o) -> Field { return &o.server.maxclients; }},
    {.path = "server.timeout_s", .redis_name = "timeout", .change = Change::kAnytime, .max = kInt32Max,
     .help = "Seconds after which an idle client is disconnected; 0 for never.",
     .field = [](Options& o) -> Field { return &o.server.timeout_s; }},
    {.path = "server.tcp_keepalive_s", .redis_name = "tcp-keepalive", .change = Change::kAnytime, .max = kInt32Max,
     .help = "Seconds of silence before the kernel probes a connection; 0 for no probes.",
     .field = [](Options& o) -> Field { return &o.server.tcp_keepalive_s; }},
    {.path = "server.tcp_backlog", .redis_name = "tcp-backlog", .max = kInt32Max,
     .help = "Connections that may wait to be accepted.",
     .field = [](Options& o) -> Field { return &o.server.tcp_backlog; }},
    {.path = "server.databases", .redis_name = "databases", .min = 1, .max = 1024,
     .help = "Number of databases that SELECT can choose from.",
     .field = [](Options& o) -> Field { return &o.server.databases; }},
    {.path = "server.dir", .redis_name = "dir",
     .help = "Working folder of the server; its data lies there.",
     .field = [](Options& o) -> Field { return &o.server.dir; }},

    {.path = "security.requirepass", .redis_name = "requirepass", .change = Change::kAnytime,
     .help = "Password that clients must give (AUTH); empty for none.",
     .field = [](Options& o) -> Field { return &o.security.requirepass; }},
    {.path = "security.requirepass_file", .redis_name = "requirepass-file",
     .help = "File that holds the password, instead of requirepass; a newline at its end is dropped.",
     .field = [](Options& o) -> Field { return &o.security.requirepass_file; }},
    {.path = "security.allow_insecure_bind", .redis_name = "allow-insecure-bind",
     .help = "Start without a password although other machines can connect.",
     .field = [](Options& o) -> Field { return &o.security.allow_insecure_bind; }},

    {.path = "limits.proto_max_bulk_len", .redis_name = "proto-max-bulk-len", .change = Change::kAnytime, .min = kMegabyte,
     .help = "Longest single argument, and so the longest string value.",
     .field = [](Options& o) -> Field { return &o.limits.proto_max_bulk_len; }},
    {.path = "limits.client_query_buffer_limit", .redis_name = "client-query-buffer-limit", .change = Change::kAnytime,
     .min = kMegabyte,
     .help = "A client with more unprocessed input than this is disconnected.",
     .field = [](Options& o) -> Field { return &o.limits.client_query_buffer_limit; }},
    {.path = "limits.client_output_buffer_limit", .redis_name = "client-output-buffer-limit", .change = Change::kAnytime,
     .help = "Unsent output at which a client is disconnected: class, hard limit, soft limit, seconds above the soft one; "
             "0 for no limit.",
     .field = [](Options& o) -> Field { return &o.limits.client_output_buffer_limit; }},

    {.path = "memory.maxmemory", .redis_name = "maxmemory", .change = Change::kAnytime,
     .help = "Bytes that keys and values may use; 0 for no limit.",
     .field = [](Options& o) -> Field { return &o.memory.maxmemory; }},
    {.path = "memory.maxmemory_policy", .redis_name = "maxmemory-policy", .change = Change::kAnytime, .choices = kPolicies,
     .help = "What is removed when maxmemory is reached; with noeviction, writes are refused instead.",
     .field = [](Options& o) -> Field { return &o.memory.maxmemory_policy; }},
    {.path = "memory.maxmemory_samples", .redis_name = "maxmemory-samples", .change = Change::kAnytime, .min = 1,
     .max = kInt32Max,
     .help = "Keys compared for each removal: more is nearer to exact LRU, and slower.",
     .field = [](Options& o) -> Field { return &o.memory.maxmemory_samples; }},

    {.path = "persistence.enabled", .redis_name = "appendonly",
     .help = "Keep a log and snapshots in the working folder, so that a restart loses nothing. Off: all data lives in memory only; "
             "a member of a cluster then comes back empty and fetches everything from the others. 'persistence: off' in place of "
             "the section means the same.",
     .field = [](Options& o) -> Field { return &o.persistence.enabled; }},
    {.path = "persistence.log_fsync", .redis_name = "appendfsync", .change = Change::kAnytime, .choices = kLogFsync,
     .help = "When the log is synced to the disk: 'always' before each reply, 'everysec' once a second, 'no' when the system likes. "
             "A killed process loses nothing in any mode; a loss of power may cost up to a second with 'everysec'.",
     .field = [](Options& o) -> Field { return &o.persistence.log_fsync; }},
    {.path = "persistence.snapshot_schedule", .redis_name = "save", .change = Change::kAnytime,
     .help = "Pairs of seconds and changes: a snapshot is taken so many seconds after the last one if there were so many changes; "
             "empty for none.",
     .field = [](Options& o) -> Field { return &o.persistence.snapshot_schedule; }},
    {.path = "persistence.snapshot_log_bytes", .redis_name = "snapshot-log-bytes", .change = Change::kAnytime,
     .help = "A snapshot is also taken when the log has grown by this much since the last one; 0 for never (a log in memory is bounded "
             "in any case, by half of what the data takes or 32 MB).",
     .field = [](Options& o) -> Field { return &o.persistence.snapshot_log_bytes; }},
    {.path = "persistence.snapshots_kept", .redis_name = "snapshots-kept", .min = 1, .max = 1000,
     .help = "Newest snapshots to keep, with the log behind the oldest of them.",
     .field = [](Options& o) -> Field { return &o.persistence.snapshots_kept; }},
    {.path = "persistence.snapshot_compression", .redis_name = "rdbcompression",
     .help = "Compress snapshots (zstd).",
     .field = [](Options& o) -> Field { return &o.persistence.snapshot_compression; }},
    {.path = "persistence.segment_bytes", .redis_name = "log-segment-bytes", .min = kMegabyte,
     .help = "Size at which the log begins a new file.",
     .field = [](Options& o) -> Field { return &o.persistence.segment_bytes; }},
    {.path = "persistence.encryption_key_file", .redis_name = "encryption-key-file",
     .help = "File with the keys that log and snapshots are encrypted with (AES-256-GCM), one a line, 64 hex digits each "
             "(openssl rand -hex 32). The first one writes, all of them read. Instead of the file, the environment variable "
             "HOLDFAST_ENCRYPTION_KEY may hold the keys. Empty for no encryption.",
     .field = [](Options& o) -> Field { return &o.persistence.encryption_key_file; }},

    {.path = "cluster.name", .redis_name = "cluster-name",
     .help = "Name of the cluster; members of clusters with other names are refused.",
     .field = [](Options& o) -> Field { return &o.cluster.name; }},
    {.path = "cluster.id", .redis_name = "cluster-id",
     .help = "Tells clusters of the same name apart, the same on all members; may be empty.",
     .field = [](Options& o) -> Field { return &o.cluster.id; }},
    {.path = "cluster.secret_file", .redis_name = "cluster-secret-file",
     .help = "File with the secret by which members know each other, the same on all of them (openssl rand -hex 32); a newline at "
             "its end is dropped. Instead of the file, the environment variable HOLDFAST_CLUSTER_SECRET may hold it. Only a cluster "
             "on loopback addresses may be without.",
     .field = [](Options& o) -> Field { return &o.cluster.secret_file; }},
    {.path = "cluster.node", .redis_name = "cluster-node",
     .help = "Which of the nodes this server is, by name.",
     .field = [](Options& o) -> Field { return &o.cluster.node; }},
    {.path = "cluster.nodes", .redis_name = "cluster-nodes",
     .help = "All members, the same on each of them: up to 15, best 3 or 5. In this file also as mappings: "
             "[{name: ada, host: 10.0.0.1, port: 6379, peer_port: 7379, zone: east}, ...]; zone may be left out. Hosts are resolved "
             "at each connect. Empty: a server alone.",
     .field = [](Options& o) -> Field { return &o.cluster.nodes; }},
    {.path = "cluster.bootstrap", .redis_name = "cluster-bootstrap",
     .help = "Members whose disks are all empty may begin a new cluster. Needed once, at its first start.",
     .field = [](Options& o) -> Field { return &o.cluster.bootstrap; }},
    {.path = "cluster.failover", .redis_name = "cluster-failover", .choices = kFailover,
     .help = "Who decides that a primary is replaced: 'quorum', a majority of the members, or 'unilateral', for two members only: the "
             "one that hears nothing from the other. That loses what the other goes on to write.",
     .field = [](Options& o) -> Field { return &o.cluster.failover; }},
    {.path = "cluster.heartbeat_ms", .redis_name = "cluster-heartbeat-ms", .min = 1, .max = 5'000,
     .help = "Milliseconds between two heartbeats of the primary.",
     .field = [](Options& o) -> Field { return &o.cluster.heartbeat_ms; }},
    {.path = "cluster.lease_ms", .redis_name = "cluster-lease-ms", .min = 2, .max = 10'000,
     .help = "For so long after a heartbeat no other primary can be elected: what a killed primary costs. At least twice "
             "heartbeat_ms.",
     .field = [](Options& o) -> Field { return &o.cluster.lease_ms; }},
    {.path = "cluster.election_timeout_ms", .redis_name = "cluster-election-timeout-ms", .min = 4, .max = kHourMs,
     .help = "Silence after which the primary is suspected, up to 1.5 times as long: what a lost host costs. At least lease_ms, and "
             "four times heartbeat_ms.",
     .field = [](Options& o) -> Field { return &o.cluster.election_timeout_ms; }},
    {.path = "cluster.busy_limit_ms", .redis_name = "cluster-busy-limit-ms", .min = 4, .max = kHourMs,
     .help = "A primary that says that it is inside a long command is believed for so long. At least election_timeout_ms.",
     .field = [](Options& o) -> Field { return &o.cluster.busy_limit_ms; }},
    {.path = "cluster.recovery_wait_ms", .redis_name = "cluster-recovery-wait-ms", .min = 4, .max = kHourMs,
     .help = "When no member can prove that its log is whole, all of them are awaited for so long. At least election_timeout_ms.",
     .field = [](Options& o) -> Field { return &o.cluster.recovery_wait_ms; }},
    {.path = "cluster.acks", .redis_name = "cluster-acks", .choices = kAcks,
     .help = "When a write is acknowledged: 'quorum', when a majority of the members holds it, or 'async', at once, as Redis does.",
     .field = [](Options& o) -> Field { return &o.cluster.acks; }},
    {.path = "cluster.reads", .redis_name = "cluster-reads", .choices = kReads,
     .help = "How the primary knows that a read shows the newest: 'lease', by its lease, at once, or 'quorum', by an answer of a majority, for those who trust no clock.",
     .field = [](Options& o) -> Field { return &o.cluster.reads; }},

    {.path = "keyspace.hash_max_listpack_entries", .redis_name = "hash-max-listpack-entries",
     .redis_alias = "hash-max-ziplist-entries", .change = Change::kAnytime,
     .help = "Hashes of up to this many fields are kept packed.",
     .field = [](Options& o) -> Field { return &o.keyspace.hash_max_listpack_entries; }},
    {.path = "keyspace.hash_max_listpack_value", .redis_name = "hash-max-listpack-value",
     .redis_alias = "hash-max-ziplist-value", .change = Change::kAnytime,
     .help = "Hashes whose fields and values are all at most this long are kept packed.",
     .field = [](Options& o) -> Field { return &o.keyspace.hash_max_listpack_value; }},
    {.path = "keyspace.notify_keyspace_events", .redis_name = "notify-keyspace-events", .change = Change::kAnytime,
     .help = "Classes of keyspace events to publish, in Redis's letters; empty for none.",
     .field = [](Options& o) -> Field { return &o.keyspace.notify_keyspace_events; }},

    {.path = "slowlog.slower_than_us", .redis_name = "slowlog-log-slower-than", .change = Change::kAnytime, .min = -1,
     .help = "Commands that take longer, in microseconds, enter the slow log; 0 logs all, -1 none.",
     .field = [](Options& o) -> Field { return &o.slowlog.slower_than_us; }},
    {.path = "slowlog.max_len", .redis_name = "slowlog-max-len", .change = Change::kAnytime,
     .help = "Entries that the slow log keeps.",
     .field = [](Options& o) -> Field { return &o.slowlog.max_len; }},

    {.path = "latency.tracking", .redis_name = "latency-tracking", .change = Change::kAnytime,
     .help = "Count how long the calls of each command take, for INFO latencystats and LATENCY HISTOGRAM.",
     .field = [](Options& o) -> Field { return &o.latency.tracking; }},
    {.path = "latency.info_percentiles", .redis_name = "latency-tracking-info-percentiles", .change = Change::kAnytime,
     .help = "Percentiles that INFO latencystats shows of each command; empty for none.",
     .field = [](Options& o) -> Field { return &o.latency.info_percentiles; }},

    {.path = "log.level", .redis_name = "loglevel", .change = Change::kAnytime, .choices = kLogLevels,
     .help = "Least important messages that are logged.",
     .field = [](Options& o) -> Field { return &o.log.level; }},
    {.path = "log.file", .redis_name = "logfile",
     .help = "File to log to; empty for standard error.",
     .field = [](Options& o) -> Field { return &o.log.file; }},

    {.path = "debug.enable_debug_command", .redis_name = "enable-debug-command",
     .help = "Allow the DEBUG command (DEBUG SLEEP, DEBUG OBJECT).",
     .field = [](Options& o) -> Field { return &o.debug.enable_debug_command; }},
};
// clang-format on

}  // namespace

std::span<const OptionRow> option_table() {
  return kTable;
}

const OptionRow* find_by_path(std::string_view path) {
  for (const OptionRow& row : kTable) {
    if (row.path == path) return &row;
  }
  return nullptr;
}

const OptionRow* find_by_redis_name(std::string_view name) {
  for (const OptionRow& row : kTable) {
    if (equals_ignoring_case(row.redis_name, name)) return &row;
    if (!row.redis_alias.empty() && equals_ignoring_case(row.redis_alias, name)) return &row;
  }
  return nullptr;
}

}  // namespace holdfast::config
