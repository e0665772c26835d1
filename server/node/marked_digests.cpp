#include "server/node/marked_digests.hpp"

namespace holdfast::node {

using commands::MarkedDigest;

void MarkedDigests::marker_applied(LogIndex index) {
  auto& marked = state_.marked_digests;
  if (marked.size() == kKept) marked.pop_front();
  marked.emplace_back().index = index;
  if (state_.persistence.loading || state_.keyspace.snapshot_running() || digest_.is_running())
    return;
  marked.back().state = MarkedDigest::State::kRunning;
  digest_.begin(state_.keyspace, index);
}

void MarkedDigests::on_digest_ended() {
  for (MarkedDigest& one : state_.marked_digests) {
    if (one.state != MarkedDigest::State::kRunning) continue;
    one.state = MarkedDigest::State::kTaken;
    one.digest = digest_.text();
    one.keys = digest_.keys();
  }
}

}  // namespace holdfast::node
