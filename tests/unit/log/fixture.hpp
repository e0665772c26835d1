// Entries, keys and folders for tests of the log.
#pragma once

#include <string>
#include <vector>

#include "base/random.hpp"
#include "replication/log/cipher.hpp"
#include "replication/log/entry.hpp"
#include "replication/log/log_reader.hpp"
#include "replication/log/log_store.hpp"
#include "replication/log/recovery.hpp"
#include "replication/log/snapshot_file.hpp"
#include "tests/support/sim_disk.hpp"

namespace holdfast::log::test {

inline const std::string kFolder = "/data";
inline constexpr LogId kLogId{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

inline Entry make_entry(std::uint64_t index, std::uint64_t term, std::string_view payload,
                        EntryKind kind = EntryKind::kMutations) {
  Entry entry;
  entry.index = LogIndex{index};
  entry.term = Term{term};
  entry.time = 1'700'000'000'000 + static_cast<UnixMs>(index);
  entry.kind = kind;
  entry.payload = Rope::copy_of(payload);
  return entry;
}

inline MasterKey make_key(std::uint8_t seed) {
  MasterKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(seed * 7 + i);
  return key;
}

inline std::function<Salt()> seeded_salts(std::uint64_t seed) {
  return [random = Random(seed)]() mutable {
    Salt salt;
    for (std::uint8_t& byte : salt) byte = static_cast<std::uint8_t>(random.next());
    return salt;
  };
}

inline LogStoreOptions store_options(KeyRing keys = {}, std::uint64_t seed = 1) {
  LogStoreOptions options;
  options.folder = kFolder;
  options.log_id = kLogId;
  options.segment_bytes_max = 2048;
  options.keys = std::move(keys);
  options.next_salt = seeded_salts(seed);
  return options;
}

// "index/term:payload" of each; what tests compare.
inline std::vector<std::string> texts(const std::vector<Entry>& entries) {
  std::vector<std::string> all;
  for (const Entry& entry : entries) {
    all.push_back(std::to_string(entry.index.value) + "/" + std::to_string(entry.term.value) + ":" +
                  entry.payload.str());
  }
  return all;
}

// All entries of a recovered log behind `after`.
inline Result<std::vector<Entry>> load(FileSystem& files, const KeyRing& keys, const LogState& log,
                                       LogIndex after, Term after_term,
                                       std::size_t payload_bytes_max = 1000) {
  LogReader reader(files, keys, log.segments, after, after_term, log.last);
  std::vector<Entry> all;
  for (;;) {
    auto some = reader.next(payload_bytes_max);
    if (!some) return some;
    if (some->empty()) return all;
    for (Entry& entry : *some) all.push_back(std::move(entry));
  }
}

}  // namespace holdfast::log::test
