// CrashRun carries out a script of what a member does with its log, over a SimDisk that strikes,
// and knows what was acknowledged. Whenever the process dies it recovers, holds what it finds
// against that, and goes on with the script in the next life.
//
// What it demands of every recovery:
//   - it succeeds;
//   - each entry is one that was appended at its index and not truncated since; they follow the
//     snapshot without a gap;
//   - after a killed process nothing is missing whose append had returned; after a loss of power
//     nothing whose sync had returned; what is missing of the acknowledged is put in doubt;
//   - the newest snapshot that was finished is there and reads as it was written;
//   - the durable record is the last one that was saved, or the one that was being saved.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/log/fixture.hpp"

namespace holdfast::log::test {

enum class Action : std::uint8_t {
  kAppend,       // `amount` entries, small
  kAppendLarge,  // one of several fragments
  kSync,
  kTruncate,  // the last `amount` entries
  kTerm,      // a new term begins
  kSnapshot,
  kRemoveBelow,  // what the newest snapshot makes superfluous
  kReset,        // a snapshot from elsewhere, `amount` beyond the end
  kMode,         // the next fsync mode
  kKeys,         // the next key
  kSaveRecord,
  kStop,  // cleanly, and start again
  kKill,
  kPowerLoss,
};

struct Step {
  Action action = Action::kAppend;
  unsigned amount = 1;
};

class CrashRun {
 public:
  struct Options {
    std::uint64_t seed = 1;
    bool encrypted = false;
    Packing packing = Packing::kPlain;
    FsyncMode mode = FsyncMode::kEverySecond;
    bool death_is_power_loss = false;
  };
  CrashRun(Options options);

  sim::SimDisk& disk() { return disk_; }
  // False: what was demanded did not hold; `problem` says what.
  bool run(const std::vector<Step>& steps);
  const std::string& problem() const { return problem_; }
  unsigned lives() const { return lives_; }

 private:
  enum class End { kStop, kKill, kPowerLoss };

  bool start();  // recovers until it succeeds, verifies and opens
  bool verify(const RecoveredState& state);
  bool verify_log(const RecoveredState& state);
  bool verify_record(const RecoveredState& state);
  bool verify_snapshots(const RecoveredState& state);
  bool open(RecoveredState state);
  void end(End how);
  void step(const Step& step);
  void append(unsigned count, std::size_t payload_bytes);
  void truncate(unsigned count);
  void snapshot(LogIndex index);
  void reset(unsigned distance);
  void save_record();
  bool write_snapshot(LogIndex index, Term term);
  // Until the operation succeeds or the process dies; false: dead.
  bool persist(const std::function<FileStatus()>& operation);
  bool heal();
  void on_synced();
  bool fail(std::string problem);
  KeyRing keys() const;
  std::vector<Entry> unsynced() const;

  Options options_;
  sim::SimDisk disk_;
  Random random_;
  std::string problem_;
  unsigned lives_ = 0;
  unsigned boots_ = 1;
  unsigned key_count_ = 1;
  unsigned version_ = 0;  // makes payloads unlike each other
  Term term_{1};

  std::unique_ptr<FolderLock> lock_;
  std::unique_ptr<DurableRecordFile> record_file_;
  std::unique_ptr<LogStore> store_;

  // The model. Entries by index, from the first that was ever kept.
  std::map<std::uint64_t, Entry> log_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::set<std::string>> allowed_;
  std::uint64_t written_ = 0;  // acknowledged against the death of the process
  std::uint64_t synced_ = 0;   // and against a loss of power
  std::uint64_t acknowledged_ = 0;
  FsyncMode mode_;
  std::map<std::uint64_t, std::string> snapshots_;  // by index: content
  std::uint64_t snapshot_ = 0;                      // the newest that was finished
  std::map<std::uint64_t, Term> snapshot_terms_;
  std::optional<DurableRecord> record_;
  std::optional<DurableRecord> record_being_saved_;
  bool may_doubt_ = false;
  End last_end_ = End::kStop;
  std::uint64_t failed_syncs_before_ = 0;
};

}  // namespace holdfast::log::test
