#include "server/app/ping_command.hpp"

#include <fmt/format.h>

#include <asio/buffer.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/text.hpp"
#include "config/options/validate.hpp"

namespace holdfast::app {

namespace {

using asio::ip::tcp;
using Endpoint = asio::generic::stream_protocol::endpoint;

// Of all that are asked; below what container engines give a health check.
constexpr std::chrono::milliseconds kAnswerMax{2000};
constexpr std::size_t kLineBytesMax = 512;

// What connects to an address that is listened on: one that stands for all is none to go to.
Result<Endpoint> endpoint_of(asio::io_context& io, const std::string& host, std::int64_t port) {
  std::error_code error;
  const auto found = tcp::resolver(io).resolve(host, std::to_string(port), error);
  if (error) return fail(fmt::format("cannot resolve it: {}", error.message()));
  tcp::endpoint endpoint = found.begin()->endpoint();
  if (endpoint.address().is_unspecified()) {
    if (endpoint.address().is_v4()) {
      endpoint.address(asio::ip::address_v4::loopback());
    } else {
      endpoint.address(asio::ip::address_v6::loopback());
    }
  }
  return Endpoint(endpoint);
}

// The first line that it says.
Result<std::string> ask(asio::io_context& io, const Endpoint& endpoint,
                        std::chrono::steady_clock::time_point deadline) {
  constexpr std::string_view kPing = "PING\r\n";
  asio::generic::stream_protocol::socket socket(io);
  std::string line;
  std::error_code failure = asio::error::timed_out;
  socket.async_connect(endpoint, [&](const std::error_code& no_connection) {
    failure = no_connection;
    if (failure) return;
    failure = asio::error::timed_out;
    asio::async_write(socket, asio::buffer(kPing), [](const std::error_code&, std::size_t) {});
    asio::async_read_until(socket, asio::dynamic_buffer(line, kLineBytesMax), '\n',
                           [&](const std::error_code& error, std::size_t) { failure = error; });
  });
  io.restart();
  io.run_until(deadline);
  std::error_code ignored;
  socket.close(ignored);
  io.restart();
  const std::error_code outcome = failure;
  io.poll();  // what was under way is told that it is not any more
  if (outcome == asio::error::timed_out)
    return fail(fmt::format("no answer within {} ms", kAnswerMax.count()));
  if (outcome == asio::error::eof) return fail("it closes the connection");
  if (outcome) return fail(outcome.message());
  line.resize(line.find_first_of("\r\n"));
  if (!line.starts_with('+') && !line.starts_with('-'))
    return fail(fmt::format("it is no such server: it says \"{}\"", escaped(line)));
  return line;
}

}  // namespace

int run_ping(const config::Options& options) {
  const auto deadline = std::chrono::steady_clock::now() + kAnswerMax;
  asio::io_context io(1);
  std::string failures;
  const auto answers = [&](const std::string& where, const Result<Endpoint>& endpoint) {
    const auto line = endpoint ? ask(io, *endpoint, deadline) : tl::unexpected(endpoint.error());
    if (line) {
      fmt::print("{}: {}\n", where, escaped(*line));
    } else {
      failures += fmt::format("holdfast ping: {}: {}\n", where, line.error().message);
    }
    return line.has_value();
  };

  const bool is_member = !options.cluster.nodes.list.empty();
  const std::int64_t port = is_member ? options.cluster.self().port : options.server.port;
  if (port != 0) {
    for (const std::string& written : options.server.bind) {
      const std::string host = config::bind_host(written);
      if (answers(fmt::format("{} port {}", host, port), endpoint_of(io, host, port))) return 0;
    }
  }
  if (!options.server.unixsocket.empty()) {
    // The server works in its folder.
    const std::string path = std::filesystem::path(options.server.dir) / options.server.unixsocket;
    const bool fits = path.size() < sizeof(sockaddr_un::sun_path);
    if (answers(path, fits ? Result<Endpoint>(asio::local::stream_protocol::endpoint(path))
                           : fail("the path is too long for a socket")))
      return 0;
  }
  fmt::print(stderr, "{}", failures);
  return 1;
}

}  // namespace holdfast::app
