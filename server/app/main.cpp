// holdfast: reads the configuration, wires the rooms together and runs the loop.
//
// Exit status: 0 after SIGTERM, SIGINT or SHUTDOWN; 1 if the server could not start or run; 2 for a
// wrong configuration. Those of `holdfast check` and `ping`: see theirs.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <random>

#include "config/loader/loader.hpp"
#include "config/options/validate.hpp"
#include "replication/log/durable_record.hpp"
#include "server/app/check_command.hpp"
#include "server/app/descriptors.hpp"
#include "server/app/log_port.hpp"
#include "server/app/peers.hpp"
#include "server/app/ping_command.hpp"
#include "server/app/process_host.hpp"
#include "server/net/clock.hpp"
#include "server/net/server.hpp"
#include "server/node/node.hpp"

namespace holdfast::app {
namespace {

constexpr std::size_t kLogQueueLines = 8192;
constexpr unsigned kLogEndSecondsMax = 2;
constexpr std::chrono::seconds kLogThreadEndMax{5};

spdlog::level::level_enum log_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::kDebug:
    case config::LogLevel::kVerbose:
      return spdlog::level::debug;
    case config::LogLevel::kNotice:
      return spdlog::level::info;
    case config::LogLevel::kWarning:
      return spdlog::level::warn;
  }
  return spdlog::level::info;
}

Result<void> start_log(const config::LogOptions& options) {
  if (!options.file.empty()) {
    // spdlog would make folders for a path that was mistyped.
    const int file = open(options.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) {
      return fail(fmt::format("log.file: cannot write {}: {}", options.file, std::strerror(errno)));
    }
    close(file);
  }
  try {
    spdlog::init_thread_pool(kLogQueueLines, 1);
    const auto logger =
        options.file.empty()
            ? spdlog::create_async_nb<spdlog::sinks::stderr_sink_mt>("holdfast")
            : spdlog::create_async_nb<spdlog::sinks::basic_file_sink_mt>("holdfast", options.file);
    spdlog::set_default_logger(logger);
    spdlog::set_level(log_level(options.level));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    spdlog::flush_on(spdlog::level::info);
  } catch (const spdlog::spdlog_ex& error) {
    return fail(fmt::format("log.file: cannot write {}: {}", options.file, error.what()));
  }
  return {};
}

void fit_descriptors(config::Options& options) {
  const std::int64_t wanted = options.server.maxclients;
  const std::int64_t reserved = reserved_descriptors(options.cluster);
  options.server.maxclients = make_room_for_clients(wanted, reserved);
  if (options.server.maxclients == wanted) return;
  spdlog::warn(
      "maxclients lowered to={} reason=\"the process may open too few files, of which {} are not "
      "for clients; raise ulimit -n to {}\"",
      options.server.maxclients, reserved, wanted + reserved);
}

std::uint64_t random_word(std::random_device& device) {
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

// A server that was started without standard streams must not hand their numbers to its sockets:
// the log would go to a client.
void fill_standard_streams() {
  for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
    if (fd <= STDERR_FILENO) continue;
    close(fd);
    return;
  }
}

// Writes what the log still holds. Whoever reads the log may have stopped reading: that must not
// keep the process.
void end_log(int status) {
  static int exit_status = 0;
  exit_status = status;
  std::signal(SIGALRM, [](int) { _exit(exit_status); });
  alarm(kLogEndSecondsMax);
  spdlog::shutdown();
  alarm(0);
}

// REQUIRES: no other thread takes signals. (One that looks up a peer's name may go on until exit.)
void block_stop_signals() {
  sigset_t stopping;
  sigemptyset(&stopping);
  sigaddset(&stopping, SIGTERM);
  sigaddset(&stopping, SIGINT);
  sigprocmask(SIG_BLOCK, &stopping, nullptr);
}

int serve(config::LoadOutcome loaded) {
  if (const auto started = start_log(loaded.options.log); !started.has_value()) {
    fmt::print(stderr, "holdfast: {}\n", started.error().message);
    return 1;
  }
  for (const std::string& warning : config::warnings(loaded.options)) spdlog::warn("{}", warning);
  const config::ClusterOptions cluster = loaded.options.cluster;
  const bool is_member = !cluster.nodes.list.empty();
  if (is_member) loaded.options.server.port = cluster.self().port;
  fit_descriptors(loaded.options);
  if (chdir(loaded.options.server.dir.c_str()) != 0) {
    fmt::print(stderr, "holdfast: server.dir: cannot enter {}: {}\n", loaded.options.server.dir,
               std::strerror(errno));
    return 1;
  }

  // A later start with persistence would claim what this folder once knew.
  if (is_member && !loaded.options.persistence.enabled &&
      access(std::string(log::kDurableRecordName).c_str(), F_OK) == 0) {
    fmt::print(stderr,
               "holdfast: persistence is off, and {} holds data of a server: move it away if "
               "this member is to go on without it (it fetches everything from the others), or use "
               "another server.dir\n",
               loaded.options.server.dir);
    return 1;
  }

  std::random_device device;
  const std::uint64_t seed = random_word(device);
  const std::string run_id =
      fmt::format("{:016x}{:016x}{:08x}", random_word(device), random_word(device), device());
  auto storage = storage_options(loaded.options);
  if (!storage) {
    fmt::print(stderr, "holdfast: {}\n", storage.error().message);
    return 2;
  }
  net::NetFigures figures;
  ProcessHost host(loaded.config_path, figures, reserved_descriptors(cluster));
  auto files = storage_files(loaded.options, *storage);
  asio::io_context io(1);
  node::Node node(std::move(loaded.options), seed, run_id, net::sample_clocks(), host);
  node.state().keyspace.set_return_to_system(return_to_system);
  // The wake-up is posted before there is a server only if nothing runs the loop yet.
  net::Server* loop = nullptr;
  std::unique_ptr<LogPort> log_port;
  if (node.has_storage()) {
    log_port = std::make_unique<LogPort>(std::move(files), std::move(*storage),
                                         [&] { asio::post(io, [&] { loop->on_storage(); }); });
  }
  std::optional<Peers> peers;
  if (is_member) {
    peers.emplace(
        io, node.options(), node,
        [](config::LogLevel level, const std::string& text) {
          spdlog::log(log_level(level), "{}", text);
        },
        [&] { return log_port != nullptr && log_port->writes_now(); });
    host.show(peers->traffic());
  }
  net::Server server(
      io, node, figures,
      [](const commands::LogLine& line) { spdlog::log(log_level(line.level), "{}", line.text); },
      log_port.get(), is_member ? &*peers : nullptr);
  loop = &server;

  spdlog::info("starting version={} pid={}", HOLDFAST_VERSION, getpid());
  if (const auto listening = server.listen(); !listening.has_value()) {
    spdlog::error("start failed: {}", listening.error().message);
    return 1;
  }
  if (peers) {
    if (const auto started = peers->start(); !started.has_value()) {
      spdlog::error("start failed: {}", started.error().message);
      return 1;
    }
  }
  if (!node.has_storage()) {
    spdlog::warn(
        "data is kept in memory only: it is gone when this process ends (persistence.enabled is "
        "no)");
  }
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const std::error_code& error, int number) {
    if (error) return;
    spdlog::info("stopping signal={}", number == SIGTERM ? "SIGTERM" : "SIGINT");
    server.stop(0);
  });
  spdlog::info("ready");
  int status = server.run();
  if (peers) peers->stop();
  if (log_port != nullptr && !log_port->stop(kLogThreadEndMax)) {
    spdlog::error("the disk does not answer: the data folder is left as it is");
    status = 1;
    spdlog::shutdown();
    _exit(status);  // the log thread still works on what this function owns
  }
  spdlog::info("stopped status={}", status);
  // From here on a second signal would find no handler and end the process as if it had failed.
  end_log(status);
  block_stop_signals();
  return status;
}

}  // namespace
}  // namespace holdfast::app

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a log or a client that has gone
  std::signal(SIGHUP, SIG_IGN);   // as in Redis: a terminal that has gone is no reason to end
  holdfast::app::fill_standard_streams();
  auto loaded = holdfast::config::load(argc, argv, environ);
  if (!loaded.has_value()) {
    fmt::print(stderr, "holdfast: {}\n", loaded.error().message);
    return 2;
  }
  if (loaded->exit_text.has_value()) {
    fmt::print("{}", *loaded->exit_text);
    return 0;
  }
  if (loaded->check.has_value())
    return holdfast::app::run_check(loaded->options, loaded->check->repair);
  if (loaded->is_ping) return holdfast::app::run_ping(loaded->options);
  const int status = holdfast::app::serve(std::move(*loaded));
  holdfast::app::end_log(status);
  return status;
}
