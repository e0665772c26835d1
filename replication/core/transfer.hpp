// Transfer is a hand-over under way: drain (accept nothing new until the target holds all and
// answers), then give up the lease, then free the promises, then ask the target to stand. If it has
// not become primary after a while (it may have promised more in a former life, or the request was
// lost), this member takes the lease up again, with rounds that no release names, and asks once
// more. It goes on as primary when the deadline has come, the target cannot take over any more, has
// been silent for long, or was asked kAsksMax times.
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
  static constexpr int kAsksMax = 10;
  int asks = 0;             // of the target, so far
  MonoTime ask_again_at{};  // once it was asked; handed over: the lease is taken up again then

  bool is_active() const { return phase != TransferPhase::kNone; }
};

}  // namespace holdfast::core
