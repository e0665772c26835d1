// StorageMember drives a Storage over a SimDisk as a member's loop would, keeps a model beside it,
// and judges what a restart finds. Time stands still but for `wait`.
//
// The model is the list of entries as texts. A snapshot's content is the texts through its index,
// so that "snapshot + log" must always be a prefix of the list, and must hold every entry that was
// said to be persisted (for a loss of power: persisted with `always`, or synced).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "replication/log/storage.hpp"
#include "tests/support/sim_disk.hpp"

namespace holdfast::log::test {

StorageOptions small_storage(std::uint64_t seed, FsyncMode mode);
MasterKey numbered_key(std::uint8_t number);

class StorageMember {
 public:
  StorageMember(sim::SimDisk& disk, StorageOptions options)
      : disk_(disk), options_(std::move(options)) {}

  StorageOptions& options() { return options_; }

  // Starts and loads. False: refused, and `refusal` says why.
  bool start();
  // The process ends, with or without the machine. What is guaranteed shrinks accordingly.
  void kill();
  void lose_power();
  // True: stopped cleanly.
  bool stop();
  bool is_running() const { return storage_ != nullptr; }

  void set_term(std::uint64_t term) { term_ = term; }
  void append(std::size_t count, std::size_t payload_bytes = 20);
  // Several requests that wait together.
  void append_together(std::size_t requests);
  void truncate(std::uint64_t from);
  void save_record();
  void append_and_save_record(std::size_t payload_bytes);  // in one batch
  void change_mode(FsyncMode mode);
  void change_keys(KeyRing keys);
  // Of what is persisted now, which counts as committed. REQUIRES: something is.
  void begin_snapshot();
  void add_block();
  void finish_snapshot();  // with the blocks that are missing
  void take_snapshot();
  // A peer's snapshot, as it sends it: `texts` are the entries through its index.
  struct PeerSnapshot {
    std::vector<std::string> texts;
    Term term;
    std::string stream;
    LogIndex index() const { return LogIndex{texts.size()}; }
  };
  // The newest one of this member, read as a stream in parts of so many bytes.
  PeerSnapshot read_snapshot(std::size_t bytes_max);
  void store(const PeerSnapshot& snapshot, std::size_t block_bytes);
  // Of what is stored; of no texts: nothing is left. From the answer on only the new state may be
  // found, until then the old one, too.
  void install(const PeerSnapshot& snapshot);
  void post(Request request);
  void post(std::vector<Request> requests);
  // Lets time pass and polls as often as is due.
  void wait(MonoUs us);
  // Waits until nothing is failed any more; false after ten seconds.
  bool heal();

  // What the last start loaded, and whether it may be so; empty: it may.
  std::string problem() const { return problem_; }
  const std::vector<std::string>& loaded() const { return loaded_; }
  const std::vector<std::string>& model() const { return model_; }
  std::uint64_t committed() const { return committed_; }
  std::uint64_t persisted_entries() const { return persisted_entries_; }
  const Recovered& recovered() const { return recovered_; }
  const std::string& refusal() const { return refusal_; }

  bool is_failed() const { return failed_.has_value(); }
  const std::optional<Failed>& failed() const { return failed_; }
  WriteNumber persisted() const { return persisted_; }
  WriteNumber last_write() const { return write_; }
  const DurableRecord& record() const { return record_; }
  const std::vector<SnapshotDone>& snapshots() const { return snapshots_; }
  const std::vector<std::string>& snapshot_failures() const { return snapshot_failures_; }
  const std::vector<EntriesRead>& reads() const { return reads_; }
  const std::vector<SnapshotPart>& parts() const { return parts_; }
  const std::vector<SnapshotStored>& stored() const { return stored_; }
  const std::vector<std::string>& store_failures() const { return store_failures_; }
  const Loaded& loaded_snapshot() const { return loaded_snapshot_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  std::size_t restarts_of_loading() const { return restarts_of_loading_; }
  std::size_t spent_entries() const { return spent_entries_; }
  std::size_t spent_ropes() const { return spent_ropes_; }
  Storage& storage() { return *storage_; }

 private:
  void pump();
  void take();
  void on_loaded(LoadedBlock& block);
  void end_of_snapshot();
  AppendRequest make_append(std::size_t count, std::size_t payload_bytes);
  SaveRecordRequest make_record();
  void judge();
  void note_guarantees(bool survives_as_written);
  void guarantee();

  sim::SimDisk& disk_;
  StorageOptions options_;
  std::unique_ptr<Storage> storage_;
  StorageEvents out_;
  MonoUs now_ = 1'000'000;

  WriteNumber write_ = 0;
  std::uint64_t term_ = 1;
  std::vector<std::string> model_;
  std::uint64_t model_base_ = 0;  // less than this of the model was never there
  struct Former {                 // that a truncation or an installation replaced
    std::vector<std::string> model;
    WriteNumber until = 0;
    std::uint64_t base = 0;
    // Of it, if it comes back; of a truncated one nothing but what the new one has.
    std::uint64_t persisted = 0;
    std::uint64_t durable = 0;
    std::uint64_t guaranteed = 0;
  };
  std::vector<Former> former_;
  struct Pending {
    WriteNumber write;
    std::uint64_t last;  // entries through here
  };
  std::vector<Pending> pending_;
  std::uint64_t persisted_entries_ = 0;
  std::uint64_t durable_entries_ = 0;         // also after a loss of power
  std::uint64_t guaranteed_ = 0;              // that the next start must find
  std::uint64_t committed_ = 0;               // never truncated
  std::uint64_t failed_syncs_ = 0;            // of the disk, when all was well
  FsyncMode mode_ = FsyncMode::kEverySecond;  // of the entries that are being persisted
  DurableRecord record_;                      // the last that was said to be saved
  DurableRecord record_wanted_;
  std::vector<std::pair<WriteNumber, DurableRecord>> records_;  // pending
  std::uint64_t snapshot_index_ = 0;
  std::vector<std::string> snapshot_content_;
  std::size_t snapshot_told_ = 0;

  Recovered recovered_;
  std::vector<std::string> loaded_;
  std::string loading_;  // of a snapshot
  bool is_loaded_ = false;
  bool is_stopped_ = false;
  bool is_clean_ = false;
  std::size_t restarts_of_loading_ = 0;
  std::string refusal_;
  std::string problem_;
  std::optional<Failed> failed_;
  WriteNumber persisted_ = 0;
  std::vector<SnapshotDone> snapshots_;
  std::vector<std::string> snapshot_failures_;
  std::vector<EntriesRead> reads_;
  std::vector<SnapshotPart> parts_;
  std::vector<SnapshotStored> stored_;
  std::vector<std::string> store_failures_;
  Loaded loaded_snapshot_;
  std::vector<std::string> warnings_;
  std::size_t spent_entries_ = 0;
  std::size_t spent_ropes_ = 0;
};

}  // namespace holdfast::log::test
