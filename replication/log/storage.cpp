#include "replication/log/storage.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/planted_fault.hpp"
#include "replication/log/storage_impl.hpp"

namespace holdfast::log {

namespace {

constexpr std::uint64_t kSmallWriteBytes = 64 << 10;

}  // namespace

// --- life

void Storage::Impl::refuse(std::string text, StorageEvents& out) {
  out.events.push_back(Refused{std::move(text)});
  end(out);
}

void Storage::Impl::refuse(const FileError& error, StorageEvents& out) {
  refuse(text_of(error), out);
}

void Storage::Impl::start(StorageEvents& out) {
  HF_CHECK(phase == Phase::kNew);
  auto made = files.make_dir(options.folder);
  if (!made) return refuse(made.error(), out);
  auto locked = files.lock(options.folder);
  if (!locked) return refuse(locked.error(), out);
  lock = std::move(*locked);
  auto writable = check_writable(files, options.folder);
  if (!writable) return refuse(writable.error(), out);
  auto found = recover(files, {options.folder, options.keys, options.boot_id});
  if (!found) return refuse(std::move(found.error().message), out);
  recovered = std::move(*found);
  for (std::string& text : recovered.notes) out.events.push_back(Note{false, std::move(text)});
  for (std::string& text : recovered.warnings) out.events.push_back(Note{true, std::move(text)});
  record = std::make_unique<MemberRecord>(recovered, options);
  auto saved = record->save(out);
  if (!saved) return refuse(saved.error(), out);

  store = std::make_unique<LogStore>(
      files,
      LogStoreOptions{options.folder, record->value().log_id, options.fsync_mode,
                      options.segment_bytes_max, options.keys, options.next_salt},
      recovered.log);
  writer = std::make_unique<LogWriter>(*store, options.fsync_mode, options.unsynced_bytes_max);
  std::vector<SnapshotStore::Kept> kept;
  for (const RecoveredSnapshot& snapshot : recovered.snapshots)
    kept.push_back({snapshot.index, snapshot.term});
  snapshots = std::make_unique<SnapshotStore>(
      files,
      SnapshotStoreOptions{options.folder, options.snapshots_kept, options.snapshot_sync_bytes},
      std::move(kept));
  sender = std::make_unique<SnapshotSender>(files, *snapshots);
  receiver = std::make_unique<SnapshotReceiver>(files, options.folder, options.snapshot_sync_bytes);
  loader = std::make_unique<Loader>(files, options.keys, options.folder, recovered);
  phase = Phase::kLoading;

  Recovered event;
  event.is_new = recovered.is_new;
  event.record = record->value();
  if (!recovered.snapshots.empty()) {
    event.snapshot_index = recovered.snapshots.front().index;
    event.snapshot_term = recovered.snapshots.front().term;
  }
  event.last_index = recovered.log.last;
  event.last_term = recovered.log.last_term;
  event.last_time = recovered.log.last_time;
  event.first_log_index = store->first_index();
  event.tail_in_doubt = recovered.tail_in_doubt;
  event.log_is_missing =
      !recovered.is_new && recovered.snapshots.empty() && recovered.log.segments.empty();
  event.bytes_to_load = loader->bytes_to_load();
  out.events.push_back(std::move(event));
}

void Storage::Impl::load(MonoUs now, StorageEvents& out) {
  if (phase == Phase::kOpen) {  // the owner asked ahead
    out.events.push_back(loaded);
    return;
  }
  HF_CHECK(phase == Phase::kLoading);
  Loader::Step step = loader->next(out.events);
  if (auto* block = std::get_if<LoadedBlock>(&step)) {
    out.events.push_back(std::move(*block));
    return;
  }
  if (auto* refused = std::get_if<Refused>(&step)) return refuse(std::move(refused->text), out);
  for (const LogIndex index : loader->damaged()) {
    auto done = snapshots->set_aside(index);
    if (!done) out.events.push_back(Note{true, done.error().text()});
  }
  loaded = std::get<Loaded>(step);
  loader = nullptr;
  phase = Phase::kOpen;
  if (record->value().fsync_mode != options.fsync_mode)
    orders.push_front(ChangeModeRequest{options.fsync_mode});
  check(open_log(), now, out);
  out.events.push_back(loaded);
}

FileStatus Storage::Impl::open_log() {
  auto opened = store->open(recovered.unsynced);
  if (!opened) return opened;
  is_log_open = true;
  recovered = {};
  return opened;
}

void Storage::Impl::stop(MonoUs now, StorageEvents& out) {
  run_all_patient(now, out);
  if (phase == Phase::kLoading) {
    // What a killed process left unsynced must be synced before the record may say that all is.
    loader = nullptr;
    phase = Phase::kOpen;
    check(open_log(), now, out);
  }
  if (is_failed) try_again(now, out);
  if (phase == Phase::kEnded) {
    out.events.push_back(Stopped{false});
    return;
  }
  run_all_patient(now, out);  // behind an installation
  snapshots->abandon();
  receiver->discard();
  bool is_clean = !is_failed;
  if (is_clean) {
    auto done = store->close();
    record->set_stopped();
    if (done) done = record->save(out);
    if (!done) out.events.push_back(Note{true, text_of(done.error())});
    is_clean = done.has_value();
  }
  out.events.push_back(Stopped{is_clean});
  end(out);
}

void Storage::Impl::end(StorageEvents& out) {
  phase = Phase::kEnded;
  if (writer != nullptr) writer->hand_back_all(out);
  for (std::deque<Request>* queue : {&orders, &patient}) {
    for (Request& request : *queue) spend(request, out);
    queue->clear();
  }
  waiting_bytes = 0;
  barriers.clear();
  installation.reset();
  loader = nullptr;
  writer = nullptr;
  store = nullptr;
  sender = nullptr;
  receiver = nullptr;
  snapshots = nullptr;
  record = nullptr;
  recovered = {};
  lock = nullptr;
}

// --- requests that are carried out at once

void Storage::Impl::take(Request request, MonoUs now, StorageEvents& out) {
  if (phase == Phase::kEnded) {
    spend(request, out);
    if (std::holds_alternative<StopRequest>(request)) out.events.push_back(Stopped{false});
    return;
  }
  HF_CHECK(phase != Phase::kNew && !is_stopping);
  if (std::holds_alternative<LoadRequest>(request)) return load(now, out);
  if (std::holds_alternative<StopRequest>(request)) {
    is_stopping = true;
    return;
  }
  auto* save = std::get_if<SaveRecordRequest>(&request);
  HF_CHECK(phase == Phase::kOpen || save != nullptr);
  if (save != nullptr && is_failed) {  // see save_waiting_records
    record->take(std::move(*save));
    (void)record->save(out);  // or it is owed
    return;
  }
  if (const auto* keep = std::get_if<KeepLogRequest>(&request)) {
    keep_log_from = keep->from;
    return;
  }
  waiting_bytes += payload_bytes(request);
  if (can_wait(request)) {
    ++patient_taken;
    patient.push_back(std::move(request));
    return;
  }
  if (std::holds_alternative<InstallSnapshotRequest>(request) ||
      std::holds_alternative<TruncateRequest>(request))
    barriers.push_back(patient_taken);
  orders.push_back(std::move(request));
}

void Storage::Impl::run_orders(MonoUs now, StorageEvents& out) {
  while (!is_failed && !orders.empty()) {
    if (std::holds_alternative<AppendRequest>(orders.front())) {
      run_appends(now, out);
    } else if (run_order(orders.front(), now, out)) {
      orders.pop_front();
    }
    if (phase == Phase::kEnded) return;
  }
  if (is_failed) save_waiting_records(out);
}

// Votes do not wait for the log, and a record that comes later must not find an older one behind
// it.
void Storage::Impl::save_waiting_records(StorageEvents& out) {
  bool has_one = false;
  for (Request& request : orders) {
    auto* save = std::get_if<SaveRecordRequest>(&request);
    if (save == nullptr) continue;
    record->take(std::move(*save));
    has_one = true;
  }
  if (!has_one) return;
  std::erase_if(orders, [](const Request& request) {
    return std::holds_alternative<SaveRecordRequest>(request);
  });
  (void)record->save(out);  // or it is owed
}

void Storage::Impl::run_appends(MonoUs now, StorageEvents& out) {
  group.clear();
  while (!orders.empty() && std::holds_alternative<AppendRequest>(orders.front())) {
    waiting_bytes -= payload_bytes(orders.front());
    group.push_back(std::move(std::get<AppendRequest>(orders.front())));
    orders.pop_front();
  }
  check(writer->append(group, now, out), now, out);
}

bool Storage::Impl::run_order(Request& request, MonoUs now, StorageEvents& out) {
  if (auto* save = std::get_if<SaveRecordRequest>(&request)) {
    record->take(std::move(*save));
    check(record->save(out), now, out);
    return true;
  }
  if (const auto* what = std::get_if<TruncateRequest>(&request)) return truncate(*what, now, out);
  if (const auto* what = std::get_if<InstallSnapshotRequest>(&request))
    return install_snapshot(*what, now, out);
  if (const auto* change = std::get_if<ChangeModeRequest>(&request))
    return change_mode(change->mode, now, out);
  return change_keys(std::get<ChangeKeysRequest>(request).keys, now, out);
}

bool Storage::Impl::truncate(const TruncateRequest& request, MonoUs now, StorageEvents& out) {
  run_log_reads(out);
  if (is_failed) return false;
  bool is_forgotten = false;
  check(writer->truncate(request, is_forgotten, out), now, out);
  if (is_forgotten) barriers.pop_front();
  return is_forgotten;
}

// The record never claims more than holds for every entry of the log.
bool Storage::Impl::change_mode(FsyncMode mode, MonoUs now, StorageEvents& out) {
  const auto record_mode = [&] {
    record->set_mode(mode);
    return check(record->save(out), now, out);
  };
  if (mode < record->value().fsync_mode && !record_mode()) return false;
  if (mode != writer->mode()) {
    auto done = writer->sync(out);
    if (done && !HF_BUG(kKeepSegmentAtModeChange)) done = store->roll(mode);
    if (!check(done, now, out)) return false;
    writer->set_mode(mode);
  }
  return mode == record->value().fsync_mode || record_mode();
}

bool Storage::Impl::change_keys(KeyRing keys, MonoUs now, StorageEvents& out) {
  options.keys = keys;
  auto done = writer->sync(out);
  if (done) done = store->roll(std::move(keys));
  return check(done, now, out);
}

// --- failure

void Storage::Impl::fail(const FileError& error, MonoUs now, StorageEvents& out) {
  failure = error;
  is_failed = true;
  retry_us = is_failure_said ? std::min(2 * retry_us, kRetryUsMax) : kRetryUsMin;
  retry_at = now + retry_us;
  if (std::exchange(is_failure_said, true)) return;
  out.events.push_back(Failed{error, text_of(error)});
}

bool Storage::Impl::check(const FileStatus& done, MonoUs now, StorageEvents& out) {
  if (!done) fail(done.error(), now, out);
  return done.has_value();
}

FileStatus Storage::Impl::make_up(StorageEvents& out) {
  FileStatus done;
  if (record->is_owed()) done = record->save(out);
  if (done && phase == Phase::kOpen && !is_log_open) done = open_log();
  if (done && store->failure()) done = writer->retry(out);
  return done;
}

void Storage::Impl::try_again(MonoUs now, StorageEvents& out) {
  if (!check(make_up(out), now, out)) return;
  is_failed = false;
  run_orders(now, out);
  if (phase == Phase::kEnded) return;
  if (!is_failed && is_log_open) check(writer->sync(out), now, out);
  if (is_failed) return;
  is_failure_said = false;
  retry_at = kNever;
  out.events.push_back(Healthy{});
}

// --- the door

Storage::Storage(FileSystem& files, StorageOptions options)
    : impl_(std::make_unique<Impl>(files, std::move(options))) {}

Storage::~Storage() = default;

void Storage::start(StorageEvents& out) {
  impl_->start(out);
}

bool Storage::is_small_write(const std::vector<Request>& requests) const {
  const Impl& self = *impl_;
  if (self.phase != Impl::Phase::kOpen || self.is_failed || !self.orders.empty() ||
      !self.patient.empty() || self.writer->mode() == FsyncMode::kAlways || self.store->failure() ||
      self.store->is_syncing() || self.store->is_segment_full())
    return false;
  std::uint64_t byte_count = 0;
  for (const Request& request : requests) {
    if (!std::holds_alternative<AppendRequest>(request)) return false;
    byte_count += payload_bytes(request);
  }
  return byte_count <= kSmallWriteBytes &&
         self.writer->unsynced_bytes() + byte_count <= self.options.unsynced_bytes_max;
}

void Storage::handle(std::vector<Request> requests, MonoUs now, StorageEvents& out) {
  for (Request& request : requests) impl_->take(std::move(request), now, out);
  impl_->run_orders(now, out);
  if (!std::exchange(impl_->is_stopping, false)) return;
  if (impl_->phase == Impl::Phase::kEnded) {
    out.events.push_back(Stopped{false});
  } else {
    impl_->stop(now, out);
  }
}

void Storage::poll(MonoUs now, StorageEvents& out) {
  Impl& self = *impl_;
  if (!self.is_alive()) return;
  if (self.is_failed) {
    if (now >= self.retry_at) self.try_again(now, out);
  } else if (now >= self.writer->sync_due()) {
    self.check(self.writer->poll(now, out), now, out);
  }
  if (self.is_alive() && self.may_run_patient()) self.run_patient(now, out);
}

MonoUs Storage::next_due() const {
  if (!impl_->is_alive()) return Impl::kNever;
  if (impl_->may_run_patient()) return Impl::kAtOnce;
  return impl_->is_failed ? impl_->retry_at : impl_->writer->sync_due();
}

std::uint64_t Storage::waiting_bytes() const {
  return impl_->waiting_bytes;
}

StorageFigures Storage::figures() const {
  StorageFigures figures;
  figures.memory_bytes = impl_->files.memory_bytes();
  if (!impl_->is_alive()) return figures;
  figures.log_bytes = impl_->store->file_bytes();
  figures.log_segments = impl_->store->segments().size();
  figures.synced_index = impl_->store->synced_index().value;
  figures.unsynced_bytes = impl_->writer->unsynced_bytes();
  figures.fsyncs = impl_->writer->fsyncs();
  return figures;
}

}  // namespace holdfast::log
