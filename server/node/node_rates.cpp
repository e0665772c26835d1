// What INFO shows of the last second.
#include "server/node/node.hpp"

namespace holdfast::node {

namespace {
constexpr MonoUs kRateIntervalUs = 1'000'000;
}  // namespace

void Node::update_rates(const TimePoint& now) {
  const MonoUs passed = now.mono_us - rate_sampled_us_;
  if (passed < kRateIntervalUs) return;
  auto& statistics = state_.statistics;
  const commands::NetworkCounters network = state_.host.network();
  if (rate_sampled_us_ != 0 && statistics.commands_processed >= rate_sampled_commands_) {
    const double seconds = static_cast<double>(passed) / 1e6;
    const auto each_second = [&](std::uint64_t now_counted, std::uint64_t before) {
      return static_cast<double>(now_counted - before) / seconds;
    };
    const commands::NetworkCounters& last = rate_sampled_network_;
    statistics.operations_per_second = static_cast<std::uint64_t>(
        each_second(statistics.commands_processed, rate_sampled_commands_));
    statistics.input_kb_per_second =
        each_second(network.all_input_bytes(), last.all_input_bytes()) / 1024;
    statistics.output_kb_per_second =
        each_second(network.all_output_bytes(), last.all_output_bytes()) / 1024;
    statistics.peer_input_kb_per_second =
        each_second(network.peer_input_bytes, last.peer_input_bytes) / 1024;
    statistics.peer_output_kb_per_second =
        each_second(network.peer_output_bytes, last.peer_output_bytes) / 1024;
  }
  rate_sampled_us_ = now.mono_us;
  rate_sampled_commands_ = statistics.commands_processed;
  rate_sampled_network_ = network;
  statistics.note_used(state_.keyspace.used_bytes());
}

}  // namespace holdfast::node
