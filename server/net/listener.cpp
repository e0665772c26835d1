#include "server/net/listener.hpp"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <asio/ip/v6_only.hpp>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "config/options/validate.hpp"
#include "server/net/clock.hpp"

namespace holdfast::net {

namespace {

constexpr std::string_view kTooManyClients = "-ERR max number of clients reached\r\n";

template <typename Endpoint>
std::string endpoint_text(const Endpoint& endpoint) {
  const auto address = endpoint.address();
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), endpoint.port())
                         : fmt::format("{}:{}", address.to_string(), endpoint.port());
}

// "[::1]:50412" or "127.0.0.1:50412" from a generic endpoint.
std::string address_text(const asio::generic::stream_protocol::endpoint& endpoint) {
  if (endpoint.protocol().family() != AF_INET && endpoint.protocol().family() != AF_INET6)
    return {};
  asio::ip::tcp::endpoint tcp;
  if (endpoint.size() > tcp.capacity()) return {};
  std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
  tcp.resize(endpoint.size());
  return endpoint_text(tcp);
}

void set_option(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof(value));  // best effort: a refused one costs no data
}

// As Redis: probes begin after `keepalive_s`, then three at a third of it.
void prepare_tcp(int fd, std::int64_t keepalive_s) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (keepalive_s <= 0) return;
  const auto idle = static_cast<int>(keepalive_s);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(idle / 3, 1));
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  // A peer that vanished without a reset must not hold unsent replies for a quarter of an hour.
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 2 * idle * 1000);
}

}  // namespace

Server::Listener::~Listener() {
  struct stat status {};
  if (unix_path.empty() || lstat(unix_path.c_str(), &status) != 0) return;
  if (status.st_dev == device && status.st_ino == inode) unlink(unix_path.c_str());
}

Result<void> Server::listen() {
  const config::ServerOptions& options = node_.options().server;
  if (options.port != 0) {
    for (const std::string& written : options.bind) {
      const bool optional = written.starts_with('-');
      const auto outcome = listen_tcp(optional ? written.substr(1) : written,
                                      static_cast<std::uint16_t>(options.port));
      if (outcome.has_value()) continue;
      if (!optional) return outcome;
      log_({fmt::format("listen skipped address={} reason=\"{}\"", written,
                        outcome.error().message)});
    }
  }
  if (!options.unixsocket.empty()) {
    const auto outcome = listen_unix(options.unixsocket, options.unixsocketperm.bits);
    if (!outcome.has_value()) return outcome;
  }
  if (listeners_.empty())
    return fail("nothing to listen on: set server.port and server.bind, or server.unixsocket");
  for (const auto& listener : listeners_) accept(*listener);
  return {};
}

Result<void> Server::listen_tcp(const std::string& address, std::uint16_t port) {
  std::error_code error;
  const std::string host = config::bind_host(address);
  asio::ip::tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(host, std::to_string(port), asio::ip::resolver_base::passive, error);
  if (error)
    return fail(
        fmt::format("cannot resolve the address {} of server.bind: {}", address, error.message()));
  const asio::ip::tcp::endpoint endpoint = found.begin()->endpoint();
  auto listener = std::make_unique<Listener>(io_);
  auto& acceptor = listener->tcp;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(static_cast<int>(node_.options().server.tcp_backlog), error);
  if (!error) acceptor.non_blocking(true, error);
  if (error) {
    return fail(fmt::format(
        "cannot listen on {}: {} (is another server running there? choose another with --port)",
        endpoint_text(endpoint), error.message()));
  }
  listeners_.push_back(std::move(listener));
  log_({fmt::format("listening address={}", endpoint_text(endpoint))});
  return {};
}

Result<void> Server::listen_unix(const std::string& path, std::uint32_t mode) {
  std::error_code error;
  auto listener = std::make_unique<Listener>(io_);
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(fmt::format("server.unixsocket: the path {} is too long (at most {} bytes)", path,
                            sizeof(sockaddr_un::sun_path) - 1));
  }
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      return fail(fmt::format(
          "server.unixsocket: {} exists and is not a socket; remove it or name another path",
          path));
    }
    // What a killed server left behind refuses; what answers belongs to somebody.
    asio::local::stream_protocol::socket probe(io_);
    probe.connect(asio::local::stream_protocol::endpoint(path), error);
    if (!error) {
      return fail(
          fmt::format("cannot listen on the Unix socket {}: another server listens there", path));
    }
    error.clear();
    unlink(path.c_str());
  }
  auto& acceptor = listener->local;
  acceptor.open({}, error);
  if (!error) acceptor.bind(asio::local::stream_protocol::endpoint(path), error);
  if (!error) {
    listener->unix_path = path;
    if (lstat(path.c_str(), &status) == 0) {
      listener->device = status.st_dev;
      listener->inode = status.st_ino;
    }
    if (mode != 0 && chmod(path.c_str(), mode) != 0) {
      return fail(fmt::format("cannot set the permissions of {}: {}", path, std::strerror(errno)));
    }
    acceptor.listen(static_cast<int>(node_.options().server.tcp_backlog), error);
  }
  if (!error) acceptor.non_blocking(true, error);
  if (error)
    return fail(fmt::format("cannot listen on the Unix socket {}: {}", path, error.message()));
  listeners_.push_back(std::move(listener));
  log_({fmt::format("listening unixsocket={}", path)});
  return {};
}

void Server::accept(Listener& listener) {
  const auto handler = [this, &listener](const std::error_code& error, auto socket) {
    // When stopping, the listener is gone, also for an accept that had succeeded before.
    if (stopping_ || error == asio::error::operation_aborted) return;
    if (error && error != asio::error::connection_aborted) {
      // No descriptors, mostly. Waiting clients stay in the backlog; trying again at once would
      // spin.
      if (!std::exchange(listener.failing, true))
        log_({fmt::format("accept failed reason=\"{}\"", error.message()),
              config::LogLevel::kWarning});
      listener.retry_timer.expires_after(std::chrono::milliseconds(100));
      listener.retry_timer.async_wait([this, &listener](const std::error_code& cancelled) {
        if (!cancelled && !stopping_) accept(listener);
      });
      return;
    }
    listener.failing = false;
    const bool unix_socket = !listener.unix_path.empty();
    if (!error) on_accept(ClientSession::Socket(std::move(socket)), unix_socket);
    accept(listener);
  };
  if (listener.unix_path.empty()) {
    listener.tcp.async_accept(handler);
  } else {
    listener.local.async_accept(handler);
  }
}

void Server::on_accept(ClientSession::Socket socket, bool unix_socket) {
  ++figures_.connections_received;
  std::error_code failed;
  socket.non_blocking(true, failed);
  if (failed) return;
  if (static_cast<std::int64_t>(sessions_.size()) >= node_.options().server.maxclients) {
    ++figures_.connections_rejected;
    socket.send(asio::buffer(kTooManyClients.data(), kTooManyClients.size()), 0, failed);
    return;
  }
  client::ConnectionInfo info;
  info.file_descriptor = socket.native_handle();
  info.unix_socket = unix_socket;
  if (unix_socket) {
    info.peer_address = node_.options().server.unixsocket + ":0";
    info.local_address = info.peer_address;
  } else {
    const auto peer = socket.remote_endpoint(failed);
    if (failed) return;  // gone already
    info.peer_address = address_text(peer);
    info.local_address = address_text(socket.local_endpoint(failed));
    prepare_tcp(socket.native_handle(), node_.options().server.tcp_keepalive_s);
  }
  client::Client& client = node_.connect(std::move(info), sample_clocks());
  auto session = std::make_shared<ClientSession>(*this, std::move(socket), client);
  sessions_[client.id.value] = session;
  session->start();
}

}  // namespace holdfast::net
