// SimDisk is a FileSystem in memory that does to its user whatever file_system.hpp allows a disk to
// do, repeatably: same seed and same calls, same outcome. For unit tests and the simulator.
//
// Two kinds of end: `kill_process` (what was written stays) and `lose_power` (what was not synced
// is lost in sectors of 512 bytes: each shows its old bytes, any of the versions written since, or
// a mixture of two; the size is anything between; names are as after any subset of the operations
// since the last sync_dir, or after the first so many of them). A sync that failed has written some
// sectors and forgotten the others: the process goes on reading them, but no later sync writes
// them, and at the latest the next end turns them back.
//
// Operations (all calls of FileSystem and File that can fail) are numbered from 0, so that a test
// can repeat a run and strike at each. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "replication/log/file_system.hpp"

namespace holdfast::sim {

class SimDisk final : public log::FileSystem {
 public:
  explicit SimDisk(std::uint64_t seed);
  ~SimDisk() override;

  enum class Strike : std::uint8_t {
    kError,       // fails with `error`; a write may have done a part
    kShortWrite,  // a write does only a part and says so; nothing for other operations
    kDeath,       // the process dies in it: a part may be done; every later operation fails too
  };
  struct Fault {
    Strike strike = Strike::kError;
    log::FileErrorKind error = log::FileErrorKind::kIo;
  };
  void strike_at(std::uint64_t operation, Fault fault) { faults_[operation] = fault; }
  void clear_strikes() { faults_.clear(); }
  // Chances of every operation of a kind, in a million.
  struct Weather {
    std::uint32_t short_write = 0;
    std::uint32_t write_error = 0;
    std::uint32_t sync_error = 0;
    std::uint32_t read_error = 0;
  };
  void set_weather(Weather weather) { weather_ = weather; }
  // Syncs that are begun (File::begin_sync) go on for a while, and cover what was written before.
  void set_slow_syncs(bool slow) { slow_syncs_ = slow; }
  // Of all files together; beyond it writes do what fits and then fail with kNoSpace.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }

  std::uint64_t operations() const { return operations_; }
  // The last operation that was struck: "fsync /data/log-1.tmp"; empty if none was.
  const std::string& struck() const { return struck_; }
  std::uint64_t failed_syncs() const { return failed_syncs_; }
  bool is_dead() const { return is_dead_; }

  // Handles and locks of the process are void then.
  void kill_process();
  void lose_power();

  // Without faults and counting; what is set is durable.
  std::vector<std::string> paths() const;
  std::string content(const std::string& path) const;
  void set_content(const std::string& path, std::string bytes);
  void erase(const std::string& path);

  // --- FileSystem
  log::FileResult<std::unique_ptr<log::File>> open(const std::string& path,
                                                   log::OpenMode mode) override;
  log::FileResult<std::vector<std::string>> list(const std::string& folder) override;
  log::FileStatus rename(const std::string& from, const std::string& to) override;
  log::FileStatus remove(const std::string& path) override;
  log::FileStatus make_dir(const std::string& folder) override;
  log::FileStatus sync_dir(const std::string& folder) override;
  log::FileResult<std::unique_ptr<log::FolderLock>> lock(const std::string& folder) override;
  log::FileResult<std::uint64_t> free_bytes(const std::string& folder) override;

 private:
  class Handle;
  class Lock;
  struct Inode;
  // One change of names, applied whole or not at all.
  struct NameChange {
    std::string folder;
    std::vector<std::pair<std::string, std::shared_ptr<Inode>>> names;  // null: gone
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  enum class Kind : std::uint8_t { kRead, kWrite, kSync, kName };
  struct Outcome {
    bool fails = false;
    bool is_partial = false;  // do a part of it, if there are parts
    log::FileError error;
  };

  Outcome begin(Kind kind, const char* operation, const std::string& path);
  void change_names(NameChange change);
  static void apply(const NameChange& change, Names& names);
  std::uint64_t used_bytes() const;
  bool chance(std::uint32_t in_a_million) { return random_.below(1'000'000) < in_a_million; }

  Random random_;
  Names names_;
  Names durable_names_;
  std::vector<NameChange> pending_names_;
  std::set<std::string> folders_;
  std::set<std::string> locked_;
  std::uint64_t process_ = 0;  // grows with every end
  bool is_dead_ = false;
  std::uint64_t operations_ = 0;
  std::uint64_t failed_syncs_ = 0;
  std::map<std::uint64_t, Fault> faults_;
  std::string struck_;
  Weather weather_;
  std::uint64_t capacity_ = UINT64_MAX;
  bool slow_syncs_ = false;
};

}  // namespace holdfast::sim
