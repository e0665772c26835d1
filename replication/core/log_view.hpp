// LogView is what the replica knows of its own log: which term every entry has, what is persisted,
// and the last entries themselves.
//
//   base            the entry before the first that is known: that of a snapshot, or 0
//   runs            (first index, term), so that terms cost memory by election and not by entry
//   backlog         the last entries, contiguous up to last_index; older ones are on disk
//   pending writes  number and last index of the writes on their way to the disk
//
// Invariants: terms do not decrease; an entry leaves the backlog only when it is persisted; an
// index counts as persisted only by a write that carried the entry that is there *now*: truncating
// takes the index away from the writes that are under way.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "protocol/wire/message.hpp"
#include "replication/core/config.hpp"
#include "replication/core/entry_ring.hpp"
#include "replication/core/event.hpp"
#include "replication/core/start.hpp"
#include "replication/log/entry.hpp"

namespace holdfast::core {

class LogView {
 public:
  explicit LogView(const Start& start);

  LogIndex base_index() const { return base_.index; }
  LogIndex last_index() const { return last_; }
  Term last_term() const { return runs_.empty() ? base_.term : runs_.back().term; }
  LogIndex persisted() const { return persisted_; }
  // Of an entry from base to last; otherwise nothing.
  std::optional<Term> term_at(LogIndex index) const;
  // The largest index <= `index` whose term is <= `term`, or the base.
  LogIndex last_with_term_at_most(LogIndex index, Term term) const;

  // Null: not in the backlog.
  const log::Entry* entry(LogIndex index) const;
  LogIndex backlog_first() const { return {last_.value + 1 - backlog_.size()}; }
  std::size_t backlog_bytes() const { return backlog_bytes_; }

  // REQUIRES: entry.index == last_index + 1, entry.term >= last_term.
  void append(const log::Entry& entry);
  // All up to last_index is on its way to disk with `write`.
  void note_write(WriteNumber write);
  // Forgets entries from `from` on. REQUIRES: base < from <= last.
  void truncate(LogIndex from);
  // The log ends at `snapshot`; persisted with `write`.
  void reset(wire::SnapshotId snapshot, WriteNumber write);
  void on_persisted(WriteNumber write);
  // Entries below `first` are not on disk any more.
  void forget_before(LogIndex first);
  // Drops old persisted entries up to `through` from the backlog while it is above its limit.
  void trim_backlog(std::size_t bytes_max, LogIndex through);

 private:
  struct PendingWrite {
    WriteNumber write = 0;
    LogIndex last;
  };
  std::size_t run_of(LogIndex index) const;

  wire::SnapshotId base_;
  LogIndex last_;
  LogIndex persisted_;
  std::vector<TermRun> runs_;
  EntryRing backlog_;
  std::size_t backlog_bytes_ = 0;
  std::deque<PendingWrite> pending_;
};

}  // namespace holdfast::core
