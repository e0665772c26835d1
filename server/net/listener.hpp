// Listening sockets: TCP and Unix, as one kind. Part of Server, in files of its own.
#pragma once

#include <sys/types.h>

#include <asio/basic_socket_acceptor.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <string>

#include "server/net/server.hpp"

namespace holdfast::net {

// Owns the acceptor and, for a Unix socket, the file that goes with it.
struct Server::Listener {
  explicit Listener(asio::io_context& io) : tcp(io), local(io), retry_timer(io) {}
  ~Listener();

  asio::ip::tcp::acceptor tcp;
  asio::local::stream_protocol::acceptor local;
  std::string unix_path;  // empty: TCP
  // Which file was made: another process may have put its own in its place since.
  dev_t device = 0;
  ino_t inode = 0;
  asio::steady_timer retry_timer;
  bool failing = false;  // the last accept failed, and that was logged
};

}  // namespace holdfast::net
