// Node is the kernel: clients, commands, keyspace, expiry and eviction as one function of events.
// It sees no socket, thread or clock: bytes come through a client's parser, time with every call,
// and what it wants from the world it leaves in `take_effects`. Same calls with the same times and
// seed, same replies.
//
// Command time, which decides what has expired, never goes backwards and never stands still: while
// the wall clock is behind where it once was (it was set back), command time goes on at the pace of
// the monotonic clock. Every call may be given a raw sample; `command_time` says what the node
// makes of it.
//
// One turn of the caller: for each client with input `run_one` until it says that there is no more
// (or its budget is used up), then `background` once, then `end_turn`, whose requests go to
// storage, then write every client's sendable output up to `gate()`. What storage says comes
// back by `on_storage`. A member of a cluster is also told of its peers (`on_peer_...`), ticked at
// `next_tick`, and its messages are taken each turn. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "config/options/options.hpp"
#include "server/client/client.hpp"
#include "server/commands/host.hpp"
#include "server/commands/server_state.hpp"
#include "server/node/digest.hpp"
#include "server/node/marked_digests.hpp"
#include "server/node/persistence.hpp"
#include "server/node/replication.hpp"

namespace holdfast::commands {
class CommandContext;
}

namespace holdfast::node {

enum class Step {
  kRan,       // one request was carried out (or refused); there may be another
  kNeedMore,  // no complete request is left
  kHeld,      // CLIENT PAUSE, or no lease: the request waits; try again when `holds` says no
  kAwaits,    // SAVE, WAIT: its reply is still to come, the client is in effects.resume then
  kClosing,   // see client.fate
};

// The reason of those whose connections end with the member's authority.
inline constexpr std::string_view kAuthorityLost = "authority_lost";

class Node {
 public:
  // `seed` feeds hashes and random choices; `run_id` has 40 hex digits.
  Node(config::Options options, std::uint64_t seed, std::string run_id, const TimePoint& started,
       commands::Host& host, const core::Tuning& tuning = {});
  ~Node();

  // The reference lives until disconnect.
  client::Client& connect(client::ConnectionInfo info, const TimePoint& now);
  void disconnect(client::Client& client);

  TimePoint command_time(const TimePoint& sampled);
  Step run_one(client::Client& client, const TimePoint& sampled);
  // How long the request that run_one just carried out took, as the caller measured it. For
  // statistics and SLOWLOG.
  void note_duration(client::Client& client, std::int64_t duration_us, const TimePoint& now);

  // Expiry, freeing and compaction, at most about `units` of work (a unit is about one key). True:
  // there is more to do at once, call again soon.
  // `storage_pressed`: storage has much to write already.
  bool background(const TimePoint& sampled, std::size_t units, bool storage_pressed = false);
  // What storage is to do, in order. A node without: nothing, ever.
  std::vector<log::Request> end_turn(const TimePoint& sampled);
  void on_storage(log::StorageEvents events, const log::StorageFigures& figures,
                  const TimePoint& sampled);
  // False only on a lone node whose persistence is off; a member then has one in memory.
  bool has_storage() const { return persistence_.has_storage(); }
  // Nothing is carried out any more; the next end_turn asks storage to end.
  void stop(const TimePoint& now);

  // --- a member of a cluster; `now` was sampled after what is told had been read
  bool is_member() const { return replication_ != nullptr; }
  // To look at; null on a lone node, and while loading.
  const core::Replica* replica() const {
    return replication_ == nullptr ? nullptr : replication_->replica();
  }
  void on_peer_connected(NodeId peer, core::MonoTime now);
  void on_peer_lost(NodeId peer, core::MonoTime now);
  void on_peer_message(NodeId peer, wire::Message message, core::MonoTime now);
  // All that had arrived at `now` has been delivered.
  void tick(const TimePoint& now);
  MonoUs next_tick() const;
  std::vector<core::Send> take_messages();
  std::optional<wire::Message> busy_message() const;
  // Before a planned end: another member is to take over, within the bound. False: nobody can, or
  // need not. Then at every turn until `has_handed_over`: if one could not, another is asked.
  bool begin_farewell(const TimePoint& now, std::int64_t bound_ms);
  bool has_handed_over() const { return replication_ == nullptr || !replication_->is_primary(); }

  bool storage_stopped() const { return !has_storage() || persistence_.stopped(); }
  // The earliest command time at which `background` may have something new to do.
  UnixMs next_due() const;
  // INT64_MAX: nothing is paused.
  UnixMs pause_end(UnixMs now) const {
    return state_.pause.at(now) == commands::PauseMode::kNone ? std::numeric_limits<UnixMs>::max()
                                                              : state_.pause.until;
  }
  // Requests that were held are still to wait. `now` is command time.
  bool holds(const TimePoint& now) const;
  // What is written waits to be persisted and committed, and fills the memory: writes are held.
  bool is_pressed() const;

  // Everything up to here may be shown to clients.
  LogIndex committed() const {
    return shows_uncommitted() ? state_.journal.last_index() : persistence_.committed();
  }
  // What clients' output waits for.
  resp::GatePoint gate() const {
    return {committed(), replication_ == nullptr ? ReadRound{} : replication_->confirmed_round()};
  }

  commands::HostEffects take_effects();
  bool has_effects() const;
  const config::Options& options() const { return state_.options; }
  commands::ServerState& state() { return state_; }

 private:
  void prefetch_upcoming(const client::Client& client) const;
  Step dispatch(client::Client& client, const TimePoint& now);
  const commands::CommandSpec* resolve(client::Client& client, resp::Arguments arguments);
  void queue(client::Client& client, const commands::CommandSpec& spec, resp::Arguments arguments);
  bool refused_for_memory(client::Client& client, const commands::CommandSpec& spec,
                          const TimePoint& now);
  void refuse(client::Client& client, const commands::CommandSpec* spec, std::string_view error);
  // False: it cannot be carried out now, and nothing has happened.
  bool run(client::Client& client, const commands::CommandSpec& spec, resp::Arguments arguments,
           const TimePoint& now);
  bool must_wait(const client::Client& client, const commands::CommandSpec& spec, UnixMs now) const;
  std::size_t expire_due(const TimePoint& now, std::size_t keys_max);
  void update_rates(const TimePoint& now);
  std::string misconfigured() const {
    return "MISCONF Errors writing to the AOF file: " + state_.persistence.disk_error;
  }
  // Entries can be made now: data is there, and the disk takes them.
  bool accepts_entries() const {
    return !state_.persistence.loading && state_.persistence.disk_error.empty() &&
           state_.takes_entries && (replication_ == nullptr || !replication_->is_stalled());
  }
  bool refused_for_role(client::Client& client, const commands::CommandSpec& spec);
  bool awaits_lease(const client::Client& client, const commands::CommandSpec& spec,
                    MonoUs now) const;
  bool is_handing_over() const;
  bool awaits_round(const client::Client& client, const commands::CommandSpec& spec) const;
  void ask_for_round(MonoUs now);
  bool shows_uncommitted() const {
    return replication_ != nullptr && state_.options.cluster.acks == config::Acks::kAsync;
  }
  bool refused_for_state(client::Client& client, const commands::CommandSpec& spec);
  void settle(client::Client& client, const commands::CommandContext& ctx, std::size_t begin,
              bool apart, bool reads_by_round);
  void carry_out(Persistence::Outcome outcome);
  void tell_replica(core::Happening what, core::MonoTime now);
  void carry_out_replication();
  void lose_authority();
  void answer_saves();
  void await(client::Client& client);
  void answer_waits(MonoUs now);
  bool digest_slice(std::size_t units);
  void answer_digests();
  template <typename Answer>
  void answer(client::Client& client, Answer&& write);

  commands::ServerState state_;
  std::unique_ptr<Replication> replication_;  // null on a lone node
  Persistence persistence_;
  Digest digest_;
  MarkedDigests marked_digests_{state_, digest_};
  std::vector<ClientId> await_digest_;    // the next one
  std::vector<ClientId> digest_readers_;  // the one that is running
  std::vector<ClientId> await_replicas_;
  ReadRound asked_round_;         // the last one
  bool is_round_wanted_ = false;  // the next one, by replies of this turn
  TimePoint newest_;              // command time
  resp::OutputBuffer discarded_;  // replies that nobody wants
  MonoUs rate_sampled_us_ = 0;
  std::uint64_t rate_sampled_commands_ = 0;
  commands::NetworkCounters rate_sampled_network_;
  MonoUs last_tick_us_ = 0;
  bool stopping_ = false;
  std::vector<log::Request> last_requests_;  // of the stop
};

}  // namespace holdfast::node
