// What a command does to data, as far as the node must know before it runs.
#pragma once

#include <algorithm>

#include "server/client/client.hpp"
#include "server/commands/spec.hpp"

namespace holdfast::node {

// Redis's words.
inline constexpr std::string_view kLoadingError = "LOADING Redis is loading the dataset in memory";

inline bool writes_data(const commands::CommandSpec& spec) {
  return spec.has(commands::Flag::kWrite) || spec.has(commands::Flag::kMayReplicate);
}

inline bool is_exec(const commands::CommandSpec& spec) {
  return spec.name == "exec";
}

inline bool touches_data(const commands::CommandSpec& spec) {
  return spec.keys.first != 0 || spec.has(commands::Flag::kReadonly) || writes_data(spec);
}

inline bool refused_while_loading(const commands::CommandSpec& spec) {
  return !spec.has(commands::Flag::kLoading);
}

// Of the command, or of any in the transaction that it ends.
template <typename Property>
bool any_of(const client::Client& client, const commands::CommandSpec& spec, Property&& has) {
  if (!is_exec(spec)) return has(spec);
  const auto& queue = client.transaction.queue;
  return std::any_of(queue.begin(), queue.end(), [&](const auto& one) { return has(*one.spec); });
}

}  // namespace holdfast::node
