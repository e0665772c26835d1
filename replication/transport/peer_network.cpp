#include "replication/transport/peer_network.hpp"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.hpp"
#include "base/text.hpp"
#include "config/options/validate.hpp"
#include "replication/transport/boot_clock.hpp"

namespace holdfast::transport {

using config::LogLevel;

namespace {

// A link that lasted so long was a good one: the next dial is as quick as the first.
constexpr core::Duration kGoodLinkMin = core::milliseconds(1000);
// The same failure of the same peer is logged so often.
constexpr core::Duration kRepeatAfter = core::milliseconds(30'000);

Nonce new_nonce() {
  Nonce nonce;
  HF_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(nonce.data()),
                      static_cast<int>(nonce.size())) == 1);
  return nonce;
}

std::uint64_t new_seed() {
  std::uint64_t seed = 0;
  HF_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&seed), sizeof seed) == 1);
  return seed;
}

}  // namespace

PeerNetwork::PeerNetwork(asio::io_context& io, PeerNetworkOptions options, PeerObserver& observer,
                         Log log)
    : io_(io), options_(std::move(options)), observer_(observer), log_(std::move(log)) {
  const std::size_t member_count = options_.membership.names.size();
  HF_CHECK(options_.addresses.size() == member_count);
  peers_.resize(member_count);
  for (std::uint64_t id = self().value + 1; id <= member_count; ++id) {
    peer({id}).dialler = std::make_shared<PeerDialler>(
        io_, NodeId{id}, options_.addresses[id - 1], options_.membership.secret.empty(), new_seed(),
        options_.resolve, static_cast<PeerDialler::Holder&>(*this));
  }
  listener_ = std::make_shared<PeerListener>(
      io_, [this](asio::ip::tcp::socket socket) { on_accepted(std::move(socket)); },
      [this](const std::string& reason) {
        log_(LogLevel::kWarning, fmt::format("peer accept failed reason=\"{}\"", reason));
      });
}

PeerNetwork::~PeerNetwork() {
  stop();
}

Result<void> PeerNetwork::listen() {
  const PeerAddress& own = options_.addresses[self().value - 1];
  if (options_.membership.secret.empty() && !config::is_loopback(own.host)) {
    return fail(
        fmt::format("other machines can reach the peer port of {}, but there is no cluster "
                    "secret; set cluster.secret_file or HOLDFAST_CLUSTER_SECRET",
                    own.host));
  }
  if (auto listening = listener_->listen(own.host, own.port); !listening) return listening;
  log_(LogLevel::kNotice,
       fmt::format("listening for peers address={}", endpoint_text(listener_->endpoint())));
  return {};
}

void PeerNetwork::dial() {
  for (Peer& one : peers_) {
    if (one.dialler != nullptr) one.dialler->dial();
  }
}

bool PeerNetwork::send(NodeId to, const wire::Message& message) {
  HF_CHECK(to.value >= 1 && to.value <= peers_.size());
  const auto& link = peer(to).link;
  if (link == nullptr || !link->is_open()) return false;
  link->send(message);
  return true;
}

void PeerNetwork::flush() {
  for (Peer& one : peers_) {
    if (one.link != nullptr) one.link->flush();
  }
}

bool PeerNetwork::drain() {
  bool is_drained = true;
  for (Peer& one : peers_) {
    if (one.link != nullptr) is_drained = one.link->drain() && is_drained;
  }
  return is_drained;
}

void PeerNetwork::set_address(NodeId id, PeerAddress address) {
  if (peer(id).dialler != nullptr) peer(id).dialler->set_address(address);
  options_.addresses[id.value - 1] = std::move(address);
}

void PeerNetwork::stop() {
  if (std::exchange(is_stopped_, true)) return;
  listener_->stop();
  const std::lock_guard lock(links_);
  for (Peer& one : peers_) {
    if (one.dialler != nullptr) one.dialler->stop();
    if (one.link != nullptr) one.link->close();
    one.link = nullptr;
  }
  for (const Candidate& candidate : candidates_) candidate.link->close();
  candidates_.clear();
}

std::vector<PeerState> PeerNetwork::peers() const {
  std::vector<PeerState> states;
  for (std::uint64_t id = 1; id <= peers_.size(); ++id) {
    if (NodeId{id} == self()) continue;
    const Peer& one = peers_[id - 1];
    PeerState& state = states.emplace_back();
    state.id = {id};
    state.name = name_of({id});
    state.last_failure = one.last_failure;
    if (one.link == nullptr || !one.link->is_open()) continue;
    state.is_connected = true;
    state.address = one.link->remote();
    state.queued_bytes = one.link->queued_bytes();
  }
  return states;
}

void PeerNetwork::on_accepted(asio::ip::tcp::socket socket) {
  std::error_code gone;
  const asio::ip::address source = socket.remote_endpoint(gone).address();
  const auto came = [](const Candidate& one) { return one.dialled.value == 0; };
  const auto count = std::count_if(candidates_.begin(), candidates_.end(), came);
  if (static_cast<std::size_t>(count) >= options_.handshakes_max) drop_candidate(source);
  begin_handshake(std::move(socket),
                  Handshake::accept(options_.membership, new_nonce(), options_.versions), NodeId{},
                  source);
}

// Of the address that has the most of those who came, `newcomer` counted, the oldest goes: who
// crowds the door crowds out himself. Honest peers are through in a moment, so the oldest is the
// likeliest to be none.
void PeerNetwork::drop_candidate(const asio::ip::address& newcomer) {
  std::map<asio::ip::address, std::size_t> counts{{newcomer, 1}};
  for (const Candidate& one : candidates_)
    if (one.dialled.value == 0) ++counts[one.source];
  auto chosen = candidates_.end();
  for (auto one = candidates_.begin(); one != candidates_.end(); ++one) {
    if (one->dialled.value != 0) continue;
    if (chosen == candidates_.end() || counts[one->source] > counts[chosen->source]) chosen = one;
  }
  if (chosen == candidates_.end()) return;
  log_limited(strangers_, fmt::format("peer dropped address={} reason=too_many_handshakes",
                                      chosen->link->remote()));
  chosen->link->close();
  candidates_.erase(chosen);
}

void PeerNetwork::say_aside(std::string_view frame) {
  const std::lock_guard lock(links_);
  for (const Peer& one : peers_)
    if (one.link != nullptr) one.link->say_aside(frame);
}

void PeerNetwork::on_dialled(NodeId id, asio::ip::tcp::socket socket) {
  begin_handshake(std::move(socket),
                  Handshake::dial(options_.membership, id, new_nonce(), options_.versions), id);
}

void PeerNetwork::begin_handshake(asio::ip::tcp::socket socket, Handshake handshake, NodeId dialled,
                                  const asio::ip::address& source) {
  auto link = std::make_shared<PeerLink>(std::move(socket), std::move(handshake), options_.limits,
                                         static_cast<PeerLink::Holder&>(*this), traffic_);
  candidates_.push_back({link, dialled, source});
  link->start();
}

void PeerNetwork::on_authenticated(PeerLink& link) {
  const NodeId id = link.handshake().peer().node;
  std::erase_if(candidates_, [&](const Candidate& one) { return one.link.get() == &link; });
  Peer& one = peer(id);
  const core::MonoTime now = boot_time();
  std::shared_ptr<PeerLink> displaced = link.shared_from_this();
  {
    const std::lock_guard lock(links_);
    std::swap(one.link, displaced);
  }
  one.linked_at = now;
  one.last_failure.clear();
  one.logged_at = core::kLongAgo;
  if (displaced != nullptr) {
    displaced->close();
    log_(LogLevel::kWarning, fmt::format("peer lost node={} name={} reason=displaced_by_new_link",
                                         id.value, name_of(id)));
    observer_.on_lost(id, now);
  }
  log_(LogLevel::kNotice,
       fmt::format("peer connected node={} name={} address={} side={}", id.value, name_of(id),
                   link.remote(), link.handshake().is_dialler() ? "dialler" : "acceptor"));
  if (link.is_open()) observer_.on_connected(id, now);
}

void PeerNetwork::on_message(PeerLink& link, wire::Message message, core::MonoTime now) {
  observer_.on_received(link.handshake().peer().node, std::move(message), now);
}

void PeerNetwork::on_failed(PeerLink& link, const std::string& reason) {
  const auto candidate =
      std::find_if(candidates_.begin(), candidates_.end(),
                   [&](const Candidate& one) { return one.link.get() == &link; });
  if (candidate != candidates_.end()) {
    const Candidate failed = std::move(*candidate);
    candidates_.erase(candidate);
    return on_handshake_failed(failed, reason);
  }
  const NodeId id = link.handshake().peer().node;
  Peer& one = peer(id);
  HF_CHECK(one.link.get() == &link);  // a displaced one was closed, and says nothing
  const core::MonoTime now = boot_time();
  {
    const std::lock_guard lock(links_);
    one.link = nullptr;
  }
  one.last_failure = reason;
  log_(LogLevel::kWarning,
       fmt::format("peer lost node={} name={} {}", id.value, name_of(id), reason));
  if (one.dialler != nullptr) one.dialler->dial_again(now - one.linked_at >= kGoodLinkMin);
  observer_.on_lost(id, now);
}

void PeerNetwork::on_handshake_failed(const Candidate& candidate, const std::string& reason) {
  const Identity& claimed = candidate.link->handshake().peer();
  std::string line = fmt::format("peer refused address={} ", candidate.link->remote());
  if (!claimed.node_name.empty()) {
    line += fmt::format("claims=\"{}\" cluster=\"{}\" ", escaped(claimed.node_name),
                        escaped(claimed.cluster_name));
  }
  line += reason;
  if (candidate.dialled.value == 0) return log_limited(strangers_, line);
  log_dial(candidate.dialled, reason,
           fmt::format("{} dialled={}", line, name_of(candidate.dialled)));
  peer(candidate.dialled).dialler->dial_again(false);
}

void PeerNetwork::on_dial_failed(NodeId id, const std::string& reason) {
  const PeerAddress& address = options_.addresses[id.value - 1];
  log_dial(id, reason,
           fmt::format("peer not reached node={} name={} address={}:{} reason=\"{}\"", id.value,
                       name_of(id), address.host, address.port, reason));
}

void PeerNetwork::on_lookup_slow(NodeId id, bool has_addresses) {
  if (!has_addresses) peer(id).last_failure = "the lookup of its name takes long";
  log_limited(
      slow_lookups_,
      fmt::format("peer lookup slow node={} name={} host={} reason=\"no answer within {} ms: "
                  "see to the name servers, or give addresses in cluster.nodes\" dials={}",
                  id.value, name_of(id), options_.addresses[id.value - 1].host,
                  PeerDialler::kLookupMax.count(),
                  has_addresses ? "last_known_addresses" : "nothing_yet"));
}

void PeerNetwork::log_dial(NodeId id, const std::string& reason, const std::string& line) {
  Peer& one = peer(id);
  const core::MonoTime now = boot_time();
  if (one.last_failure == reason && now - one.logged_at < kRepeatAfter) return;
  one.last_failure = reason;
  one.logged_at = now;
  log_(LogLevel::kWarning, line);
}

void PeerNetwork::log_limited(LineLimit& limit, const std::string& line) {
  const auto left_out = limit.admit(boot_time());
  if (!left_out) return;
  log_(LogLevel::kWarning,
       *left_out == 0 ? line : fmt::format("{} lines_left_out={}", line, *left_out));
}

}  // namespace holdfast::transport
