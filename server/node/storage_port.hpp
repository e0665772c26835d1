// StoragePort is how the loop reaches storage, whatever runs it: the log thread, or a simulated
// disk.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "replication/log/storage.hpp"

namespace holdfast::node {

class StoragePort {
 public:
  virtual ~StoragePort() = default;
  // Never waits for the disk.
  virtual void post(std::vector<log::Request> requests) = 0;
  // A small write that somebody waits for, done before this returns; nothing: post it
  // (storage/log_thread.hpp, write_now).
  virtual std::optional<log::StorageEvents> write_now(std::vector<log::Request>& requests) = 0;
  virtual log::StorageEvents take_events() = 0;
  virtual log::StorageFigures figures() = 0;
  // Bytes of entries and snapshot blocks that were posted and are not written yet.
  virtual std::uint64_t queued_bytes() const = 0;
};

}  // namespace holdfast::node
