// Listening sockets: TCP and Unix, as one kind. Part of Server, in files of its own.
#pragma once

#include <asio/basic_socket_acceptor.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <string>

#include "server/net/server.hpp"

namespace holdfast::net {

// Owns the acceptor and, for a Unix socket, the file that goes with it.
struct Server::Listener {
  explicit Listener(asio::io_context& io) : tcp(io), local(io) {}
  ~Listener();

  asio::ip::tcp::acceptor tcp;
  asio::local::stream_protocol::acceptor local;
  std::string unix_path;  // empty: TCP
};

}  // namespace holdfast::net
