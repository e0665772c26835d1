#include "server/app/log_port.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "replication/log/cipher.hpp"
#include "server/storage/machine.hpp"
#include "server/storage/posix_file_system.hpp"

namespace holdfast::app {

namespace {

log::FsyncMode mode_of(config::LogFsync fsync) {
  switch (fsync) {
    case config::LogFsync::kAlways:
      return log::FsyncMode::kAlways;
    case config::LogFsync::kNo:
      return log::FsyncMode::kNo;
    case config::LogFsync::kEverySecond:
      break;
  }
  return log::FsyncMode::kEverySecond;
}

}  // namespace

Result<log::KeyRing> encryption_keys(const config::PersistenceOptions& persistence) {
  auto keys = log::parse_key_ring(persistence.encryption_key);
  if (keys) return keys;
  return fail(fmt::format("{}: {}",
                          persistence.encryption_key_file.empty()
                              ? "environment HOLDFAST_ENCRYPTION_KEY"
                              : "persistence.encryption_key_file",
                          keys.error().message));
}

Result<log::StorageOptions> storage_options(const config::Options& options) {
  const config::PersistenceOptions& persistence = options.persistence;
  log::StorageOptions storage;
  // The process works there; messages name it whole.
  std::error_code unknown;
  const std::filesystem::path folder = std::filesystem::current_path(unknown);
  storage.folder = unknown ? "." : folder.string();
  storage.fsync_mode = mode_of(persistence.log_fsync);
  storage.snapshot_packing =
      persistence.snapshot_compression ? log::Packing::kZstd : log::Packing::kPlain;
  storage.snapshots_kept = static_cast<std::uint32_t>(persistence.snapshots_kept);
  storage.segment_bytes_max = persistence.segment_bytes;
  auto keys = encryption_keys(persistence);
  if (!keys) return tl::unexpected(std::move(keys.error()));
  storage.keys = std::move(*keys);
  storage.next_salt = storage::random_salt;
  storage.boot_id = storage::machine_boot_id();
  return storage;
}

// A copy: arguments are evaluated in any order, and moved from options name no folder.
LogPort::LogPort(const log::StorageOptions& options, std::function<void()> wake)
    : thread_(std::make_unique<storage::PosixFileSystem>(options.folder), options,
              std::move(wake)) {}

}  // namespace holdfast::app
