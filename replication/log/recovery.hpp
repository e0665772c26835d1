// Recovery says what a data folder holds after whatever happened to it: where the log stands, which
// snapshots there are, and what was lost. It decides between a torn tail, which is dropped and
// said, and corruption, which is an Error that names file, offset and the way out; it never
// guesses. What holds between the files, on which it relies, is in format.hpp.
//
// It looks at the headers of all files and reads, record by record, those segments that hold
// entries behind the newest snapshot. Older segments, and the blocks of snapshots, are checked when
// they are read. In memory is only what was not synced: less than one segment.
//
// It changes nothing that counts: it removes leftovers (.tmp files, segments that are void), and
// writes the durable record's last slot again (see DurableRecordFile). REQUIRES: the folder is
// locked by the caller.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/durable_record.hpp"
#include "replication/log/entry.hpp"
#include "replication/log/file_system.hpp"
#include "replication/log/log_store.hpp"

namespace holdfast::log {

struct RecoveryOptions {
  std::string folder;  // is there
  KeyRing keys;
  std::string boot_id;  // of the machine's present boot
};

struct RecoveredSnapshot {
  std::string path;
  LogIndex index;
  Term term;  // of the entry at index
  UnixMs time = 0;
  std::uint64_t digest_seed = 0;
  std::uint64_t file_bytes = 0;
};

struct RecoveredState {
  // Nothing in the folder: neither a record nor a log. Then `record` is to be filled in and saved
  // before a segment is begun.
  bool is_new = false;
  std::unique_ptr<DurableRecordFile> record_file;  // never null
  DurableRecord record;

  // For LogStore, which is given `unsynced` when it is opened: the entries above log.synced through
  // log.last. With log.follows_snapshot the log is void and stands at the newest snapshot.
  LogState log;
  std::vector<Entry> unsynced;

  // Newest first, those that look whole: header and trailer are right. Only reading tells whether
  // the blocks are. If they are not, the next one that `can_load_behind` takes its place, and after
  // the last one the log alone; if that cannot, the folder is to be refused.
  std::vector<RecoveredSnapshot> snapshots;
  // The log has all entries behind `index` (0: from the very first on) and everything that a newer
  // snapshot holds.
  bool can_load_behind(LogIndex index) const;

  // Acknowledged entries may be missing at the end: a record that may have been complete was
  // dropped, or the machine went down without a clean stop; unless the log was written with
  // `always` and the machine did go down (what was dropped then was never acknowledged).
  bool tail_in_doubt = false;

  // Lines for the operator.
  std::vector<std::string> notes;
  std::vector<std::string> warnings;
};

Result<RecoveredState> recover(FileSystem& files, const RecoveryOptions& options);

}  // namespace holdfast::log
