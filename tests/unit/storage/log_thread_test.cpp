#include "server/storage/log_thread.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>

#include "server/storage/machine.hpp"
#include "server/storage/posix_file_system.hpp"
#include "tests/unit/storage/folder.hpp"
#include "tests/unit/storage/gated_file_system.hpp"

namespace holdfast::storage::test {

namespace {

constexpr auto kDeadline = std::chrono::seconds(60);

log::StorageOptions options_for(const std::string& folder,
                                log::FsyncMode mode = log::FsyncMode::kEverySecond) {
  log::StorageOptions options;
  options.folder = folder;
  options.fsync_mode = mode;
  options.boot_id = machine_boot_id();
  options.next_salt = random_salt;
  return options;
}

// The loop's side of a log thread: waits until it is woken, takes what there is.
class Owner {
 public:
  explicit Owner(log::StorageOptions options,
                 std::unique_ptr<log::FileSystem> files = std::make_unique<PosixFileSystem>())
      : thread_(std::move(files), std::move(options), [this] {
          const std::lock_guard lock(mutex_);
          ++wakes_;
          changed_.notify_all();
        }) {}

  LogThread& thread() { return thread_; }
  std::uint64_t wakes() {
    const std::lock_guard lock(mutex_);
    return wakes_;
  }

  // False: not before the deadline.
  template <typename Condition>
  bool wait_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (!condition()) {
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_until(lock, deadline, [&] { return wakes_ != wakes_seen_; }))
          return false;
        wakes_seen_ = wakes_;
      }
      take();
    }
    return true;
  }
  void take() {
    log::StorageEvents events = thread_.take_events();
    for (log::StorageEvent& event : events.events) on(event);
    for (const auto& entries : events.spent_entries) spent_entries += entries.size();
    spent_ropes += events.spent_ropes.size();
  }

  bool load() {
    post(log::LoadRequest{});
    return wait_until([&] { return is_loaded || !refusal.empty(); }) && is_loaded;
  }
  void post(log::Request request) {
    std::vector<log::Request> requests;
    requests.push_back(std::move(request));
    thread_.post(std::move(requests));
  }
  // One entry, whose payload lies in the same block as those of its neighbours.
  void append(std::string_view payload) { post(make_append(payload)); }
  // The same, on this thread. False: it has to be posted, and was not.
  bool append_now(std::string_view payload) {
    std::vector<log::Request> requests;
    requests.emplace_back(make_append(payload));
    std::optional<log::StorageEvents> events = thread_.write_now(requests);
    if (!events) {
      --last;
      --written;
      return false;
    }
    for (log::StorageEvent& event : events->events) on(event);
    return true;
  }
  log::AppendRequest make_append(std::string_view payload) {
    log::Entry entry;
    entry.index = LogIndex{++last};
    entry.term = Term{1};
    entry.kind = log::EntryKind::kMutations;
    arena_.append(payload);
    entry.payload = arena_.take();
    log::AppendRequest append;
    append.write = ++written;
    append.entries.push_back(std::move(entry));
    return append;
  }
  bool wait_persisted() {
    return wait_until([&] { return persisted == written; });
  }

  log::Recovered recovered;
  std::vector<std::string> loaded;
  bool is_loaded = false;
  std::string refusal;
  std::string failure;
  bool is_healthy = true;
  bool is_stopped = false;
  bool is_clean = false;
  log::WriteNumber written = 0;
  log::WriteNumber persisted = 0;
  std::uint64_t last = 0;
  std::size_t snapshots_done = 0;
  std::string snapshot_content;
  std::size_t spent_entries = 0;
  std::size_t spent_ropes = 0;

 private:
  void on(log::StorageEvent& event) {
    if (auto* found = std::get_if<log::Recovered>(&event)) {
      recovered = std::move(*found);
      last = recovered.last_index.value;
    }
    if (auto* block = std::get_if<log::LoadedBlock>(&event)) {
      snapshot_content += block->snapshot_mutations.str();
      for (const log::Entry& entry : block->entries) loaded.push_back(entry.payload.str());
      post(log::LoadRequest{});
    }
    if (std::holds_alternative<log::Loaded>(event)) is_loaded = true;
    if (auto* refused = std::get_if<log::Refused>(&event)) refusal = std::move(refused->text);
    if (const auto* what = std::get_if<log::Persisted>(&event)) persisted = what->write;
    if (auto* failed = std::get_if<log::Failed>(&event)) {
      failure = std::move(failed->text);
      is_healthy = false;
    }
    if (std::holds_alternative<log::Healthy>(event)) is_healthy = true;
    if (std::holds_alternative<log::SnapshotDone>(event)) ++snapshots_done;
    if (const auto* stopped = std::get_if<log::Stopped>(&event)) {
      is_stopped = true;
      is_clean = stopped->is_clean;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t wakes_ = 0;
  std::uint64_t wakes_seen_ = 0;
  RopeArena arena_;
  LogThread thread_;
};

bool stop(Owner& owner) {
  if (!owner.thread().stop(kDeadline)) return false;
  owner.take();
  return owner.is_stopped && owner.is_clean;
}

}  // namespace

TEST_CASE("what was appended is there after a restart", "[log_thread]") {
  const TemporaryFolder folder;
  const auto mode = GENERATE(log::FsyncMode::kEverySecond, log::FsyncMode::kAlways);
  {
    Owner owner(options_for(folder.path() + "/data", mode));
    REQUIRE(owner.load());
    CHECK(owner.recovered.is_new);
    for (int i = 0; i < 500; ++i) owner.append("entry " + std::to_string(i));
    REQUIRE(owner.wait_persisted());
    CHECK(owner.thread().queued_bytes() == 0);
    CHECK(owner.thread().figures().log_bytes > 500 * 10);
    REQUIRE(stop(owner));
    CHECK(owner.spent_entries == 500);
  }
  Owner owner(options_for(folder.path() + "/data", mode));
  REQUIRE(owner.load());
  CHECK(!owner.recovered.is_new);
  CHECK(!owner.recovered.tail_in_doubt);
  REQUIRE(owner.loaded.size() == 500);
  CHECK(owner.loaded[499] == "entry 499");
}

TEST_CASE("a thread that is dropped without a stop stops cleanly", "[log_thread]") {
  const TemporaryFolder folder;
  {
    Owner owner(options_for(folder.path()));
    REQUIRE(owner.load());
    owner.append("one");
  }
  Owner owner(options_for(folder.path()));
  REQUIRE(owner.load());
  CHECK(owner.loaded == std::vector<std::string>{"one"});
}

TEST_CASE("a snapshot is written between appends and loaded first", "[log_thread]") {
  const TemporaryFolder folder;
  {
    Owner owner(options_for(folder.path()));
    REQUIRE(owner.load());
    for (int i = 0; i < 10; ++i) owner.append("early");
    REQUIRE(owner.wait_persisted());
    log::BeginSnapshotRequest begin;
    begin.index = LogIndex{10};
    begin.term = Term{1};
    owner.post(begin);
    RopeArena arena;
    for (int i = 0; i < 200; ++i) {
      arena.append(std::string(1000, static_cast<char>('a' + i % 26)));
      owner.post(log::SnapshotBlockRequest{arena.take(), 1});
      owner.append("late " + std::to_string(i));
    }
    owner.post(log::FinishSnapshotRequest{});
    REQUIRE(owner.wait_until([&] { return owner.snapshots_done == 1; }));
    REQUIRE(owner.wait_persisted());
    CHECK(owner.spent_ropes == 200);
    REQUIRE(stop(owner));
  }
  Owner owner(options_for(folder.path()));
  REQUIRE(owner.load());
  CHECK(owner.snapshot_content.size() == 200'000);
  CHECK(owner.recovered.snapshot_index == LogIndex{10});
  REQUIRE(owner.loaded.size() == 200);
  CHECK(owner.loaded[199] == "late 199");
}

TEST_CASE("a second server on the same folder is refused", "[log_thread]") {
  const TemporaryFolder folder;
  Owner first(options_for(folder.path()));
  REQUIRE(first.load());
  Owner second(options_for(folder.path()));
  REQUIRE(second.wait_until([&] { return !second.refusal.empty(); }));
  CHECK(second.refusal.find("another server is using this data folder") != std::string::npos);
  CHECK(second.refusal.find("a data folder of its own") != std::string::npos);
  CHECK(second.thread().stop(kDeadline));
  second.take();
  CHECK(second.is_stopped);
  CHECK(!second.is_clean);
}

TEST_CASE("nothing waits for a disk that does not answer", "[log_thread]") {
  const TemporaryFolder folder;
  Gate gate;
  Owner owner(options_for(folder.path(), log::FsyncMode::kAlways),
              std::make_unique<GatedFileSystem>(std::make_unique<PosixFileSystem>(), gate));
  REQUIRE(owner.load());
  owner.append("one");
  REQUIRE(owner.wait_persisted());
  gate.close();
  const std::uint64_t wakes = owner.wakes();
  owner.append("two");
  REQUIRE(gate.wait_for_someone(kDeadline));
  for (int i = 0; i < 100; ++i) owner.append(std::string(1000, 'x'));
  CHECK(owner.thread().queued_bytes() >= 100'000);
  owner.take();
  CHECK(owner.persisted == 1);
  CHECK(owner.wakes() == wakes);
  const std::uint64_t syncs = owner.thread().figures().fsyncs;
  gate.open();
  REQUIRE(owner.wait_persisted());
  CHECK(owner.thread().queued_bytes() == 0);
  // Those that waited together were synced together.
  CHECK(owner.thread().figures().fsyncs <= syncs + 2);
  CHECK(owner.thread().figures().fsync_us_max > 0);
  CHECK(stop(owner));
}

TEST_CASE("the owner is woken once until it takes the events", "[log_thread]") {
  const TemporaryFolder folder;
  Owner owner(options_for(folder.path()));
  REQUIRE(owner.load());
  owner.take();
  const std::uint64_t wakes = owner.wakes();
  // The queue is empty when an append is written; its event is there shortly after.
  for (int i = 0; i < 50; ++i) owner.append("x");
  REQUIRE(owner.thread().stop(kDeadline));
  CHECK(owner.wakes() == wakes + 1);
  owner.take();
  CHECK(owner.persisted == owner.written);
}

TEST_CASE("a stop has a bound, and a thread that is stuck wakes nobody", "[log_thread]") {
  const TemporaryFolder folder;
  static Gate& gate = *new Gate;  // for as long as the thread, which is left to itself
  Owner owner(options_for(folder.path(), log::FsyncMode::kAlways),
              std::make_unique<GatedFileSystem>(std::make_unique<PosixFileSystem>(), gate));
  REQUIRE(owner.load());
  gate.close();
  owner.append("one");
  REQUIRE(gate.wait_for_someone(kDeadline));
  owner.take();
  const std::uint64_t wakes = owner.wakes();
  CHECK(!owner.thread().stop(std::chrono::milliseconds(20)));
  CHECK(!owner.thread().stop(std::chrono::milliseconds(20)));
  gate.open();
  // It goes on to the end, where it leaves the folder.
  PosixFileSystem files;
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  bool is_free = false;
  while (!is_free && std::chrono::steady_clock::now() < deadline)
    is_free = files.lock(folder.path()).has_value();
  CHECK(is_free);
  CHECK(owner.wakes() == wakes);
}

TEST_CASE("a full disk is said with its remedy, and healed by room on it", "[log_thread]") {
  const SmallVolume volume(1 << 20);
  if (!volume.ok()) return;  // no right to mount
  const std::string ballast = volume.path() + "/ballast";
  std::ofstream(ballast) << std::string(600 * 1024, 'x');
  {
    Owner owner(options_for(volume.path() + "/data",
                            GENERATE(log::FsyncMode::kEverySecond, log::FsyncMode::kAlways)));
    REQUIRE(owner.load());
    while (owner.is_healthy) {
      owner.append(std::string(10'000, static_cast<char>('a' + owner.last % 26)));
      REQUIRE(
          owner.wait_until([&] { return owner.persisted == owner.written || !owner.is_healthy; }));
    }
    CHECK(owner.failure.find("No space left on device") != std::string::npos);
    CHECK(owner.failure.find("free space on the volume of " + volume.path()) != std::string::npos);
    CHECK(owner.persisted < owner.written);
    std::filesystem::remove(ballast);
    REQUIRE(owner.wait_until([&] { return owner.is_healthy; }));
    CHECK(owner.persisted == owner.written);
    owner.append("more");
    REQUIRE(owner.wait_persisted());
    REQUIRE(stop(owner));
  }
  Owner owner(options_for(volume.path() + "/data"));
  REQUIRE(owner.load());
  CHECK(owner.loaded.back() == "more");
}

TEST_CASE("a read-only folder is refused with its remedy", "[log_thread]") {
  SmallVolume volume(1 << 20);
  if (!volume.ok()) return;  // no right to mount
  { Owner owner(options_for(volume.path())); }
  REQUIRE(volume.make_read_only());
  Owner owner(options_for(volume.path()));
  REQUIRE(owner.wait_until([&] { return !owner.refusal.empty(); }));
  CHECK(owner.refusal.find("Read-only file system") != std::string::npos);
  CHECK(owner.refusal.find("mount it writable") != std::string::npos);
}

TEST_CASE("a small write is done at once while the thread has nothing to do", "[log_thread]") {
  const TemporaryFolder folder;
  const std::size_t count = 2'000;
  std::size_t done_at_once = 0;
  {
    Owner owner(options_for(folder.path()));
    REQUIRE(owner.load());
    for (std::size_t i = 0; i < count; ++i) {
      const std::string payload = "entry " + std::to_string(i);
      if (i % 3 != 0 && owner.append_now(payload)) {
        ++done_at_once;
        REQUIRE(owner.persisted == owner.written);
      } else {
        owner.append(payload);
        REQUIRE(owner.wait_persisted());
      }
    }
    CHECK(done_at_once > 0);
    CHECK(!owner.append_now(std::string(100'000, 'x')));
    REQUIRE(stop(owner));
  }
  Owner again(options_for(folder.path()));
  REQUIRE(again.load());
  REQUIRE(again.loaded.size() >= count);
  std::size_t entries = 0;
  for (const std::string& payload : again.loaded)
    if (payload == "entry " + std::to_string(entries)) ++entries;
  CHECK(entries == count);
  REQUIRE(stop(again));
}

TEST_CASE("what must be synced first is not done at once", "[log_thread]") {
  const TemporaryFolder folder;
  Owner owner(options_for(folder.path(), log::FsyncMode::kAlways));
  REQUIRE(owner.load());
  owner.append("first");
  REQUIRE(owner.wait_persisted());
  CHECK(!owner.append_now("second"));
  REQUIRE(stop(owner));
}

}  // namespace holdfast::storage::test
