#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "replication/log/storage_impl.hpp"

namespace holdfast::log {

// --- requests that wait

void Storage::Impl::run_patient(MonoUs now, StorageEvents& out) {
  Request request = std::move(patient.front());
  patient.pop_front();
  ++patient_done;
  waiting_bytes -= payload_bytes(request);
  if (const auto* begin = std::get_if<BeginSnapshotRequest>(&request)) {
    begin_snapshot(*begin, out);
  } else if (auto* block = std::get_if<SnapshotBlockRequest>(&request)) {
    add_to_snapshot(*block, out);
  } else if (std::holds_alternative<FinishSnapshotRequest>(request)) {
    finish_snapshot(now, out);
  } else if (std::holds_alternative<AbandonSnapshotRequest>(request)) {
    snapshots->abandon();
  } else if (const auto* part = std::get_if<ReadSnapshotRequest>(&request)) {
    if (read_snapshot(*part, out)) return;
    patient.push_front(std::move(request));
    --patient_done;
  } else if (const auto* ended = std::get_if<EndSnapshotReadRequest>(&request)) {
    sender->end(ended->reader);
  } else if (auto* stored = std::get_if<StoreSnapshotRequest>(&request)) {
    store_snapshot(*stored, out);
  } else if (std::holds_alternative<DiscardSnapshotRequest>(request)) {
    receiver->discard();
  } else {
    read(std::get<ReadRequest>(request), out);
  }
}

// But reads of snapshots: a place far in one is found by reading all before it.
void Storage::Impl::run_all_patient(MonoUs now, StorageEvents& out) {
  while (may_run_patient()) {
    if (!std::holds_alternative<ReadSnapshotRequest>(patient.front())) {
      run_patient(now, out);
      continue;
    }
    spend(patient.front(), out);
    patient.pop_front();
    ++patient_done;
  }
}

// Those that came before the truncation mean the entries as they were. What else waits means the
// same behind it.
void Storage::Impl::run_log_reads(StorageEvents& out) {
  auto at = patient.begin();
  for (std::uint64_t count = barriers.front() - patient_done; count > 0; --count) {
    const auto* what = std::get_if<ReadRequest>(&*at);
    if (what == nullptr) {
      ++at;
      continue;
    }
    read(*what, out);
    at = patient.erase(at);
    ++patient_done;
  }
}

// What is this member's own in it.
FileHeader Storage::Impl::new_snapshot_header() const {
  FileHeader header;
  header.kind = FileKind::kSnapshot;
  header.log_id = record->value().log_id;
  header.packing = options.snapshot_packing;
  header.salt = options.next_salt();
  return header;
}

void Storage::Impl::begin_snapshot(const BeginSnapshotRequest& request, StorageEvents& out) {
  HF_CHECK(!snapshots->is_writing());
  if (is_failed) {
    out.events.push_back(SnapshotFailed{"the log cannot be written: " + text_of(failure)});
    return;
  }
  FileHeader header = new_snapshot_header();
  header.index = request.index;
  header.term = request.term;
  header.time = request.time;
  header.digest_seed = request.digest_seed;
  auto begun = snapshots->begin(header, options.keys);
  if (!begun) out.events.push_back(SnapshotFailed{text_of(begun.error())});
}

void Storage::Impl::add_to_snapshot(SnapshotBlockRequest& request, StorageEvents& out) {
  if (snapshots->is_writing()) {
    auto added = snapshots->add(request.mutations, request.record_count);
    if (!added) out.events.push_back(SnapshotFailed{text_of(added.error())});
  }
  out.spent_ropes.push_back(std::move(request.mutations));
}

void Storage::Impl::finish_snapshot(MonoUs now, StorageEvents& out) {
  if (!snapshots->is_writing()) return;  // its failure was said
  // The log on disk never ends before a snapshot, so that an older one and the log can always take
  // its place.
  if (is_failed || !check(writer->sync(out), now, out)) {
    snapshots->abandon();
    out.events.push_back(SnapshotFailed{"the log cannot be written: " + text_of(failure)});
    return;
  }
  auto finished = snapshots->finish();
  if (!finished) {
    out.events.push_back(SnapshotFailed{text_of(finished.error())});
    return;
  }
  remove_what_is_old(out);
  out.events.push_back(
      SnapshotDone{finished->index, finished->file_bytes, finished->records, store->first_index()});
}

void Storage::Impl::remove_what_is_old(StorageEvents& out) {
  auto removed = snapshots->remove_old();
  if (removed) {
    const LogIndex needed{snapshots->oldest()->value + 1};
    removed = store->remove_below(std::min(needed, keep_log_from));
  }
  if (!removed) {
    out.events.push_back(Note{
        true, fmt::format("old files stay until the next snapshot: {}", text_of(removed.error()))});
  }
}

void Storage::Impl::read(const ReadRequest& request, StorageEvents& out) const {
  EntriesRead answer;
  answer.number = request.number;
  if (request.from < store->first_index()) {
    answer.error =
        fmt::format("entries below {} are not in the log any more", store->first_index().value);
  } else if (request.from <= store->last_index() && request.from < request.to) {
    auto entries = store->read(request.from, request.to, request.payload_bytes_max);
    if (entries) {
      answer.entries = std::move(*entries);
    } else {
      answer.error = std::move(entries.error().message);
    }
  }
  out.events.push_back(std::move(answer));
}

// --- snapshots of peers

bool Storage::Impl::read_snapshot(const ReadSnapshotRequest& request, StorageEvents& out) {
  LogIndex damaged;
  auto answer = sender->read(request, options.keys, damaged);
  if (!answer) return false;
  if (damaged.value != 0) on_damaged(damaged, answer->error, out);
  out.events.push_back(std::move(*answer));
  return true;
}

// It is not given out again, and is put aside if another one can stand for it.
void Storage::Impl::on_damaged(LogIndex snapshot, std::string_view text, StorageEvents& out) {
  out.events.push_back(
      Note{true, fmt::format("snapshot {} is damaged and is not used: {}", snapshot.value, text)});
  snapshots->forget(snapshot);
  const auto other = snapshots->newest();
  const bool is_replaced =
      other && (other->index > snapshot || store->first_index().value <= other->index.value + 1);
  if (!is_replaced) return;
  auto done = snapshots->set_aside(snapshot);
  if (!done) out.events.push_back(Note{true, done.error().text()});
}

void Storage::Impl::store_snapshot(StoreSnapshotRequest& request, StorageEvents& out) {
  Result<void> done;
  if (request.offset == 0) {
    if (is_failed) {
      receiver->discard();
      done = holdfast::fail("the log cannot be written: " + text_of(failure));
    } else {
      receiver->begin(request.index, request.term, new_snapshot_header(), options.keys);
    }
  }
  if (done) done = receiver->add(request);
  if (!done) {
    out.events.push_back(SnapshotStoreFailed{std::move(done.error().message), request.stream});
  } else if (receiver->is_storing()) {
    out.events.push_back(
        SnapshotStored{request.stream, receiver->stored_bytes(), receiver->is_complete()});
  }
  out.spent_ropes.push_back(std::move(request.bytes));
}

// --- installation

// In this order a death at any point leaves what was before or what comes behind. The rename of a
// snapshot that is newer than all that the folder has is the turning point: a log that does not
// agree with it is void (recovery.hpp). Otherwise it is the new segment, which says that the other
// snapshots are void, too.
FileStatus Storage::Impl::go_on_installing(StorageEvents& out) {
  using Step = Installation::Step;
  Installation& it = *installation;
  if (it.step == Step::kLook) {
    auto found = snapshots->has_above(it.index);
    if (!found) return tl::unexpected(std::move(found.error()));
    it.voids_snapshots = *found;
    it.step = Step::kAdopt;
  }
  if (it.step == Step::kAdopt) {
    if (it.index.value != 0) {
      auto adopted = snapshots->adopt(receiver->path(), {it.index, it.term});
      if (!adopted) return adopted;
      receiver->hand_over();
    }
    it.step = Step::kReset;
  }
  if (it.step == Step::kReset) {
    bool is_forgotten = false;
    auto done = writer->reset(it.index, it.term, it.time, it.voids_snapshots, is_forgotten, out);
    if (is_forgotten) it.step = Step::kRemoveOthers;
    if (!done) return done;
  }
  if (it.step == Step::kRemoveOthers) {
    auto removed = snapshots->remove_others(it.index);
    if (!removed && it.voids_snapshots) return removed;
    if (!removed) {
      out.events.push_back(
          Note{true, fmt::format("old snapshots stay for a while: {}", text_of(removed.error()))});
    }
    it.step = Step::kEndVoiding;
  }
  return it.voids_snapshots ? store->end_voiding() : FileStatus{};
}

bool Storage::Impl::install_snapshot(const InstallSnapshotRequest& request, MonoUs now,
                                     StorageEvents& out) {
  if (!installation) {
    run_all_patient(now, out);
    if (is_failed) return false;
    Installation begun;
    begun.index = request.index;
    begun.term = request.term;
    if (request.index.value == 0) {
      receiver->discard();
    } else if (receiver->is_complete(request.index, request.term)) {
      begun.time = receiver->time();
    } else {
      refuse(fmt::format("snapshot {} of term {} was to replace what {} holds, and could not be "
                         "stored; the folder is as it was: start again",
                         request.index.value, request.term.value, options.folder),
             out);
      return false;
    }
    if (snapshots->is_writing()) {
      snapshots->abandon();
      out.events.push_back(SnapshotFailed{"another member's snapshot was installed"});
    }
    sender->end_all();
    installation = begun;
  }
  if (!check(go_on_installing(out), now, out)) return false;
  installation.reset();
  barriers.pop_front();
  writer->took(request.write, out);
  return true;
}

}  // namespace holdfast::log
