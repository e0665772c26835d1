#include "config/options/validate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "config/options/validate_cluster.hpp"

namespace holdfast::config {

std::string bind_host(std::string_view address) {
  if (address.starts_with('-')) address.remove_prefix(1);
  if (address == "*") return "0.0.0.0";
  if (address == "::*") return "::";
  return std::string(address);
}

bool is_loopback(std::string_view address) {
  if (address.starts_with('-')) address.remove_prefix(1);
  if (equals_ignoring_case(address, "localhost") || address == "::1") return true;
  // 127.0.0.0/8, also as IPv6; a name such as 127.example.com is not an address.
  if (address.starts_with("::ffff:")) address.remove_prefix(7);
  return address.starts_with("127.") &&
         address.find_first_not_of("0123456789.") == std::string_view::npos;
}

tl::expected<void, Violation> validate(const Options& options) {
  const auto& server = options.server;
  if (server.port == 0 && server.unixsocket.empty()) {
    return tl::unexpected(Violation{
        "server.port",
        "0 turns TCP off, but no server.unixsocket is given either: nobody could connect"});
  }
  if (server.port != 0 && server.bind.empty()) {
    return tl::unexpected(Violation{
        "server.bind",
        "no address to listen on; name at least one, or turn TCP off with server.port 0"});
  }
  const auto exposed = std::find_if_not(server.bind.begin(), server.bind.end(), is_loopback);
  if (server.port != 0 && exposed != server.bind.end() && options.security.requirepass.empty() &&
      !options.security.allow_insecure_bind) {
    return tl::unexpected(
        Violation{"server.bind",
                  "other machines can reach '" + *exposed +
                      "', but no password is set; set security.requirepass (or "
                      "security.requirepass_file), or "
                      "security.allow_insecure_bind: yes if the network is closed to strangers"});
  }
  return validate_cluster(options.cluster);
}

namespace {

// What of the server's own options does not go with the member's entry.
void warn_of_entry(const Options& options, std::vector<std::string>& warnings) {
  const ClusterNode& self = options.cluster.self();
  const ServerOptions& server = options.server;
  if (server.port != self.port && server.port != ServerOptions{}.port) {
    warnings.push_back(
        fmt::format("server.port {} is not used: cluster.nodes says that '{}' "
                    "listens for clients on port {}",
                    server.port, self.name, self.port));
  }
  if (!is_loopback(self.host) && std::all_of(server.bind.begin(), server.bind.end(), is_loopback)) {
    warnings.push_back(
        fmt::format("clients of other machines cannot connect: cluster.nodes says "
                    "that '{}' is reached at {}, but server.bind has only "
                    "addresses of this machine; add one to it",
                    self.name, self.host));
  }
}

void warn_of_memory_only(const ClusterOptions& cluster, std::vector<std::string>& warnings) {
  warnings.emplace_back(
      "data is kept in memory only (persistence.enabled is no): after each restart this member is "
      "empty, takes part once it has reached all other members and fetches everything from the "
      "primary; what only members in memory held is lost when a majority of the cluster restarts "
      "at once");
  if (!cluster.bootstrap) {
    warnings.emplace_back(
        "cluster.bootstrap is no: when all members have restarted without data, they wait until "
        "each is started with cluster.bootstrap: yes");
  }
}

}  // namespace

std::vector<std::string> warnings(const Options& options) {
  std::vector<std::string> warnings = cluster_warnings(options.cluster);
  if (options.cluster.nodes.list.empty()) return warnings;
  warn_of_entry(options, warnings);
  if (!options.persistence.enabled) warn_of_memory_only(options.cluster, warnings);
  return warnings;
}

}  // namespace holdfast::config
