// Storage from within: its state, and what its two files do with it. storage.cpp has its life, the
// requests that are carried out at once, and failure; storage_snapshots.cpp what waits, and
// installation.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "replication/log/loader.hpp"
#include "replication/log/log_store.hpp"
#include "replication/log/log_writer.hpp"
#include "replication/log/member_record.hpp"
#include "replication/log/recovery.hpp"
#include "replication/log/snapshot_receiver.hpp"
#include "replication/log/snapshot_sender.hpp"
#include "replication/log/snapshot_store.hpp"
#include "replication/log/storage.hpp"
#include "replication/log/storage_requests.hpp"

namespace holdfast::log {

struct Storage::Impl {
  static constexpr MonoUs kNever = LogWriter::kNever;
  static constexpr MonoUs kAtOnce = std::numeric_limits<MonoUs>::min();
  static constexpr MonoUs kRetryUsMin = 100'000;
  static constexpr MonoUs kRetryUsMax = 1'000'000;

  enum class Phase { kNew, kLoading, kOpen, kEnded };

  Impl(FileSystem& file_system, StorageOptions storage_options)
      : files(file_system), options(std::move(storage_options)) {}

  bool is_alive() const { return phase == Phase::kLoading || phase == Phase::kOpen; }

  // --- life
  void start(StorageEvents& out);
  void refuse(std::string text, StorageEvents& out);
  void refuse(const FileError& error, StorageEvents& out);
  void load(MonoUs now, StorageEvents& out);
  FileStatus open_log();
  void stop(MonoUs now, StorageEvents& out);
  void end(StorageEvents& out);

  // --- requests that are carried out at once
  void take(Request request, MonoUs now, StorageEvents& out);
  void run_orders(MonoUs now, StorageEvents& out);
  void save_waiting_records(StorageEvents& out);
  void run_appends(MonoUs now, StorageEvents& out);
  // False: it is to be done again after the failure.
  bool run_order(Request& request, MonoUs now, StorageEvents& out);
  bool truncate(const TruncateRequest& request, MonoUs now, StorageEvents& out);
  bool install_snapshot(const InstallSnapshotRequest& request, MonoUs now, StorageEvents& out);
  FileStatus go_on_installing(StorageEvents& out);
  bool change_mode(FsyncMode mode, MonoUs now, StorageEvents& out);
  bool change_keys(KeyRing keys, MonoUs now, StorageEvents& out);

  // --- requests that wait
  bool may_run_patient() const {
    return !patient.empty() && (barriers.empty() || patient_done < barriers.front());
  }
  void run_patient(MonoUs now, StorageEvents& out);
  void run_all_patient(MonoUs now, StorageEvents& out);
  void run_log_reads(StorageEvents& out);
  void begin_snapshot(const BeginSnapshotRequest& request, StorageEvents& out);
  void add_to_snapshot(SnapshotBlockRequest& request, StorageEvents& out);
  void finish_snapshot(MonoUs now, StorageEvents& out);
  void remove_what_is_old(StorageEvents& out);
  void read(const ReadRequest& request, StorageEvents& out) const;
  // False: it is to be done again.
  bool read_snapshot(const ReadSnapshotRequest& request, StorageEvents& out);
  void on_damaged(LogIndex snapshot, std::string_view text, StorageEvents& out);
  void store_snapshot(StoreSnapshotRequest& request, StorageEvents& out);
  FileHeader new_snapshot_header() const;

  // --- failure
  void fail(const FileError& error, MonoUs now, StorageEvents& out);
  bool check(const FileStatus& done, MonoUs now, StorageEvents& out);
  FileStatus make_up(StorageEvents& out);
  void try_again(MonoUs now, StorageEvents& out);
  std::string text_of(const FileError& error) const {
    return fmt::format("{}; {}", error.text(), remedy(error, options.folder));
  }

  FileSystem& files;
  StorageOptions options;
  Phase phase = Phase::kNew;
  bool is_stopping = false;
  std::unique_ptr<FolderLock> lock;

  RecoveredState recovered;  // until all of it is loaded and the log is open
  std::unique_ptr<Loader> loader;

  std::unique_ptr<MemberRecord> record;

  std::unique_ptr<LogStore> store;
  bool is_log_open = false;
  std::unique_ptr<LogWriter> writer;
  std::unique_ptr<SnapshotStore> snapshots;
  std::unique_ptr<SnapshotSender> sender;
  std::unique_ptr<SnapshotReceiver> receiver;
  LogIndex keep_log_from{std::numeric_limits<std::uint64_t>::max()};
  Loaded loaded;  // what was

  std::deque<Request> orders;   // carried out at once, but while the disk fails
  std::deque<Request> patient;  // behind them, one a poll
  std::uint64_t patient_taken = 0;
  std::uint64_t patient_done = 0;
  // Of the truncations and installations among the orders, in their order: how many patient
  // requests go first.
  std::deque<std::uint64_t> barriers;
  // The installation that was begun, and what is to be done next of it. Each step may be repeated.
  struct Installation {
    enum class Step { kLook, kAdopt, kReset, kRemoveOthers, kEndVoiding };
    LogIndex index;
    Term term;
    UnixMs time = 0;
    bool voids_snapshots = false;
    Step step = Step::kLook;
  };
  std::optional<Installation> installation;
  std::uint64_t waiting_bytes = 0;
  std::vector<AppendRequest> group;  // scratch

  bool is_failed = false;
  bool is_failure_said = false;
  FileError failure;
  MonoUs retry_at = kNever;
  MonoUs retry_us = kRetryUsMin;
};

}  // namespace holdfast::log
