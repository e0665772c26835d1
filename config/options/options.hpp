// Options: everything that a user can set, as plain structs. The member initialisers below are the
// defaults, and the only place where they stand. What an option is called, what it may be and what
// it means is in option_table.cpp; limits that depend on each other are in validate.cpp. Nothing
// here reads a file, the environment or the command line: config/loader does.
//
// Units are last in the names: _s seconds, _ms milliseconds, _us microseconds; sizes without a unit
// are bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::config {

// What to remove when maxmemory is reached. The order is that of Redis's list in its error text.
enum class EvictionPolicy : std::uint8_t {
  kVolatileLru,
  kVolatileRandom,
  kVolatileTtl,
  kAllkeysLru,
  kAllkeysRandom,
  kNoEviction,
};

enum class LogLevel : std::uint8_t { kDebug, kVerbose, kNotice, kWarning };

// When what was written to the log is synced to the disk.
enum class LogFsync : std::uint8_t { kEverySecond, kAlways, kNo };  // in Redis's order

// A snapshot is taken when one of the rules says so: that many seconds after the last one, if there
// were at least so many changes.
struct SnapshotSchedule {
  struct Rule {
    std::int64_t seconds = 0;
    std::int64_t changes = 0;
    friend bool operator==(const Rule&, const Rule&) = default;
  };
  std::vector<Rule> rules;
};

// Numbers from 0 to 100.
struct Percentiles {
  std::vector<double> values;
};

// Permission bits of a file, read and shown in octal.
struct FileMode {
  std::uint32_t bits = 0;
};

// The classes of keyspace events that are published: one bit for each letter of Redis's
// notify-keyspace-events.
struct KeyspaceEvents {
  enum Bit : std::uint32_t {
    kKeyspaceChannel = 1U << 0,  // K
    kKeyeventChannel = 1U << 1,  // E
    kGeneric = 1U << 2,          // g
    kString = 1U << 3,           // $
    kList = 1U << 4,             // l
    kSet = 1U << 5,              // s
    kHash = 1U << 6,             // h
    kSortedSet = 1U << 7,        // z
    kExpired = 1U << 8,          // x
    kEvicted = 1U << 9,          // e
    kStream = 1U << 10,          // t
    kKeyMiss = 1U << 11,         // m
    kModule = 1U << 12,          // d
    kNewKey = 1U << 13,          // n
  };
  // What the letter A stands for: all classes but m and n.
  static constexpr std::uint32_t kAll = kGeneric | kString | kList | kSet | kHash | kSortedSet |
                                        kExpired | kEvicted | kStream | kModule;
  std::uint32_t bits = 0;

  bool any(std::uint32_t wanted) const { return (bits & wanted) != 0; }
};

// A client whose unsent output is above `hard`, or above `soft` for `soft_s` seconds on end, is
// disconnected. 0 = no limit.
struct OutputBufferLimit {
  std::uint64_t hard = 0;
  std::uint64_t soft = 0;
  std::int64_t soft_s = 0;
};

struct OutputBufferLimits {
  // Redis leaves normal clients unlimited; here a slow reader is bounded, with room for the largest
  // value.
  OutputBufferLimit normal{1ULL << 30, 0, 0};
  OutputBufferLimit replica{256ULL << 20, 64ULL << 20, 60};
  OutputBufferLimit pubsub{32ULL << 20, 8ULL << 20, 60};
};

// Who decides that a primary is replaced.
enum class Failover : std::uint8_t {
  kQuorum,      // a majority of the members
  kUnilateral,  // of two members the one that hears nothing, which may lose writes
};

// When a write is acknowledged.
enum class Acks : std::uint8_t {
  kQuorum,  // when a majority of the members holds it
  kAsync,   // when the primary holds it, as Redis does
};

// How a primary knows that what it shows is the newest.
enum class Reads : std::uint8_t {
  kLease,   // by its lease, at once; trusts that clocks run at about one speed
  kQuorum,  // a majority confirms each read; trusts no clock
};

// One member of a cluster, as the others reach it.
struct ClusterNode {
  std::string name;
  std::string host;
  std::int64_t port = 0;       // for clients
  std::int64_t peer_port = 0;  // for members
  std::string zone;            // where it stands; may be empty
  friend bool operator==(const ClusterNode&, const ClusterNode&) = default;
};
struct ClusterNodes {
  std::vector<ClusterNode> list;
};

struct ServerOptions {
  std::int64_t port = 6379;  // 0 = no TCP
  // Addresses; "*" = all IPv4, "::*" = all IPv6. A leading '-' = start also when this one cannot be
  // had.
  std::vector<std::string> bind{"127.0.0.1", "-::1"};
  std::string unixsocket;
  FileMode unixsocketperm;  // 0 = leave what umask gives
  std::int64_t maxclients = 10000;
  std::int64_t timeout_s = 0;  // 0 = idle clients stay
  std::int64_t tcp_keepalive_s = 300;
  std::int64_t tcp_backlog = 511;
  std::int64_t databases = 16;
  std::string dir = ".";
};

struct SecurityOptions {
  std::string requirepass;       // empty = no password
  std::string requirepass_file;  // config/loader has put its content into requirepass
  bool allow_insecure_bind = false;
};

struct LimitOptions {
  std::uint64_t proto_max_bulk_len = 512ULL << 20;
  std::uint64_t client_query_buffer_limit = 1ULL << 30;
  OutputBufferLimits client_output_buffer_limit;
};

struct MemoryOptions {
  std::uint64_t maxmemory = 0;  // 0 = no limit
  EvictionPolicy maxmemory_policy = EvictionPolicy::kNoEviction;
  std::int64_t maxmemory_samples = 5;
};

struct PersistenceOptions {
  bool enabled = true;
  LogFsync log_fsync = LogFsync::kEverySecond;
  SnapshotSchedule snapshot_schedule{{{3600, 1}}};
  // A snapshot also comes when the log has grown by this much since the last one; 0 = never.
  std::uint64_t snapshot_log_bytes = 1ULL << 30;
  std::int64_t snapshots_kept = 5;
  bool snapshot_compression = false;
  std::uint64_t segment_bytes = 64ULL << 20;
  std::string encryption_key_file;
  // Keys in hex, separated by white space, from that file or the environment; empty = no
  // encryption. Not an option of its own: nothing shows it.
  std::string encryption_key;
};

// Without nodes the server is alone, and nothing else here matters.
struct ClusterOptions {
  std::string name = "holdfast";
  std::string id;
  std::string secret_file;
  // From that file or the environment; empty = none. Not an option of its own: nothing shows it.
  std::string secret;
  std::string node;  // the name of this one
  ClusterNodes nodes;
  bool bootstrap = false;
  Failover failover = Failover::kQuorum;
  std::int64_t heartbeat_ms = 25;
  std::int64_t lease_ms = 100;
  std::int64_t election_timeout_ms = 300;
  std::int64_t busy_limit_ms = 5'000;
  std::int64_t recovery_wait_ms = 30'000;
  Acks acks = Acks::kQuorum;
  Reads reads = Reads::kLease;

  // REQUIRES: `node` is one of `nodes`, as in every valid cluster.
  const ClusterNode& self() const {
    std::size_t i = 0;
    while (nodes.list[i].name != node) ++i;
    return nodes.list[i];
  }
};

struct KeyspaceOptions {
  std::int64_t hash_max_listpack_entries = 512;
  std::uint64_t hash_max_listpack_value = 64;
  KeyspaceEvents notify_keyspace_events;
};

struct SlowlogOptions {
  std::int64_t slower_than_us = 10000;  // 0 = log all, -1 = log none
  std::int64_t max_len = 128;
};

struct LatencyOptions {
  bool tracking = true;
  Percentiles info_percentiles{{50, 99, 99.9}};
};

struct LogOptions {
  LogLevel level = LogLevel::kNotice;
  std::string file;  // empty = standard error
};

struct DebugOptions {
  bool enable_debug_command = false;
};

struct Options {
  ServerOptions server;
  SecurityOptions security;
  LimitOptions limits;
  MemoryOptions memory;
  PersistenceOptions persistence;
  ClusterOptions cluster;
  KeyspaceOptions keyspace;
  SlowlogOptions slowlog;
  LatencyOptions latency;
  LogOptions log;
  DebugOptions debug;
};

}  // namespace holdfast::config
