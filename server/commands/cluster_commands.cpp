// Commands about the member's part in its cluster: ROLE, WAIT, FAILOVER, READONLY, HOLDFAST. On a
// server alone they answer for a primary without replicas.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.hpp"
#include "server/commands/container.hpp"
#include "server/commands/context.hpp"
#include "server/commands/server_handlers.hpp"
#include "server/commands/table.hpp"

namespace holdfast::commands {

namespace {

constexpr MonoUs kUsPerMs = 1000;
constexpr std::int64_t kFailoverMsMax = 3'600'000;

void role(CommandContext& ctx) {
  const Cluster* cluster = ctx.server().cluster;
  resp::ReplyWriter& reply = ctx.reply();
  if (cluster == nullptr) {
    reply.array(3);
    reply.bulk("master");
    reply.integer(0);
    reply.array(0);
    return;
  }
  const ClusterView view = cluster->view(ctx.now().mono_us);
  if (view.is_master) {
    const auto is_shown = [](const MemberView& one) {
      return one.is_replica() && one.state() == "online";
    };
    reply.array(3);
    reply.bulk("master");
    reply.integer(static_cast<std::int64_t>(view.last.value));
    reply.array(static_cast<std::size_t>(
        std::count_if(view.members.begin(), view.members.end(), is_shown)));
    for (const MemberView& one : view.members) {
      if (!is_shown(one)) continue;
      reply.array(3);
      reply.bulk(one.host);
      reply.bulk(fmt::format("{}", one.port));
      reply.bulk(fmt::format("{}", one.persisted.value));
    }
    return;
  }
  const MemberView* primary = view.primary_member();
  const bool is_known = primary != nullptr && !primary->is_self;
  reply.array(5);
  reply.bulk("slave");
  reply.bulk(is_known ? primary->host : "");
  reply.integer(is_known ? primary->port : 0);
  reply.bulk(!is_known || !primary->is_connected ? "connect"
             : view.is_syncing                   ? "sync"
                                                 : "connected");
  reply.integer(static_cast<std::int64_t>(view.applied.value));
}

void wait(CommandContext& ctx) {
  const auto count = ctx.integer_argument(1);
  if (!count) return;
  const auto timeout_ms = ctx.integer_argument(2, "ERR timeout is not an integer or out of range");
  if (!timeout_ms) return;
  if (*timeout_ms < 0) return ctx.error("ERR timeout is negative");
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  const Cluster* cluster = ctx.server().cluster;
  if (cluster == nullptr) return ctx.reply().integer(0);
  if (!cluster->is_primary()) {
    return ctx.error(
        "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if "
        "a replica is configured to be writable (which is not the default) writes to replicas are "
        "just local and are not propagated.");
  }
  const std::size_t acknowledged = cluster->acknowledged_by(ctx.client().last_write);
  const bool is_enough = static_cast<std::int64_t>(acknowledged) >= *count;
  if (is_enough || ctx.client().transaction.active) {
    ctx.reply().integer(static_cast<std::int64_t>(acknowledged));
    return;
  }
  const bool for_ever = *timeout_ms == 0 || *timeout_ms > (kMax - ctx.now().mono_us) / kUsPerMs;
  const MonoUs until = for_ever ? 0 : ctx.now().mono_us + *timeout_ms * kUsPerMs;
  ctx.client().awaits_replicas = {static_cast<std::size_t>(*count), until};
}

// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]
void failover(CommandContext& ctx) {
  Cluster* cluster = ctx.server().cluster;
  std::optional<std::string> host;
  std::int64_t port = 0;
  bool forced = false;
  bool abort = false;
  std::int64_t timeout_ms = 0;
  for (std::size_t i = 1; i < ctx.argument_count(); ++i) {
    const std::size_t left = ctx.argument_count() - i - 1;
    if (ctx.argument_is(i, "timeout") && left >= 1 && timeout_ms == 0) {
      const auto given = ctx.integer_argument(++i);
      if (!given) return;
      if (*given <= 0) return ctx.error("ERR FAILOVER timeout must be greater than 0");
      timeout_ms = std::min(*given, kFailoverMsMax);
    } else if (ctx.argument_is(i, "abort") && ctx.argument_count() == 2) {
      abort = true;
    } else if (ctx.argument_is(i, "to") && left >= 2 && !host) {
      host = std::string(ctx.argument(i + 1));
      const auto given = ctx.integer_argument(i + 2);
      if (!given) return;
      port = *given;
      i += 2;
    } else if (ctx.argument_is(i, "force") && !forced) {
      forced = true;
    } else {
      return ctx.error(kSyntaxError);
    }
  }
  if (cluster == nullptr) {
    return ctx.error(abort ? "ERR No failover in progress."
                           : "ERR FAILOVER requires connected replicas.");
  }
  const ClusterView view = cluster->view(ctx.now().mono_us);
  if (abort) {
    if (!view.is_handing_over) return ctx.error("ERR No failover in progress.");
    cluster->abort_hand_over();
    return ctx.reply().ok();
  }
  if (view.is_handing_over) return ctx.error("ERR FAILOVER already in progress.");
  const bool is_primary = view.is_master || (cluster->is_primary() && view.is_serving);
  if (!is_primary) return ctx.error("ERR FAILOVER is not valid when server is a replica.");
  if (forced && (!host || timeout_ms == 0)) {
    return ctx.error(
        "ERR FAILOVER with force option requires both a timeout and target HOST and IP.");
  }
  if (forced) {
    return ctx.error(
        "ERR FAILOVER FORCE would lose acknowledged writes: leave FORCE away; if the target does "
        "not "
        "catch up within the timeout, this member goes on as primary");
  }
  NodeId target;
  bool any = false;
  for (const MemberView& one : view.members) {
    if (!one.is_replica()) continue;
    any = any || one.can_take_over || host;
    if (!host || one.host != *host || one.port != port) continue;
    if (!one.can_take_over) return ctx.error("ERR FAILOVER target replica is not online.");
    target = one.id;
  }
  if (!any) return ctx.error("ERR FAILOVER requires connected replicas.");
  if (host && target.value == 0)
    return ctx.error("ERR FAILOVER target HOST and PORT is not a replica.");
  cluster->hand_over(target, (timeout_ms == 0 ? kFailoverMsMax : timeout_ms) * kUsPerMs);
  ctx.reply().ok();
}

template <bool kReads>
void read_from_replica(CommandContext& ctx) {
  if (ctx.server().cluster == nullptr)
    return ctx.error("ERR This instance has cluster support disabled");
  ctx.client().reads_replica = kReads;
  ctx.reply().ok();
}

// --- HOLDFAST

nlohmann::json json_of(const MemberView& member, const ClusterView& view) {
  const std::uint64_t lag = view.last.value - std::min(view.last.value, member.persisted.value);
  nlohmann::json json{{"id", member.id.value},
                      {"name", member.name},
                      {"host", member.host},
                      {"port", member.port},
                      {"peer_port", member.peer_port},
                      {"zone", member.zone},
                      {"connected", member.is_connected},
                      {"silent_ms", member.silent_us / kUsPerMs}};
  if (view.role == "primary") {
    json["claim"] = std::string(member.claim);
    json["persisted_index"] = member.persisted.value;
    json["lag"] = lag;
    json["snapshotting"] = member.is_snapshotting;
  }
  return json;
}

nlohmann::json json_of(const MarkedDigest& marked) {
  switch (marked.state) {
    case MarkedDigest::State::kRunning:
      return {{"index", marked.index.value}, {"state", "running"}};
    case MarkedDigest::State::kSkipped:
      return {{"index", marked.index.value}, {"state", "skipped"}};
    case MarkedDigest::State::kTaken:
      break;
  }
  return {{"index", marked.index.value},
          {"state", "taken"},
          {"digest", marked.digest},
          {"keys", marked.keys}};
}

void holdfast_status(CommandContext& ctx) {
  const ServerState& server = ctx.server();
  nlohmann::json json;
  if (server.cluster == nullptr) {
    json = {{"node", nullptr},
            {"role", "primary"},
            {"serving", !server.persistence.loading && server.persistence.disk_error.empty()},
            {"last_index", server.journal.last_index().value},
            {"commit_index", server.persistence.enabled ? server.persistence.log_index_committed
                                                        : server.journal.last_index().value},
            {"cluster", nullptr},
            {"peers", nlohmann::json::array()}};
  } else {
    const ClusterView view = server.cluster->view(ctx.now().mono_us);
    const config::ClusterOptions& options = server.options.cluster;
    const MemberView* primary = view.primary_member();
    json = {{"node", options.node},
            {"role", std::string(view.role)},
            {"serving", view.is_master && view.is_serving && !server.persistence.loading},
            {"loading", server.persistence.loading},
            {"disk_error", server.persistence.disk_error},
            {"persistence", server.persistence.enabled},
            {"log_and_snapshot_memory_bytes", server.persistence.memory_bytes},
            {"term", view.term.value},
            {"generation", view.generation},
            {"claim", std::string(view.claim)},
            {"last_index", view.last.value},
            {"commit_index", view.committed.value},
            {"applied_index", view.applied.value},
            {"lease_ms", view.lease_left_us / kUsPerMs},
            {"handing_over", view.is_handing_over},
            {"stalled", view.is_stalled},
            {"acks", options.acks == config::Acks::kAsync ? "async" : "quorum"},
            {"reads", options.reads == config::Reads::kQuorum ? "quorum" : "lease"},
            {"cluster", {{"name", options.name}, {"id", options.id}}},
            {"peers", nlohmann::json::array()}};
    json["primary"] = primary == nullptr ? nlohmann::json(nullptr) : nlohmann::json(primary->name);
    for (const MemberView& member : view.members)
      if (!member.is_self) json["peers"].push_back(json_of(member, view));
  }
  json["marked_digests"] = nlohmann::json::array();
  for (const MarkedDigest& marked : server.marked_digests)
    json["marked_digests"].push_back(json_of(marked));
  ctx.reply().bulk(json.dump());
}

// Answered by the node when the walk over all data has ended.
void holdfast_digest(CommandContext& ctx) {
  if (!ctx.is_heard()) return;
  ctx.client().awaits_digest = true;
}

// Answers with the marker's index; what each member makes of it, its STATUS shows.
void holdfast_mark(CommandContext& ctx) {
  ctx.emit(keyspace::Marker{});
  ctx.reply().integer(static_cast<std::int64_t>(ctx.server().journal.last_index().value));
}

// The way out when the members that are left may not elect one of them, and the others are gone.
void holdfast_force_generation(CommandContext& ctx) {
  Cluster* cluster = ctx.server().cluster;
  if (ctx.argument_count() != 3 || !ctx.argument_is(2, "lose-what-absent-members-hold")) {
    return ctx.error(
        "ERR this member becomes primary with what it holds; what only absent members hold is "
        "lost, and they must be wiped before they come back. Recovering members follow it; sound "
        "ones "
        "do not until they are wiped, so choose a sound one (claim in HOLDFAST STATUS). To do it: "
        "HOLDFAST FORCE-GENERATION lose-what-absent-members-hold");
  }
  if (cluster == nullptr) return ctx.error("ERR this server is not a member of a cluster");
  const ClusterView view = cluster->view(ctx.now().mono_us);
  if (view.role == "primary") return ctx.error("ERR this member is primary already");
  if (view.primary.value != 0)
    return ctx.error("ERR there is a primary: nothing needs to be forced");
  if (view.claim == "refused") {
    return ctx.error(
        "ERR the others refuse this member, as its data is of an older generation than theirs: "
        "wipe its disk to let it join");
  }
  if (view.claim != "sound" && view.claim != "recovering") {
    return ctx.error(
        "ERR this member holds no data: force a generation on one that is sound and has the most "
        "(claim and last_index in HOLDFAST STATUS)");
  }
  cluster->force_generation();
  ctx.reply().ok();
}

void holdfast_help(CommandContext& ctx) {
  static constexpr std::string_view kLines[] = {
      "DIGEST",
      "    Return a digest of all data and the log index it belongs to, as JSON. Members at the "
      "same",
      "    index have the same digest.",
      "FORCE-GENERATION lose-what-absent-members-hold",
      "    Make this member primary with what it holds, when too many others are gone for good.",
      "MARK",
      "    Put a marker into the log and return its index. Every member takes a digest at that "
      "index,",
      "    also under load; marked_digests in its STATUS has the last four.",
      "STATUS",
      "    Return this member's part in its cluster as JSON.",
  };
  reply_help(ctx, "HOLDFAST", kLines);
}

const CommandSpec kHoldfast[] = {
    {"holdfast|digest", 2, kAdmin | kNoScript | kNoMulti | kStale, {}, "", holdfast_digest},
    {"holdfast|force-generation",
     -2,
     kAdmin | kNoScript | kNoMulti | kStale,
     {},
     "@dangerous",
     holdfast_force_generation},
    {"holdfast|help", 2, kLoading | kStale, {}, "", holdfast_help},
    {"holdfast|mark", 2, kWrite | kAdmin | kNoScript | kNoMulti, {}, "", holdfast_mark},
    {"holdfast|status", 2, kLoading | kStale | kFast, {}, "", holdfast_status},
};

const CommandSpec kCommands[] = {
    {"failover", -1, kAdmin | kNoScript | kStale, {}, "", failover},
    {"holdfast", -2, 0, {}, "", nullptr, kHoldfast},
    {"readonly", 1, kLoading | kStale | kFast, {}, "@connection", read_from_replica<true>},
    {"readwrite", 1, kLoading | kStale | kFast, {}, "@connection", read_from_replica<false>},
    {"role", 1, kNoScript | kLoading | kStale | kFast, {}, "@admin @dangerous", role},
    {"wait", 3, kNoScript, {}, "@connection", wait},
};

}  // namespace

std::span<const CommandSpec> cluster_commands() {
  return kCommands;
}

}  // namespace holdfast::commands
