#include "tests/unit/log/crash_run.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace holdfast::log::test {

namespace {

constexpr unsigned kTries = 20;
constexpr std::size_t kLargeBytes = 2 * kFragmentBytesMax + 1000;

std::string text_of(const Entry& entry) {
  return fmt::format("{}/{}:{}", entry.index.value, entry.term.value, entry.payload.str());
}

std::string shortened(const std::string& text) {
  return text.substr(0, 60);
}

}  // namespace

CrashRun::CrashRun(Options options)
    : options_(options), disk_(options.seed), random_(options.seed + 1), mode_(options.mode) {
  auto made = disk_.make_dir(kFolder);
  if (!made) fail(made.error().text());
}

bool CrashRun::fail(std::string problem) {
  if (problem_.empty()) {
    problem_ = fmt::format("life {}, struck at '{}', {} operations: {}", lives_, disk_.struck(),
                           disk_.operations(), problem);
  }
  return false;
}

KeyRing CrashRun::keys() const {
  if (!options_.encrypted) return {};
  std::vector<MasterKey> keys;
  for (unsigned i = key_count_; i > 0; --i) keys.push_back(make_key(static_cast<std::uint8_t>(i)));
  return KeyRing(std::move(keys));
}

bool CrashRun::run(const std::vector<Step>& steps) {
  if (!start()) return false;
  for (const Step& next : steps) {
    step(next);
    if (disk_.is_dead()) end(options_.death_is_power_loss ? End::kPowerLoss : End::kKill);
    if (problem_.empty() && store_ == nullptr) start();
    if (!problem_.empty()) return false;
  }
  end(options_.death_is_power_loss ? End::kPowerLoss : End::kKill);
  return start();
}

void CrashRun::end(End how) {
  // What a failed sync forgot may be gone although it had been written.
  if (store_ != nullptr && store_->failure()) written_ = std::min(written_, synced_);
  store_ = nullptr;
  record_file_ = nullptr;
  lock_ = nullptr;
  if (how == End::kPowerLoss) {
    disk_.lose_power();
    ++boots_;
    written_ = std::min(written_, synced_);
    may_doubt_ = true;
  } else {
    disk_.kill_process();
  }
}

bool CrashRun::start() {
  std::string last_error;
  for (unsigned i = 0; i < kTries; ++i) {
    ++lives_;
    auto lock = disk_.lock(kFolder);
    if (lock) {
      lock_ = std::move(*lock);
      auto state = recover(disk_, {kFolder, keys(), fmt::format("boot-{}", boots_)});
      if (!state) {
        last_error = state.error().message;
      } else {
        if (!verify(*state)) return false;
        if (open(std::move(*state))) return true;
        if (!problem_.empty()) return false;
      }
    } else {
      last_error = lock.error().text();
    }
    end(disk_.is_dead() && options_.death_is_power_loss ? End::kPowerLoss : End::kKill);
  }
  return fail("does not start: " + last_error);
}

bool CrashRun::verify(const RecoveredState& state) {
  return verify_record(state) && verify_snapshots(state) && verify_log(state);
}

bool CrashRun::verify_record(const RecoveredState& state) {
  if (state.is_new) {
    if (record_) return fail("the durable record is gone");
    return true;
  }
  if ((record_ && state.record == *record_) ||
      (record_being_saved_ && state.record == *record_being_saved_))
    return true;
  return fail("the durable record is neither the old nor the new one");
}

bool CrashRun::verify_snapshots(const RecoveredState& state) {
  // A snapshot that a strike made unreadable is passed over if the log has all that it holds.
  for (const std::string& warning : state.warnings)
    if (warning.find("Input/output error") != std::string::npos) return true;
  if (state.snapshots.empty()) {
    if (snapshot_ > 0) return fail(fmt::format("snapshot {} is gone", snapshot_));
    return true;
  }
  const RecoveredSnapshot& newest = state.snapshots.front();
  if (newest.index.value < snapshot_) return fail(fmt::format("snapshot {} is gone", snapshot_));
  auto reader = SnapshotReader::open(disk_, newest.path, keys());
  std::string content;
  for (;;) {
    Rope rope;
    auto more = reader ? (*reader)->next(rope) : tl::unexpected(reader.error());
    // A strike, not damage: another try will tell.
    if (!more && more.error().message.find("Input/output error") != std::string::npos) return true;
    if (!more) return fail(more.error().message);
    if (!*more) break;
    content += rope.str();
  }
  if (content != snapshots_[newest.index.value])
    return fail(fmt::format("snapshot {} holds something else", newest.index.value));
  return true;
}

bool CrashRun::verify_log(const RecoveredState& state) {
  const std::uint64_t last = state.log.last.value;
  const std::uint64_t base = state.snapshots.empty() ? 0 : state.snapshots.front().index.value;
  if (last < written_) return fail(fmt::format("entries {} to {} are lost", last + 1, written_));
  if (last < acknowledged_ && !state.tail_in_doubt)
    return fail(fmt::format("entries {} to {} are lost, and nothing is put in doubt", last + 1,
                            acknowledged_));
  if (!may_doubt_ && !state.is_new && !state.log.segments.empty() && state.tail_in_doubt)
    return fail("the tail is in doubt although only the process died");
  if (!state.can_load_behind(LogIndex{base})) return fail("a gap behind the snapshot");
  if (state.log.follows_snapshot || state.log.segments.empty()) return true;
  const Segment& oldest = state.log.segments.front();
  auto entries =
      load(disk_, keys(), state.log, LogIndex{oldest.first.value - 1}, oldest.previous_term, 100);
  if (!entries) {
    const bool is_strike = entries.error().message.find("Input/output error") != std::string::npos;
    return is_strike || fail("cannot be loaded: " + entries.error().message);
  }
  if (entries->size() != last + 1 - oldest.first.value) return fail("entries are missing");
  for (const Entry& entry : *entries) {
    const std::string text = text_of(entry);
    if (allowed_[entry.index.value].count(text) == 0)
      return fail(fmt::format("entry {} should not be there", shortened(text)));
  }
  const std::size_t in_doubt = last - state.log.synced.value;
  if (state.unsynced.size() != in_doubt) return fail("the unsynced entries are not those unsynced");
  return true;
}

// Adopts what was recovered: from now on that is the truth.
bool CrashRun::open(RecoveredState state) {
  const LogState& log = state.log;
  std::map<std::uint64_t, Entry> found;
  if (!log.follows_snapshot && !log.segments.empty()) {
    const Segment& oldest = log.segments.front();
    auto entries = load(disk_, keys(), log, LogIndex{oldest.first.value - 1}, oldest.previous_term);
    if (!entries) return false;
    for (Entry& entry : *entries) found[entry.index.value] = std::move(entry);
  }
  record_file_ = std::move(state.record_file);
  if (record_being_saved_ && state.record == *record_being_saved_) record_ = state.record;
  record_being_saved_.reset();
  if (state.is_new) {
    save_record();
    if (disk_.is_dead()) return false;
  }
  LogStoreOptions options = store_options(keys(), options_.seed * 1000 + lives_);
  options.fsync_mode = mode_;
  LogStore store(disk_, options, log);
  const std::uint64_t snapshot = state.snapshots.empty() ? 0 : state.snapshots.front().index.value;
  for (unsigned i = 0; i < kTries; ++i) {
    if (store.open(state.unsynced)) break;
    if (disk_.is_dead()) return false;
  }
  if (store.failure()) return fail("cannot be opened: " + store.failure()->text());
  store_ = std::make_unique<LogStore>(std::move(store));
  log_ = std::move(found);
  last_ = log.last.value;
  for (auto& [index, texts] : allowed_) {
    if (index > last_) texts.clear();
    if (log_.count(index) != 0) texts = {text_of(log_[index])};
  }
  term_ = std::max(term_, log.last_term);
  snapshot_ = std::max(snapshot_, snapshot);
  on_synced();
  save_record();
  if (disk_.is_dead()) return false;
  may_doubt_ = false;
  return true;
}

void CrashRun::on_synced() {
  synced_ = written_ = acknowledged_ = last_;
}

std::vector<Entry> CrashRun::unsynced() const {
  std::vector<Entry> entries;
  for (auto at = log_.upper_bound(store_->synced_index().value); at != log_.end(); ++at)
    entries.push_back(at->second);
  return entries;
}

bool CrashRun::heal() {
  for (unsigned i = 0; i < kTries; ++i) {
    if (store_->retry(unsynced())) {
      on_synced();
      return true;
    }
    if (disk_.is_dead()) return false;
  }
  return fail("does not heal: " + store_->failure()->text());
}

bool CrashRun::persist(const std::function<FileStatus()>& operation) {
  for (unsigned i = 0; i < kTries; ++i) {
    if (operation()) return true;
    if (disk_.is_dead()) return false;
    may_doubt_ = true;
    if (store_ != nullptr && store_->failure() && !heal()) return false;
  }
  return fail("an operation never succeeds");
}

void CrashRun::step(const Step& step) {
  switch (step.action) {
    case Action::kAppend:
      return append(step.amount, 20 + random_.below(300));
    case Action::kAppendLarge:
      return append(1, kLargeBytes);
    case Action::kSync:
      if (persist([&] { return store_->sync(); })) on_synced();
      return;
    case Action::kTruncate:
      return truncate(step.amount);
    case Action::kTerm:
      term_ = Term{term_.value + 1};
      return;
    case Action::kSnapshot:
      if (last_ > snapshot_ && last_ - snapshot_ <= log_.size())
        snapshot(LogIndex{snapshot_ + 1 + random_.below(last_ - snapshot_)});
      return;
    case Action::kRemoveBelow:
      if (snapshot_ == 0) return;
      for (const auto& [index, content] : snapshots_) {
        if (index >= snapshot_) continue;
        auto removed = disk_.remove(join_path(kFolder, snapshot_name(LogIndex{index})));
        if (!removed && disk_.is_dead()) return;
      }
      persist([&] { return store_->remove_below(LogIndex{snapshot_ + 1}); });
      return;
    case Action::kReset:
      return reset(step.amount);
    case Action::kMode:
      mode_ = static_cast<FsyncMode>((static_cast<unsigned>(mode_) + 1) % 3);
      if (persist([&] { return store_->roll(mode_); })) on_synced();
      return;
    case Action::kKeys:
      ++key_count_;
      if (persist([&] { return store_->roll(keys()); })) on_synced();
      return;
    case Action::kSaveRecord:
      return save_record();
    case Action::kStop:
      if (!persist([&] { return store_->close(); })) return;
      on_synced();
      record_being_saved_ = record_;
      record_being_saved_->running = false;
      if (!persist([&] { return record_file_->save(*record_being_saved_); })) return;
      record_ = record_being_saved_;
      return end(End::kStop);
    case Action::kKill:
      return end(End::kKill);
    case Action::kPowerLoss:
      return end(End::kPowerLoss);
  }
}

void CrashRun::append(unsigned count, std::size_t payload_bytes) {
  std::vector<Entry> entries;
  for (unsigned i = 0; i < count; ++i) {
    std::string payload = fmt::format("version {} ", ++version_);
    payload.resize(std::max(payload.size(), payload_bytes), static_cast<char>('a' + version_ % 26));
    entries.push_back(make_entry(++last_, term_.value, payload));
    allowed_[last_].insert(text_of(entries.back()));
    log_[last_] = entries.back();
  }
  const bool done = persist([&]() -> FileStatus {
    if (store_->last_index().value == last_) return {};  // healed
    auto written = store_->append(entries);
    if (!written) return tl::unexpected(written.error());
    return {};
  });
  if (!done) return;
  written_ = last_;
  if (mode_ != FsyncMode::kAlways) {
    acknowledged_ = last_;
  } else if (persist([&] { return store_->sync(); })) {
    on_synced();
  }
}

void CrashRun::truncate(unsigned count) {
  const std::uint64_t floor = std::max(snapshot_, store_->first_index().value - 1);
  if (last_ <= floor) return;
  const std::uint64_t from = last_ + 1 - std::min<std::uint64_t>(count, last_ - floor);
  const bool done = persist([&] {
    // From here on either is right.
    synced_ = std::min(synced_, from - 1);
    written_ = std::min(written_, from - 1);
    acknowledged_ = std::min(acknowledged_, from - 1);
    auto status = store_->truncate_suffix(LogIndex{from});
    if (store_->last_index().value < from) {
      last_ = from - 1;
      log_.erase(log_.lower_bound(from), log_.end());
    }
    return status;
  });
  if (!done) return;
  allowed_.erase(allowed_.lower_bound(from), allowed_.end());
  on_synced();
}

bool CrashRun::write_snapshot(LogIndex index, Term term) {
  std::string& content = snapshots_[index.value];
  content.clear();
  const std::string line = fmt::format("snapshot of {}, version {}; ", index.value, ++version_);
  for (int i = 0; i < 60; ++i) content += line;
  const std::string path = join_path(kFolder, snapshot_name(index));
  const std::string temporary = path + std::string(kTemporarySuffix);
  const auto salt = seeded_salts(options_.seed * 1'000'000 + version_);
  return persist([&]() -> FileStatus {
    auto removed = disk_.remove(temporary);
    if (!removed && removed.error().kind != FileErrorKind::kNotFound) return removed;
    FileHeader header;
    header.kind = FileKind::kSnapshot;
    header.log_id = kLogId;
    header.index = index;
    header.term = term;
    header.packing = options_.packing;
    header.salt = salt();
    auto writer = SnapshotWriter::create(disk_, temporary, header, keys());
    if (!writer) return tl::unexpected(writer.error());
    FileStatus done;
    for (std::size_t at = 0; done && at < content.size(); at += 1000)
      done = (*writer)->add(Rope::copy_of(std::string_view(content).substr(at, 1000)), 1);
    if (done) done = (*writer)->finish();
    if (done) done = disk_.rename(temporary, path);
    if (done) done = disk_.sync_dir(kFolder);
    return done;
  });
}

void CrashRun::snapshot(LogIndex index) {
  if (write_snapshot(index, log_[index.value].term)) snapshot_ = index.value;
}

// As if a primary had sent it: of a newer term, and maybe in conflict with the log.
void CrashRun::reset(unsigned distance) {
  if (last_ + distance < 2) return;
  const std::uint64_t index = last_ + distance - 2;
  if (index <= snapshot_) return;
  term_ = Term{term_.value + 1};
  const auto give_up = [&] {
    synced_ = std::min(synced_, index);
    written_ = std::min(written_, index);
    acknowledged_ = std::min(acknowledged_, index);
  };
  give_up();
  const Term term = term_;
  if (!write_snapshot(LogIndex{index}, term)) return;
  snapshot_ = index;
  const bool done = persist([&]() -> FileStatus {
    if (store_->last_term() == term) return {};  // healed
    give_up();
    auto status = store_->reset(LogIndex{index}, term, 0);
    last_ = index;
    log_.clear();
    return status;
  });
  if (!done) return;
  allowed_.clear();
  on_synced();
}

void CrashRun::save_record() {
  DurableRecord record;
  if (record_) record = *record_;
  record.log_id = kLogId;
  ++record.incarnation;
  record.running = true;
  record.boot_id = fmt::format("boot-{}", boots_);
  record.fsync_mode = mode_;
  record.members = {"one", "two", "three"};
  record_being_saved_ = record;
  if (!persist([&] { return record_file_->save(record); })) return;
  record_ = record;
  record_being_saved_.reset();
}

}  // namespace holdfast::log::test
