#include "tests/unit/log/storage_member.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace holdfast::log::test {

namespace {

constexpr std::size_t kBlocks = 4;  // of a snapshot

}  // namespace

MasterKey numbered_key(std::uint8_t number) {
  MasterKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(number * 7 + i);
  return key;
}

StorageOptions small_storage(std::uint64_t seed, FsyncMode mode) {
  StorageOptions options;
  options.folder = "/data/one";
  options.fsync_mode = mode;
  options.snapshots_kept = 2;
  options.segment_bytes_max = 2000;
  options.snapshot_sync_bytes = 300;
  options.boot_id = "boot-1";
  options.next_salt = [random = Random(seed)]() mutable {
    Salt salt;
    for (std::uint8_t& byte : salt) byte = static_cast<std::uint8_t>(random.next());
    return salt;
  };
  return options;
}

bool StorageMember::start() {
  storage_ = std::make_unique<Storage>(disk_, options_);
  is_loaded_ = is_stopped_ = false;
  failed_.reset();
  refusal_.clear();
  loaded_.clear();
  loading_ = {};
  restarts_of_loading_ = 0;
  storage_->start(out_);
  take();
  for (int i = 0; i < 10'000 && refusal_.empty() && !is_loaded_; ++i) {
    std::vector<Request> requests;
    requests.emplace_back(LoadRequest{});
    storage_->handle(std::move(requests), now_, out_);
    take();
  }
  if (!refusal_.empty()) {
    storage_ = nullptr;
    return false;
  }
  judge();
  return true;
}

void StorageMember::on_loaded(LoadedBlock& block) {
  if (block.restart) {
    loaded_.clear();
    loading_.clear();
    ++restarts_of_loading_;
  }
  loading_ += block.snapshot_mutations.str();
  if (!block.entries.empty()) end_of_snapshot();
  for (const Entry& entry : block.entries) {
    if (entry.index.value != loaded_.size() + 1)
      problem_ = fmt::format("entry {} loaded behind {}", entry.index.value, loaded_.size());
    loaded_.push_back(entry.payload.str());
  }
}

void StorageMember::end_of_snapshot() {
  std::size_t begin = 0;
  for (std::size_t end = loading_.find('\n'); end != std::string::npos;
       end = loading_.find('\n', begin)) {
    loaded_.push_back(loading_.substr(begin, end - begin));
    begin = end + 1;
  }
  loading_.clear();
}

void StorageMember::judge() {
  const auto is_prefix = [&](const std::vector<std::string>& of, std::uint64_t base) {
    return loaded_.size() >= base && loaded_.size() <= of.size() &&
           std::equal(loaded_.begin(), loaded_.end(), of.begin());
  };
  const auto hold_against = [&](std::uint64_t guaranteed, std::uint64_t persisted) {
    if (loaded_.size() < guaranteed) {
      return fmt::format("{} entries loaded, {} are guaranteed", loaded_.size(), guaranteed);
    }
    if (loaded_.size() < persisted && !recovered_.record.recovering) {
      return fmt::format("{} entries loaded, {} were acknowledged, and nothing is put in doubt",
                         loaded_.size(), persisted);
    }
    return std::string();
  };
  std::string verdict = fmt::format("{} entries loaded that never were", loaded_.size());
  if (is_prefix(model_, model_base_)) verdict = hold_against(guaranteed_, persisted_entries_);
  for (const Former& former : former_) {
    if (verdict.empty() || !is_prefix(former.model, former.base)) continue;
    verdict = hold_against(former.guaranteed, former.persisted);
  }
  if (!verdict.empty()) problem_ = verdict;
  if (recovered_.last_index.value != loaded_.size())
    problem_ =
        fmt::format("{} said to be there, {} loaded", recovered_.last_index.value, loaded_.size());
  if (recovered_.record.incarnation <= record_.incarnation)
    problem_ = "the incarnation did not grow";
  if (recovered_.record.term < record_.term) problem_ = "a record that was saved is gone";
  if (recovered_.record.term > record_wanted_.term) problem_ = "a record that never was";
  // From now on this is the truth.
  model_ = loaded_;
  model_base_ = 0;
  former_.clear();
  pending_.clear();
  records_.clear();
  guaranteed_ = persisted_entries_ = model_.size();
  durable_entries_ = 0;
  record_ = record_wanted_ = recovered_.record;
  term_ = std::max({std::uint64_t{1}, record_.term.value, recovered_.last_term.value});
  mode_ = options_.fsync_mode;
  snapshot_index_ = 0;
  committed_ = recovered_.snapshot_index.value;
  failed_syncs_ = disk_.failed_syncs();
  guarantee();
}

// What is durable is known from the storage's figures, but while a truncation is under way.
void StorageMember::guarantee() {
  if (former_.empty() && storage_ != nullptr && is_loaded_)
    durable_entries_ = std::max(durable_entries_, storage_->figures().synced_index);
}

// For the next start: what was written is there, or only what is durable.
void StorageMember::note_guarantees(bool survives_as_written) {
  guaranteed_ = survives_as_written ? persisted_entries_ : durable_entries_;
  for (Former& former : former_)
    former.guaranteed = survives_as_written ? former.persisted : former.durable;
}

void StorageMember::kill() {
  // What a failed sync forgot may be gone although it had been written.
  const bool was_written = disk_.is_dead() || disk_.failed_syncs() == failed_syncs_;
  if (is_loaded_) note_guarantees(was_written);
  is_loaded_ = false;
  storage_ = nullptr;
  out_ = {};
  disk_.kill_process();
}

void StorageMember::lose_power() {
  guaranteed_ = std::min(guaranteed_, durable_entries_);
  for (Former& former : former_) former.guaranteed = std::min(former.guaranteed, former.durable);
  if (is_loaded_) note_guarantees(false);
  is_loaded_ = false;
  storage_ = nullptr;
  out_ = {};
  disk_.lose_power();
  options_.boot_id += "'";
}

bool StorageMember::stop() {
  post(StopRequest{});
  if (!is_stopped_) return false;
  storage_ = nullptr;
  if (is_clean_) durable_entries_ = persisted_entries_;
  note_guarantees(false);
  is_loaded_ = false;
  return is_clean_;
}

void StorageMember::post(Request request) {
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  post(std::move(requests));
}

void StorageMember::post(std::vector<Request> requests) {
  storage_->handle(std::move(requests), now_, out_);
  pump();
}

void StorageMember::pump() {
  take();
  for (int i = 0; i < 1000 && storage_->next_due() <= now_; ++i) {
    storage_->poll(now_, out_);
    take();
  }
}

void StorageMember::wait(MonoUs us) {
  const MonoUs end = now_ + us;
  while (storage_->next_due() <= end) {
    now_ = std::max(now_, storage_->next_due());
    storage_->poll(now_, out_);
    take();
    if (disk_.is_dead()) break;
  }
  now_ = end;
}

bool StorageMember::heal() {
  for (int i = 0; i < 10 && failed_; ++i) wait(1'000'000);
  return !failed_;
}

void StorageMember::take() {
  for (StorageEvent& event : out_.events) {
    if (auto* found = std::get_if<Recovered>(&event)) recovered_ = std::move(*found);
    if (auto* block = std::get_if<LoadedBlock>(&event)) on_loaded(*block);
    if (const auto* loaded = std::get_if<Loaded>(&event)) {
      loaded_snapshot_ = *loaded;
      end_of_snapshot();
      is_loaded_ = true;
    }
    if (auto* refused = std::get_if<Refused>(&event)) refusal_ = std::move(refused->text);
    if (const auto* persisted = std::get_if<Persisted>(&event)) {
      persisted_ = persisted->write;
      while (!pending_.empty() && pending_.front().write <= persisted_) {
        persisted_entries_ = pending_.front().last;
        if (mode_ == FsyncMode::kAlways) durable_entries_ = persisted_entries_;
        pending_.erase(pending_.begin());
      }
      std::erase_if(former_, [&](const Former& former) { return former.until <= persisted_; });
    }
    if (const auto* saved = std::get_if<RecordSaved>(&event)) {
      while (!records_.empty() && records_.front().first <= saved->write) {
        record_.term = records_.front().second.term;
        records_.erase(records_.begin());
      }
    }
    if (auto* failed = std::get_if<Failed>(&event)) failed_ = std::move(*failed);
    if (std::holds_alternative<Healthy>(event)) {
      failed_.reset();
      failed_syncs_ = disk_.failed_syncs();
    }
    if (const auto* done = std::get_if<SnapshotDone>(&event)) {
      snapshots_.push_back(*done);
      committed_ = std::max(committed_, done->index.value);
    }
    if (auto* failed = std::get_if<SnapshotFailed>(&event))
      snapshot_failures_.push_back(std::move(failed->text));
    if (auto* read = std::get_if<EntriesRead>(&event)) reads_.push_back(std::move(*read));
    if (auto* part = std::get_if<SnapshotPart>(&event)) parts_.push_back(std::move(*part));
    if (const auto* stored = std::get_if<SnapshotStored>(&event)) stored_.push_back(*stored);
    if (auto* failed = std::get_if<SnapshotStoreFailed>(&event))
      store_failures_.push_back(std::move(failed->text));
    if (auto* note = std::get_if<Note>(&event); note != nullptr && note->is_warning)
      warnings_.push_back(std::move(note->text));
    if (const auto* stopped = std::get_if<Stopped>(&event)) {
      is_stopped_ = true;
      is_clean_ = stopped->is_clean;
    }
  }
  for (const std::vector<Entry>& entries : out_.spent_entries) spent_entries_ += entries.size();
  spent_ropes_ += out_.spent_ropes.size();
  out_ = {};
  guarantee();
}

AppendRequest StorageMember::make_append(std::size_t count, std::size_t payload_bytes) {
  AppendRequest append;
  append.write = ++write_;
  for (std::size_t i = 0; i < count; ++i) {
    Entry entry;
    entry.index = LogIndex{model_.size() + 1};
    entry.term = Term{term_};
    entry.time = static_cast<UnixMs>(model_.size());
    entry.kind = EntryKind::kMutations;
    std::string text = fmt::format("{}/{}/{}:", entry.index.value, term_, write_);
    while (text.size() < payload_bytes) text += static_cast<char>('a' + text.size() % 26);
    entry.payload = Rope::copy_of(text);
    model_.push_back(std::move(text));
    append.entries.push_back(std::move(entry));
  }
  pending_.push_back({write_, model_.size()});
  return append;
}

void StorageMember::append(std::size_t count, std::size_t payload_bytes) {
  post(make_append(count, payload_bytes));
}

void StorageMember::append_together(std::size_t requests) {
  std::vector<Request> all;
  for (std::size_t i = 0; i < requests; ++i) all.emplace_back(make_append(1, 20));
  post(std::move(all));
}

void StorageMember::truncate(std::uint64_t from) {
  former_.push_back({model_, ++write_, model_base_});
  model_.resize(from - 1);
  ++term_;
  persisted_entries_ = std::min(persisted_entries_, from - 1);
  durable_entries_ = std::min(durable_entries_, from - 1);
  for (Pending& pending : pending_) pending.last = std::min(pending.last, from - 1);
  pending_.push_back({write_, from - 1});
  post(TruncateRequest{write_, LogIndex{from}});
}

SaveRecordRequest StorageMember::make_record() {
  record_wanted_.term = Term{++term_};
  record_wanted_.running = false;  // not the owner's
  record_wanted_.incarnation = 0;
  records_.emplace_back(++write_, record_wanted_);
  return {write_, record_wanted_};
}

void StorageMember::save_record() {
  post(make_record());
}

void StorageMember::append_and_save_record(std::size_t payload_bytes) {
  std::vector<Request> all;
  all.emplace_back(make_append(1, payload_bytes));
  all.emplace_back(make_record());
  post(std::move(all));
}

void StorageMember::change_mode(FsyncMode mode) {
  mode_ = std::min(mode_, mode);
  options_.fsync_mode = mode;
  post(ChangeModeRequest{mode});
  if (!failed_) mode_ = mode;
}

void StorageMember::change_keys(KeyRing keys) {
  options_.keys = keys;
  post(ChangeKeysRequest{std::move(keys)});
}

void StorageMember::begin_snapshot() {
  snapshot_index_ = persisted_entries_;
  committed_ = std::max(committed_, snapshot_index_);
  snapshot_told_ = 0;
  snapshot_content_.assign(model_.begin(),
                           model_.begin() + static_cast<std::ptrdiff_t>(snapshot_index_));
  BeginSnapshotRequest begin;
  begin.index = LogIndex{snapshot_index_};
  // The term of an entry is the second number of its text.
  const std::string& last = snapshot_content_.back();
  begin.term = Term{std::stoull(last.substr(last.find('/') + 1))};
  post(begin);
}

void StorageMember::add_block() {
  const std::size_t count =
      std::min(snapshot_content_.size() / kBlocks + 1, snapshot_content_.size() - snapshot_told_);
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += snapshot_content_[snapshot_told_++] + "\n";
  if (count > 0) post(SnapshotBlockRequest{Rope::copy_of(text), count});
}

void StorageMember::finish_snapshot() {
  while (snapshot_told_ < snapshot_content_.size()) add_block();
  post(FinishSnapshotRequest{});
}

void StorageMember::take_snapshot() {
  begin_snapshot();
  finish_snapshot();
}

StorageMember::PeerSnapshot StorageMember::read_snapshot(std::size_t bytes_max) {
  PeerSnapshot snapshot;
  ReadSnapshotRequest request;
  request.reader = 4711;
  request.bytes_max = bytes_max;
  do {
    parts_.clear();
    post(request);
    if (parts_.size() != 1 || !parts_[0].error.empty() || parts_[0].offset != request.offset) {
      problem_ = "a snapshot cannot be read";
      return snapshot;
    }
    snapshot.stream += parts_[0].bytes.str();
    snapshot.term = parts_[0].term;
    request.index = parts_[0].index;
    request.term = parts_[0].term;
    request.offset = snapshot.stream.size();
  } while (!parts_[0].is_last);
  post(EndSnapshotReadRequest{request.reader});
  snapshot.texts.assign(model_.begin(),
                        model_.begin() + static_cast<std::ptrdiff_t>(request.index.value));
  return snapshot;
}

void StorageMember::store(const PeerSnapshot& snapshot, std::size_t block_bytes) {
  const std::string_view stream = snapshot.stream;
  for (std::size_t at = 0; at < stream.size(); at += block_bytes) {
    StoreSnapshotRequest block;
    block.index = snapshot.index();
    block.term = snapshot.term;
    block.offset = at;
    block.bytes = Rope::copy_of(stream.substr(at, block_bytes));
    block.is_last = at + block_bytes >= stream.size();
    post(std::move(block));
  }
}

void StorageMember::install(const PeerSnapshot& snapshot) {
  const std::uint64_t size = snapshot.texts.size();
  former_.push_back({model_, ++write_, model_base_, persisted_entries_, durable_entries_});
  model_ = snapshot.texts;
  model_base_ = size;
  persisted_entries_ = durable_entries_ = size;  // if it is there, all of it is
  term_ = std::max(term_, snapshot.term.value);
  committed_ = size;
  for (Pending& pending : pending_) pending.last = size;
  pending_.push_back({write_, size});
  post(InstallSnapshotRequest{write_, snapshot.index(), snapshot.term});
}

}  // namespace holdfast::log::test
