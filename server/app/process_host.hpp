// ProcessHost answers what commands ask of the world: this process's memory, CPU time and system,
// its limit of open files, and CONFIG REWRITE.
#pragma once

#include <cstdint>
#include <string>

#include "replication/transport/peer_link.hpp"
#include "server/commands/host.hpp"
#include "server/net/server.hpp"

namespace holdfast::app {

// Whole pages; their content is lost, the addresses stay.
void return_to_system(void* begin, std::size_t byte_count);

class ProcessHost : public commands::Host {
 public:
  // `reserved`: descriptors that are not for clients.
  ProcessHost(std::string config_path, const net::NetFigures& net, std::int64_t reserved);
  // `traffic` is looked at from now on, whenever figures are asked for.
  void show(const transport::LinkTraffic& traffic) { traffic_ = &traffic; }

  commands::HostFigures figures() override;
  commands::NetworkCounters network() override;
  MonoUs stopwatch_us() override;
  Result<void> rewrite_config(const config::Options& options) override;
  std::int64_t make_room_for_clients(std::int64_t wanted) override;

 private:
  std::string config_path_;
  const net::NetFigures& net_;
  std::int64_t reserved_;
  const transport::LinkTraffic* traffic_ = nullptr;
};

}  // namespace holdfast::app
