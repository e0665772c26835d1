#include "tests/sim/register_workload.hpp"

namespace holdfast::sim {

namespace {

constexpr std::int64_t kPatienceUs = 400'000;

}  // namespace

void RegisterWorkload::begin() {
  for (std::size_t i = 0; i < clients_.size(); ++i)
    timeline_.after(static_cast<std::int64_t>(random_.below(500'000)), [this, i] { act(i); });
}

std::size_t RegisterWorkload::primary_or_any() {
  for (std::size_t i = 0; i < members_.size(); ++i)
    if (members_[i]->node() != nullptr &&
        members_[i]->node()->replica().role() == core::Role::kPrimary)
      return i;
  return random_.below(members_.size());
}

void RegisterWorkload::act(std::size_t number) {
  if (!works_) return;
  Client& client = clients_[number];
  const std::uint64_t operation = client.operation = next_operation_++;
  if (members_[client.target]->node() == nullptr) return done(number, operation, true);
  const Reply reply = [this, number, operation](Outcome outcome, LogIndex) {
    done(number, operation, outcome == Outcome::kRefused);
  };
  if (random_.below(2) == 0) {
    const std::size_t bytes = random_.below(12) == 0 ? random_.below(2'000) : random_.below(60);
    members_[client.target]->post([operation, bytes, reply](RegisterNode& node, core::MonoTime) {
      node.write(operation, bytes, reply);
    });
  } else {
    const Checker::Shown shown = checker_.shown();
    const std::size_t target = client.target;
    const Reply checked = [this, shown, target, reply](Outcome outcome, LogIndex version) {
      if (outcome == Outcome::kDone) checker_.on_read(target, version, shown);
      reply(outcome, version);
    };
    members_[target]->post([mode = read_mode_, checked](RegisterNode& node, core::MonoTime now) {
      node.read(mode, now, checked);
    });
  }
  timeline_.after(kPatienceUs, [this, number, operation] { done(number, operation, true); });
}

void RegisterWorkload::done(std::size_t number, std::uint64_t operation, bool moves_on) {
  Client& client = clients_[number];
  if (client.operation != operation) return;
  client.operation = 0;
  if (moves_on)
    client.target = random_.below(3) == 0 ? random_.below(members_.size()) : primary_or_any();
  timeline_.after(
      1 + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(think_us_))),
      [this, number] { act(number); });
}

void RegisterWorkload::write_once() {
  for (RegisterMember* member : members_) {
    if (member->node() == nullptr || !member->node()->replica().accepts_entries()) continue;
    member->post([this](RegisterNode& node, core::MonoTime) {
      node.write(next_operation_++, 20, [this](Outcome outcome, LogIndex) {
        if (outcome == Outcome::kDone) wrote_after_ = true;
      });
    });
    return;
  }
}

}  // namespace holdfast::sim
