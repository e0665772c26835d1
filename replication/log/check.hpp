// Check reads a data folder through and says what is in it and what is wrong: `holdfast check`.
// Unlike recovery it looks at every byte, of old segments and snapshots too, and goes on behind the
// first damage.
//
// Without `repair` it only reads. With it, and only if there is damage, it gives up what cannot be
// read so that a server starts again:
//   - a damaged snapshot is set aside, if an older one and the log have all that is needed;
//   - a damaged part of the log that a good snapshot makes superfluous is set aside;
//   - else the log is cut before the damage, and what follows is set aside: those entries are lost.
// Set aside means kept in the folder under the name <file>.damaged; the cut part of a segment, too.
// After a loss the durable record says `recovering`: this member neither votes nor counts until it
// has caught up. What cannot be repaired is left untouched.
//
// A torn tail is no damage (it is what a crash leaves; the next start drops it). REQUIRES: the
// caller holds the folder's lock; a running server writes on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "replication/log/cipher.hpp"
#include "replication/log/file_system.hpp"

namespace holdfast::log {

struct CheckOptions {
  std::string folder;
  KeyRing keys;
  bool repair = false;
};

struct Damage {
  std::string path;
  std::optional<std::uint64_t> offset;
  std::string problem;
  std::string text() const;  // "path: offset 17: problem"
};

// Exit status of the command.
enum class CheckVerdict : std::uint8_t {
  kHealthy = 0,    // a server starts with everything that is there (also: was repaired)
  kDamaged = 1,    // damage, listed
  kUnreadable = 2  // nothing can be said: no folder, missing key, unknown version, failing disk
};

struct CheckReport {
  CheckVerdict verdict = CheckVerdict::kHealthy;
  std::vector<std::string> lines;    // for people: a line a file, then the sum of it
  std::vector<Damage> damages;       // as they were found, before a repair
  std::vector<std::string> repairs;  // what a repair would do, or has done
  bool is_repaired = false;
};

CheckReport check(FileSystem& files, const CheckOptions& options);

}  // namespace holdfast::log
