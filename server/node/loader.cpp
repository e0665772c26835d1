#include "server/node/loader.hpp"

#include <fmt/format.h>

#include <utility>

namespace holdfast::node {

// Opens the next rope to apply, or ends the first block.
bool Loader::next_rope() {
  while (!blocks_.empty()) {
    log::LoadedBlock& block = blocks_.front();
    if (std::exchange(block.restart, false)) {
      keyspace_.apply(keyspace::Flush{});
      log_bytes_ = 0;
    }
    if (!std::exchange(snapshot_done_, true) && !block.snapshot_mutations.empty()) {
      rope_ = std::move(block.snapshot_mutations);
      decoder_.emplace(rope_, limits_);
      return true;
    }
    while (next_entry_ < block.entries.size()) {
      log::Entry& entry = block.entries[next_entry_++];
      last_index_ = entry.index;
      keyspace_.begin_entry(entry.index);
      if (entry.kind != log::EntryKind::kMutations) continue;
      rope_ = std::move(entry.payload);
      log_bytes_ += rope_.size();
      decoder_.emplace(rope_, limits_);
      return true;
    }
    bytes_loaded_ = block.bytes_loaded;
    next_entry_ = 0;
    snapshot_done_ = false;
    blocks_.pop_front();
  }
  return false;
}

bool Loader::slice(std::size_t units) {
  while (units > 0 && error_.empty()) {
    if (!decoder_.has_value() && !next_rope()) return false;
    while (units > 0 && decoder_->next()) {
      --units;
      if (const char* missing = keyspace::apply_checked(decoder_->mutation(), keyspace_)) {
        error_ = fmt::format("behind log index {}: a mutation that does not fit the data: {}",
                             last_index_.value, missing);
        return false;
      }
    }
    if (!decoder_->ok()) {
      error_ = fmt::format("behind log index {}: {}", last_index_.value, decoder_->error());
      return false;
    }
    if (units == 0) return true;
    decoder_.reset();
    rope_ = {};
  }
  return error_.empty();
}

}  // namespace holdfast::node
