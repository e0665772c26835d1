// History judges what clients of whole nodes were told, key by key, against the committed log. The
// log orders all writes, so that linearizability is exact here, without search: a value that was
// shown is the version that wrote it, and it must be no older than what had been shown before it
// was asked for; a key that was shown as absent must have a deletion in the log, also if its time
// was up. Expiry is part of it: never before its time by the log's own times, never shown when
// every clock says that it is over, and once gone it stays gone.
//
// Values name their writes: no value is written twice to a key, but for numbers that a counter
// comes to again after FLUSHALL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replication/log/entry.hpp"
#include "server/keyspace/mutation_codec.hpp"
#include "tests/sim/checker.hpp"
#include "tests/sim/timeline.hpp"

namespace holdfast::sim {

class History {
 public:
  // Without promises nothing is said of what clients are shown, only of the log and of what was
  // refused: with acks: async, writes that were acknowledged or seen may be lost.
  History(Checker& checker, bool is_promised) : checker_(checker), is_promised_(is_promised) {}

  // The next entry that is committed.
  void on_committed(const log::Entry& entry);
  // What was committed behind `kept` is lost: no machine has it any more.
  void on_loss(LogIndex kept);

  // What had been shown of a key when something was asked, at `time`.
  struct Asked {
    LogIndex shown;
    std::size_t losses = 0;
    TrueTime time = 0;
  };
  Asked asked(const std::string& key, TrueTime time) const;

  // Replies. Each tells what else was shown of the key by it, for what follows on the connection.
  void on_written(const std::string& key, const std::string& value, Asked& asked);
  // `index`: of the entry that the request made.
  void on_deleted(const std::string& key, LogIndex index, Asked& asked);
  void on_flushed(LogIndex index);
  void on_value(const std::string& key, const std::string& value, Asked& asked);
  void on_absent(const std::string& key, Asked& asked);
  // With some value.
  void on_present(const std::string& key, Asked& asked);
  // It was said not to be carried out.
  void on_refused(const std::string& key, const std::string& value);

  void fail(std::string text) { checker_.fail(std::move(text)); }
  Checker& checker() { return checker_; }

 private:
  struct Version {
    LogIndex index;
    bool is_there = false;
    std::string value;
    UnixMs expire_at = 0;  // 0: never
  };
  using Versions = std::vector<Version>;

  void add(const keyspace::Put& put, const log::Entry& entry);
  void add(const keyspace::Delete& del, const log::Entry& entry);
  void add(const keyspace::Expire& expire, const log::Entry& entry);
  void add(const keyspace::Flush& flush, const log::Entry& entry);
  void add(const keyspace::Marker&, const log::Entry&) {}
  template <typename Other>
  void add(const Other&, const log::Entry&) {
    fail("the log holds a mutation that no client asked for");
  }
  // The first version that may be shown, as an index into the versions; it may be one before the
  // first.
  static std::size_t first_allowed(const Versions& versions, LogIndex shown);
  void settle(Asked& asked) const;
  bool is_void(const Asked& asked) const { return asked.losses != losses_.size(); }
  // `value` null: with some value.
  void on_shown(const std::string& key, const std::string* value, Asked& asked);
  // By every clock.
  static bool is_over(const Version& version, const Asked& asked);
  void show(const std::string& key, LogIndex index, Asked& asked);

  Checker& checker_;
  bool is_promised_;
  std::map<std::string, Versions> versions_;
  std::map<std::string, LogIndex> shown_;
  std::set<std::pair<std::string, std::string>> refused_;
  std::vector<LogIndex> losses_;
  UnixMs last_time_ = 0;
};

}  // namespace holdfast::sim
