// StorageThread runs a member's storage over a simulated disk as its log thread does: requests that
// wait together are carried out together, after a while, beside the loop. It knows what lies on the
// disk, by what storage said.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "replication/log/storage.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/machine.hpp"
#include "tests/support/sim_disk.hpp"

namespace holdfast::sim {

// Terms of the entries of a log, behind the entry at `before`.
struct TermsOfLog {
  LogIndex before;
  std::deque<Term> terms;

  LogIndex last_index() const { return {before.value + terms.size()}; }
  Term last_term() const { return terms.empty() ? Term{} : terms.back(); }
  bool holds(LogIndex index, Term term) const {
    if (index <= before) return true;
    const std::uint64_t at = index.value - before.value - 1;
    return at < terms.size() && terms[at] == term;
  }
  void truncate(LogIndex from) {
    while (!terms.empty() && before.value + terms.size() >= from.value) terms.pop_back();
  }
};

class StorageThread {
 public:
  using Deliver = std::function<void(log::StorageEvents events, log::StorageFigures figures)>;
  // `deliver` is called on this thread; `on_death` when the disk struck in the middle of something.
  StorageThread(Timeline& timeline, Random& random, const Machine& machine, SimDisk& disk,
                log::StorageOptions options, DiskTiming timing, Deliver deliver,
                std::function<void()> on_death);
  ~StorageThread();

  void post(std::vector<log::Request> requests);
  // Some of what waits is carried out, and nobody hears of it: the process is dying.
  void die(std::uint64_t operations);

  const TermsOfLog& on_disk() const { return on_disk_; }
  bool is_loaded() const { return is_loaded_; }
  // The part of it that what is under way leaves alone.
  TermsOfLog lasting_on_disk() const;
  const std::optional<log::DurableRecord>& record() const { return record_; }

 private:
  void schedule();
  void run();
  void note(const log::StorageEvents& events);
  void note_persisted(log::WriteNumber write);

  Timeline& timeline_;
  Random& random_;
  const Machine& machine_;
  SimDisk& disk_;
  DiskTiming timing_;
  Deliver deliver_;
  std::function<void()> on_death_;
  log::Storage storage_;
  std::vector<log::Request> waiting_;
  bool has_started_ = false;
  bool is_loaded_ = false;
  bool is_busy_ = false;
  TrueTime wakes_at_ = -1;
  // A scheduled action outlives this object when the process is killed.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  // Not persisted yet: what each write does to the log.
  struct Change {
    log::WriteNumber write = 0;
    std::optional<LogIndex> reset;
    LogIndex truncate_from;
    std::vector<Term> terms;
  };
  std::deque<Change> changes_;
  TermsOfLog on_disk_;
  std::deque<std::pair<log::WriteNumber, log::DurableRecord>> records_;
  std::optional<log::DurableRecord> record_;
};

}  // namespace holdfast::sim
