// Transfer is a hand-over under way: drain (accept nothing new until the target holds all), then
// give up the lease, then free the promises, then ask the target to stand. If it has not become
// primary by the deadline, this member takes the lease up again, with rounds that no release names.
#pragma once

#include <cstdint>

#include "base/ids.hpp"
#include "replication/core/time.hpp"

namespace holdfast::core {

enum class TransferPhase : std::uint8_t { kNone, kDraining, kHandedOver };

struct Transfer {
  TransferPhase phase = TransferPhase::kNone;
  NodeId target;
  MonoTime deadline = kNever;
  bool by_disk = false;  // the own disk failed; nobody asked

  bool is_active() const { return phase != TransferPhase::kNone; }
};

}  // namespace holdfast::core
