// ClientSession moves bytes between one socket and one node::Client: reads into the parser, runs
// requests within the turn's budget, and writes what the reply gate lets through with one gathered
// write per turn.
//
// A session that was active lately keeps its input buffer and waits inside a read, which costs one
// system call per arrival; an idle one gives its buffers back and waits for readiness only. It
// lives as long as one of its asynchronous operations or the server holds it. One thread.
#pragma once

#include <asio/generic/stream_protocol.hpp>
#include <cstddef>
#include <memory>

#include "base/time.hpp"
#include "server/client/client.hpp"

namespace holdfast::net {

class Server;

class ClientSession : public std::enable_shared_from_this<ClientSession> {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  ClientSession(Server& server, Socket socket, client::Client& client);

  void start() { read(); }
  client::Client& client() { return *client_; }
  bool closed() const { return client_ == nullptr; }

  // As after a read: runs, and reads on when all is done.
  void resume();
  // Writes what may leave now. Sessions that could not write all wait for the socket.
  void flush();
  // Once a second: gives idle buffers back, applies timeouts and output limits.
  void sweep(MonoUs now);
  // Closes the socket and forgets the client; the object goes when its last operation has ended.
  void close();

  // Waits for what comes next, unless it does so already.
  void read();

  bool queued_for_run = false;
  bool queued_for_read = false;
  bool queued_for_flush = false;
  bool queued_for_commit = false;

 private:
  enum class Outcome { kDone, kMore, kHeld, kAwaits };

  // Runs requests that are complete in the buffer, within the budgets of one visit.
  Outcome run(std::size_t requests_max);
  void wait_readable();
  void on_read(const std::error_code& error, std::size_t byte_count);
  bool output_too_large(MonoUs now);
  bool peer_has_gone();

  Server& server_;
  Socket socket_;
  client::Client* client_;
  bool reading_ = false;        // a read or a wait for readability is under way
  bool waiting_idle_ = false;   // ... and it is the wait
  bool may_have_more_ = false;  // the last read took as much as it could
  bool waiting_to_write_ = false;
  MonoUs over_soft_limit_since_ = 0;
};

}  // namespace holdfast::net
