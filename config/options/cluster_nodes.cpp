#include "config/options/cluster_nodes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace holdfast::config {

namespace {

constexpr std::string_view kSeparators = " ,\t\r\n";
constexpr std::int64_t kPortMax = 65535;
constexpr std::size_t kHostBytesMax = 253;

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// Cuts `text` at the first `separator`; all of it if there is none.
std::string_view cut(std::string_view& text, char separator) {
  const std::size_t at = std::min(text.find(separator), text.size());
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return front;
}

Result<ClusterNode> parse_node(const std::string_view text) {
  const auto malformed = [&] {
    return fail(fmt::format("'{}' is not name=host:port:peer_port[:zone]", escaped(text)));
  };
  ClusterNode node;
  std::string_view rest = text;
  if (rest.find('=') == std::string_view::npos) return malformed();
  node.name = cut(rest, '=');
  if (rest.starts_with('[')) {
    rest.remove_prefix(1);
    if (rest.find(']') == std::string_view::npos) return malformed();
    node.host = cut(rest, ']');
    if (!rest.starts_with(':')) return malformed();
    rest.remove_prefix(1);
  } else {
    node.host = cut(rest, ':');
  }
  const auto port = parse_int(cut(rest, ':'));
  const auto peer_port = parse_int(cut(rest, ':'));
  if (!port || !peer_port || rest.find(':') != std::string_view::npos) return malformed();
  node.port = *port;
  node.peer_port = *peer_port;
  node.zone = rest;
  if (auto good = check_cluster_node(node); !good) return tl::unexpected(good.error());
  return node;
}

}  // namespace

bool is_cluster_name(std::string_view text) {
  return !text.empty() && text.size() <= kClusterNameBytesMax &&
         std::all_of(text.begin(), text.end(), is_word_character);
}

Result<void> check_cluster_node(const ClusterNode& node) {
  const auto complain = [&](std::string_view what) {
    return fail(fmt::format("node '{}': {}", escaped(node.name), what));
  };
  if (!is_cluster_name(node.name)) {
    return complain(
        fmt::format("a name has 1 to {} letters, digits, '.', '_' or '-'", kClusterNameBytesMax));
  }
  const auto in_host = [](char c) { return is_word_character(c) || c == ':' || c == '%'; };
  if (node.host.empty() || node.host.size() > kHostBytesMax ||
      !std::all_of(node.host.begin(), node.host.end(), in_host)) {
    return complain(fmt::format("host '{}' is neither a name nor an address", escaped(node.host)));
  }
  for (const std::int64_t port : {node.port, node.peer_port}) {
    if (port < 1 || port > kPortMax)
      return complain(fmt::format("port {} is not from 1 to {}", port, kPortMax));
  }
  if (node.port == node.peer_port)
    return complain(fmt::format("port and peer_port are both {}", node.port));
  if (!node.zone.empty() && !is_cluster_name(node.zone)) {
    return complain(
        fmt::format("a zone has up to {} letters, digits, '.', '_' or '-'", kClusterNameBytesMax));
  }
  return {};
}

Result<ClusterNodes> parse_cluster_nodes(std::string_view text) {
  ClusterNodes nodes;
  while (true) {
    const std::size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return nodes;
    text.remove_prefix(begin);
    const std::size_t length = std::min(text.find_first_of(kSeparators), text.size());
    auto node = parse_node(text.substr(0, length));
    if (!node) return tl::unexpected(node.error());
    nodes.list.push_back(std::move(*node));
    text.remove_prefix(length);
  }
}

std::string format_cluster_node(const ClusterNode& node) {
  const bool is_bracketed = node.host.find(':') != std::string::npos;
  return fmt::format("{}={}{}{}:{}:{}{}{}", node.name, is_bracketed ? "[" : "", node.host,
                     is_bracketed ? "]" : "", node.port, node.peer_port,
                     node.zone.empty() ? "" : ":", node.zone);
}

std::string format_cluster_nodes(const ClusterNodes& nodes) {
  std::string text;
  for (const ClusterNode& node : nodes.list)
    text += (text.empty() ? "" : ",") + format_cluster_node(node);
  return text;
}

}  // namespace holdfast::config
