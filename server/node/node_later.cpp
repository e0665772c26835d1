// Replies that come later than their command: SAVE, WAIT, HOLDFAST DIGEST.
#include <algorithm>
#include <string_view>
#include <utility>

#include "server/node/node.hpp"

namespace holdfast::node {

using client::Client;
using client::ReplyMode;

namespace {

constexpr std::string_view kUnblockedError = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

}  // namespace

void Node::await(Client& client) {
  if (client.awaits_replicas) await_replicas_.push_back(client.id);
  if (client.awaits_digest) await_digest_.push_back(client.id);
}

template <typename Answer>
void Node::answer(Client& client, Answer&& write) {
  state_.effects.resume.push_back(client.id);
  if (client.reply_mode != ReplyMode::kOn) return;
  resp::ReplyWriter reply(client.output, client.version);
  write(reply);
}

void Node::answer_waits(MonoUs now) {
  std::erase_if(await_replicas_, [&](ClientId id) {
    Client* client = state_.clients.find(id);
    if (client == nullptr || !client->awaits_replicas) return true;
    const auto awaited = *client->awaits_replicas;
    const std::size_t count = replication_->acknowledged_by(client->last_write);
    using End = Client::AwaitedReplicas::End;
    const bool is_over = count >= awaited.count || (awaited.until != 0 && now >= awaited.until);
    if (!is_over && client->is_blocked()) return false;
    client->awaits_replicas.reset();
    answer(*client, [&](auto& reply) {
      if (awaited.end == End::kAsError) {
        state_.statistics.note_error(kUnblockedError);
        reply.error(kUnblockedError);
      } else {
        reply.integer(static_cast<std::int64_t>(count));
      }
    });
    return true;
  });
}

bool Node::digest_slice(std::size_t units) {
  if (digest_.is_running()) {
    if (digest_.slice(state_.keyspace, units)) return true;
    marked_digests_.on_digest_ended();
    answer_digests();
  }
  if (await_digest_.empty() || state_.persistence.loading || state_.keyspace.snapshot_running())
    return false;
  digest_readers_ = std::exchange(await_digest_, {});
  digest_.begin(state_.keyspace, state_.journal.last_index());
  return true;
}

void Node::answer_digests() {
  for (const ClientId id : std::exchange(digest_readers_, {})) {
    Client* client = state_.clients.find(id);
    if (client == nullptr || !std::exchange(client->awaits_digest, false)) continue;
    answer(*client, [&](auto& reply) { reply.bulk(digest_.json()); });
  }
}

void Node::answer_saves() {
  state_.clients.for_each([this](Client& client) {
    if (!std::exchange(client.awaits_snapshot, false)) return;
    answer(client, [&](auto& reply) {
      if (state_.persistence.last_snapshot_ok) {
        reply.ok();
      } else {
        reply.error("ERR the snapshot could not be saved, the server's log says why");
      }
    });
  });
}

}  // namespace holdfast::node
