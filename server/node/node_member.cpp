// The node as a member of a cluster: what its role allows, its peers, and what a change of role
// does.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/node/command_nature.hpp"
#include "server/node/node.hpp"

namespace holdfast::node {

using client::Client;
using client::Fate;
using commands::CommandSpec;

namespace {

constexpr std::string_view kReadOnlyError = "READONLY You can't write against a read only replica.";
constexpr std::string_view kMasterDownError =
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";

}  // namespace

bool Node::is_pressed() const {
  if (!state_.persistence.disk_error.empty()) return false;  // writes are refused
  return replication_ != nullptr ? replication_->is_pressed() && !replication_->is_stalled()
                                 : persistence_.is_pressed();
}

bool Node::holds(const TimePoint& now) const {
  return is_pressed() || state_.pause.at(now.unix_ms) != commands::PauseMode::kNone ||
         (replication_ != nullptr && replication_->is_primary() &&
          !replication_->may_run(now.mono_us));
}

// It makes no entries until the target has taken over or could not; its disk is sound.
bool Node::is_handing_over() const {
  return replication_ != nullptr && replication_->is_primary() && !state_.takes_entries &&
         state_.persistence.disk_error.empty();
}

// A primary that cannot be sure of its authority answers nothing about data: it waits until it is
// sure again, or is no primary any more. While it hands over and still has its lease, what only
// reads goes on, but for transactions, which cannot be taken back when they find an overdue key.
bool Node::awaits_lease(const Client& client, const CommandSpec& spec, MonoUs now) const {
  if (replication_ == nullptr || !replication_->is_primary() || replication_->may_run(now))
    return false;
  if (client.transaction.active && !is_exec(spec)) return false;
  if (!any_of(client, spec, touches_data)) return false;
  return is_exec(spec) || writes_data(spec) || !replication_->may_read(now);
}

bool Node::refused_for_role(Client& client, const CommandSpec& spec) {
  if (replication_ == nullptr || replication_->is_primary()) [[likely]]
    return false;
  const bool writes = any_of(client, spec, writes_data);
  if (!writes && !any_of(client, spec, touches_data)) return false;
  if (replication_->lacks_data() || (state_.persistence.loading && !writes)) {
    refuse(client, &spec, kLoadingError);
    return true;
  }
  if (writes) {
    refuse(client, &spec, kReadOnlyError);
    return true;
  }
  if (client.reads_replica && replication_->has_caught_up()) return false;
  refuse(client, &spec, kMasterDownError);
  return true;
}

// What it decides is carried out before it hears of anything else: soon others' entries may be
// committed at the places of those that are void now.
void Node::tell_replica(core::Happening what, core::MonoTime now) {
  replication_->step(std::move(what), now);
  carry_out_replication();
}

void Node::on_peer_connected(NodeId peer, core::MonoTime now) {
  if (stopping_) return;
  tell_replica(core::PeerConnected{peer}, now);
}

void Node::on_peer_lost(NodeId peer, core::MonoTime now) {
  if (stopping_) return;
  tell_replica(core::PeerLost{peer}, now);
}

void Node::on_peer_message(NodeId peer, wire::Message message, core::MonoTime now) {
  if (stopping_) return;
  tell_replica(core::Received{peer, std::move(message)}, now);
}

void Node::tick(const TimePoint& now) {
  last_tick_us_ = now.mono_us;
  if (stopping_) return;
  tell_replica(core::Tick{}, {now.mono_us});
}

MonoUs Node::next_tick() const {
  if (replication_ == nullptr) return core::kNever.us;
  const MonoUs latest = last_tick_us_ + state_.options.cluster.heartbeat_ms * 1000 / 2;
  return std::min(replication_->next_due().us, latest);
}

std::vector<core::Send> Node::take_messages() {
  return replication_ == nullptr ? std::vector<core::Send>{} : replication_->take_messages();
}

std::optional<wire::Message> Node::busy_message() const {
  return replication_ == nullptr || stopping_ ? std::nullopt : replication_->busy_message();
}

bool Node::begin_farewell(const TimePoint& now, std::int64_t bound_ms) {
  return replication_ != nullptr &&
         replication_->begin_farewell(core::milliseconds(bound_ms), {now.mono_us});
}

void Node::carry_out_replication() {
  Replication::Outcome outcome = replication_->take_outcome();
  Persistence::Outcome rest;
  rest.log = std::move(outcome.log);
  rest.fatal = std::move(outcome.fatal);
  rest.time = outcome.time;
  if (outcome.snapshot_wanted && !state_.persistence.snapshot_running)
    state_.persistence.snapshot_wanted = true;
  if (outcome.data_is_void) {
    persistence_.on_data_void();
    rest.snapshot_ended = true;
    digest_.cancel();
    marked_digests_.on_data_void();
    await_digest_.insert(await_digest_.end(), digest_readers_.begin(), digest_readers_.end());
    digest_readers_.clear();
  }
  carry_out(std::move(rest));
  if (outcome.lost_authority) lose_authority();
  if (outcome.gained_authority) {
    state_.clients.for_each(
        [](Client& client) { client.transaction.dirty |= !client.watched.empty(); });
  }
}

// What is under way may or may not last; as after a crash, connections end and drivers look for the
// new primary. A request that only waited was not carried out, and is told so; what is ready to be
// sent still leaves.
void Node::lose_authority() {
  std::size_t uncertain = 0;
  std::size_t count = 0;
  state_.clients.for_each([&](Client& client) {
    ++count;
    if (client.output.sendable_bytes(gate()) != client.output.pending_bytes() || client.awaits()) {
      // What waits in its output must never leave: the indexes it waits for will be others'
      // entries.
      ++uncertain;
      client.fate = Fate::kCloseNow;
      state_.effects.close.push_back({client.id, kAuthorityLost});
      return;
    }
    if (std::exchange(client.held, false) && client.last_command != nullptr) {
      const bool writes = any_of(client, *client.last_command, writes_data);
      refuse(client, client.last_command, writes ? kReadOnlyError : kMasterDownError);
    }
    client.fate = Fate::kCloseAfterReply;
    state_.effects.resume.push_back(client.id);
  });
  if (count > 0) {
    state_.effects.log_lines.push_back({fmt::format(
        "clients closed count={} uncertain={} reason=authority_lost", count, uncertain)});
  }
}

}  // namespace holdfast::node
