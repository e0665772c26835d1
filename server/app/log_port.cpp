#include "server/app/log_port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "replication/log/cipher.hpp"
#include "replication/log/fsync_mode.hpp"
#include "replication/log/memory_file_system.hpp"
#include "server/storage/machine.hpp"
#include "server/storage/posix_file_system.hpp"

namespace holdfast::app {

namespace {

// One snapshot and what is logged behind it; nothing to be synced, or hidden from who finds a disk.
void keep_in_memory(log::StorageOptions& storage) {
  constexpr std::uint64_t kSegmentBytes = 16 << 20;  // they are freed whole
  // So much is in memory twice; what counts as synced is there once.
  constexpr std::uint64_t kUnsyncedBytes = 1 << 20;
  storage.folder = "memory";
  storage.fsync_mode = log::FsyncMode::kNo;
  storage.snapshots_kept = 1;
  storage.segment_bytes_max = std::min(storage.segment_bytes_max, kSegmentBytes);
  storage.unsynced_bytes_max = kUnsyncedBytes;
  storage.keys = {};
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
  storage.fsync_mode = log::fsync_mode_of(persistence.log_fsync);
  storage.snapshot_packing =
      persistence.snapshot_compression ? log::Packing::kZstd : log::Packing::kPlain;
  storage.snapshots_kept = static_cast<std::uint32_t>(persistence.snapshots_kept);
  storage.segment_bytes_max = persistence.segment_bytes;
  auto keys = encryption_keys(persistence);
  if (!keys) return tl::unexpected(std::move(keys.error()));
  storage.keys = std::move(*keys);
  storage.next_salt = storage::random_salt;
  storage.boot_id = storage::machine_boot_id();
  if (!persistence.enabled) keep_in_memory(storage);
  return storage;
}

std::unique_ptr<log::FileSystem> storage_files(const config::Options& options,
                                               const log::StorageOptions& storage) {
  if (options.persistence.enabled)
    return std::make_unique<storage::PosixFileSystem>(storage.folder);
  return std::make_unique<log::MemoryFileSystem>();
}

}  // namespace holdfast::app
