// Outbox withholds what a member says while its durable record is behind: a message may reveal a
// term, a vote or a promise, and must not leave before they are fsynced.
//
// Records change by election, not by entry, so what is withheld is little; when it is more than
// kWithheldMax, messages are dropped, which peers must bear anyway.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "replication/core/effects.hpp"

namespace holdfast::core {

class Outbox {
 public:
  static constexpr std::size_t kWithheldMax = 4096;

  bool is_durable() const { return saved_ >= written_; }
  void note_record_write(WriteNumber write) { written_ = write; }
  // True: everything that was written is saved now, and what was withheld has left.
  bool on_record_saved(WriteNumber write, Effects& effects) {
    saved_ = std::max(saved_, write);
    if (!is_durable()) return false;
    for (Send& message : withheld_) effects.send.push_back(std::move(message));
    withheld_.clear();
    return true;
  }
  void send(NodeId to, wire::Message message, Effects& effects) {
    if (is_durable()) {
      effects.send.push_back({to, std::move(message)});
    } else if (withheld_.size() < kWithheldMax) {
      withheld_.push_back({to, std::move(message)});
    }
  }
  // A new link to `peer`: what was meant for the old one is not sent.
  void forget(NodeId peer) {
    std::erase_if(withheld_, [&](const Send& message) { return message.to == peer; });
  }

 private:
  WriteNumber written_ = 0;
  WriteNumber saved_ = 0;
  std::vector<Send> withheld_;
};

}  // namespace holdfast::core
