// The reply gate: what a reply waits for before it leaves.
#include <algorithm>
#include <utility>

#include "base/planted_fault.hpp"
#include "server/commands/context.hpp"
#include "server/node/command_nature.hpp"
#include "server/node/node.hpp"

namespace holdfast::node {

using client::Client;
using commands::CommandContext;
using commands::CommandSpec;

// By `cluster.reads: quorum`. Of a replica only those are read who want no more than it has.
bool Node::awaits_round(const Client& client, const CommandSpec& spec) const {
  return replication_ != nullptr && state_.options.cluster.reads == config::Reads::kQuorum &&
         replication_->is_primary() && any_of(client, spec, touches_data);
}

// What the reply depends on decides when it leaves: its own entry, what it looked at, and, if
// nothing of its own will show that this is the primary (`reads_by_round`), a round that is sent
// after this turn. `apart`: it lies in a buffer of its own.
void Node::settle(Client& client, const CommandContext& ctx, std::size_t begin, bool apart,
                  bool reads_by_round) {
  const LogIndex own = ctx.mutations_emitted() > 0 ? state_.journal.last_index() : LogIndex{0};
  const LogIndex index = HF_BUG(kReadUncommitted) ? own : std::max(own, ctx.dependency());
  if (apart && index > committed() && !state_.persistence.disk_error.empty()) {
    discarded_.clear();
    if (client.ran->name == "exec") {  // it may have selected a database: no error can undo that
      state_.effects.close.push_back({client.id, "read_uncertain"});
    } else {
      resp::ReplyWriter(client.output, client.version).error(misconfigured());
    }
    return;
  }
  if (apart) discarded_.move_to(client.output);
  resp::GatePoint awaited{index, {}};
  if (reads_by_round && own.value == 0 && !HF_BUG(kReadWithoutRound)) {
    is_round_wanted_ = true;
    awaited.round = {asked_round_.value + 1};
  }
  if (!gate().covers(awaited)) client.output.depend_on(begin, awaited);
}

// One round for all reads of a turn.
void Node::ask_for_round(MonoUs now) {
  if (!std::exchange(is_round_wanted_, false)) return;
  ++asked_round_.value;
  replication_->confirm(asked_round_, {now});
}

}  // namespace holdfast::node
