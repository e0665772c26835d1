// LogPort runs storage on the log thread and is the node's way to it: that of the data folder, or
// with persistence off one whose files are in memory.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "config/options/options.hpp"
#include "replication/log/storage.hpp"
#include "server/node/storage_port.hpp"
#include "server/storage/log_thread.hpp"

namespace holdfast::app {

// The error names the option or variable.
Result<log::KeyRing> encryption_keys(const config::PersistenceOptions& persistence);

// What storage is told of the options. The error names the option.
Result<log::StorageOptions> storage_options(const config::Options& options);

// The files that `storage` lies in: those of the disk, or new ones in memory.
std::unique_ptr<log::FileSystem> storage_files(const config::Options& options,
                                               const log::StorageOptions& storage);

class LogPort : public node::StoragePort {
 public:
  // Starts the thread. `wake` is called on it when there are events to take.
  LogPort(std::unique_ptr<log::FileSystem> files, log::StorageOptions options,
          std::function<void()> wake)
      : thread_(std::move(files), std::move(options), std::move(wake)) {}

  void post(std::vector<log::Request> requests) override { thread_.post(std::move(requests)); }
  std::optional<log::StorageEvents> write_now(std::vector<log::Request>& requests) override {
    return thread_.write_now(requests);
  }
  // On any thread: the owner is inside `write_now`.
  bool writes_now() const { return thread_.writes_now(); }
  log::StorageEvents take_events() override { return thread_.take_events(); }
  log::StorageFigures figures() override { return thread_.figures(); }
  std::uint64_t queued_bytes() const override { return thread_.queued_bytes(); }

  // False: the disk does not answer within the bound.
  bool stop(std::chrono::milliseconds bound) { return thread_.stop(bound); }

 private:
  storage::LogThread thread_;
};

}  // namespace holdfast::app
