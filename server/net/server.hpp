// Server is the loop: listeners, sessions, timers and the turn around one Node.
//
// A turn: some completions of sockets and timers (bounded in number, bytes and time), requests left
// over from the last turn, one slice of the node's background work, then one gathered write per
// session with output. One thread; `stop` may be called from a handler of its io_context only.
#pragma once

#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "server/commands/host.hpp"
#include "server/net/awake_wait.hpp"
#include "server/net/client_session.hpp"
#include "server/node/node.hpp"
#include "server/node/peer_port.hpp"
#include "server/node/storage_port.hpp"

namespace holdfast::net {

// Figures that only the net knows, for INFO.
using NetFigures = commands::NetworkCounters;

class Server {
 public:
  using Log = std::function<void(const commands::LogLine&)>;

  // `figures` is written by this class and outlives it. `storage` is null if the node does not
  // persist; it has been started.
  // `peers` is null unless the node is a member of a cluster.
  Server(asio::io_context& io, node::Node& node, NetFigures& figures, Log log,
         node::StoragePort* storage, node::PeerPort* peers);
  ~Server();

  // Opens the listeners that the options name. An address with a leading '-' may fail.
  Result<void> listen();
  // Until stop or SHUTDOWN; returns the exit status.
  int run();
  // Storage has something to tell; for the handler that its wake-up posts.
  void on_storage();
  // Hands over if this is a primary with others to take its place (at most for two seconds). Then
  // stops listening, carries out no further request, leaves the data folder clean, sends what is
  // pending (at most for a second) and ends the loop.
  void stop(int exit_status);

  // --- for sessions
  node::Node& node() { return node_; }
  bool stopping() const { return stopping_; }
  // The time of this turn, at most as old as the turn is long.
  MonoUs turn_us() const { return turn_us_; }
  void queue_run(ClientSession& session);
  void queue_flush(ClientSession& session);
  // Has output that waits for the log.
  void queue_for_commit(ClientSession& session);
  // Reads on at the end of the turn.
  void queue_read(ClientSession& session);
  void hold(ClientSession& session);
  void forget(ClientSession& session);
  void count_input(std::size_t bytes);
  void count_busy(MonoUs duration) { busy_us_ += duration; }
  void count_output(std::size_t bytes) {
    figures_.output_bytes += bytes;
    ++figures_.writes;
  }
  void log_closed(const client::Client& client, std::string_view reason);
  // Budgets of one visit to one session.
  std::size_t requests_per_visit() const { return 128; }
  MonoUs visit_us_max() const { return 1000; }
  std::size_t output_bytes_per_visit() const { return 1024 * 1024; }
  // Output below this is never checked against the limits at a flush.
  std::size_t output_bytes_checked() const { return 64 * 1024; }

 private:
  struct Listener;

  Result<void> listen_tcp(const std::string& address, std::uint16_t port);
  Result<void> listen_unix(const std::string& path, std::uint32_t mode);
  void accept(Listener& listener);
  void on_accept(ClientSession::Socket socket, bool unix_socket);
  void turn();
  bool look_awake();
  void end_turn();
  void run_background(const TimePoint& now);
  void hand_over();
  void hand_over_writes();
  void send_to_peers();
  void tick_peers();
  void arm_tick();
  void release_committed();
  void stop_now();
  void run_queued();
  void read_on();
  void flush_queued();
  void apply_effects();
  void arm_timer(const TimePoint& now);
  void sweep();

  asio::io_context& io_;
  node::Node& node_;
  NetFigures& figures_;
  Log log_;
  node::StoragePort* storage_;
  node::PeerPort* peers_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_map<std::uint64_t, std::shared_ptr<ClientSession>> sessions_;
  std::vector<std::shared_ptr<ClientSession>> to_run_;
  std::vector<std::shared_ptr<ClientSession>> to_flush_;
  std::vector<std::shared_ptr<ClientSession>> to_read_;
  std::vector<std::shared_ptr<ClientSession>>
      turn_list_;  // scratch of who goes through one of them
  std::vector<std::shared_ptr<ClientSession>> held_;
  std::vector<std::shared_ptr<ClientSession>> to_commit_;
  AwakeWait awake_wait_;
  resp::GatePoint flushed_gate_;  // as of the last look at to_commit_
  asio::steady_timer expiry_timer_;
  asio::steady_timer sweep_timer_;
  asio::steady_timer tick_timer_;
  MonoUs tick_armed_for_ = 0;     // 0 = not armed
  MonoUs farewell_deadline_ = 0;  // 0 = no hand-over before the end is under way
  UnixMs armed_for_ = 0;          // 0 = not armed
  std::size_t turn_bytes_ = 0;
  std::size_t sweep_part_ = 0;
  MonoUs turn_us_ = 0;
  MonoUs busy_us_ = 0;  // with commands, since the last background work
  bool more_work_ = false;
  bool stopping_ = false;
  MonoUs stop_deadline_ = 0;     // for what is to be sent
  MonoUs storage_deadline_ = 0;  // for what is to be written
  int exit_status_ = 0;
};

}  // namespace holdfast::net
