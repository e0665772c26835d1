#include "replication/log/snapshot_receiver.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/check.hpp"
#include "replication/log/storage_requests.hpp"

namespace holdfast::log {

void SnapshotReceiver::begin(LogIndex index, Term term, FileHeader header, KeyRing keys) {
  discard();
  index_ = index;
  term_ = term;
  header_ = header;
  keys_ = std::move(keys);
  decoder_.emplace();
}

void SnapshotReceiver::discard() {
  draft_.abandon();
  decoder_.reset();
  offset_ = 0;
  is_complete_ = false;
}

void SnapshotReceiver::hand_over() {
  HF_CHECK(is_complete_);
  draft_.release();
  discard();
}

Result<void> SnapshotReceiver::add(const StoreSnapshotRequest& block) {
  if (!decoder_) return {};
  auto done = take(block);
  if (!done) discard();
  return done;
}

Result<void> SnapshotReceiver::take(const StoreSnapshotRequest& block) {
  if (block.index != index_ || block.term != term_ || block.offset != offset_ || is_complete_) {
    return fail(fmt::format(
        "a block of snapshot {} of term {} at {}, where {} of term {} at {} "
        "goes on",
        block.index.value, block.term.value, block.offset, index_.value, term_.value, offset_));
  }
  offset_ += block.bytes.size();
  auto added = decoder_->add(block.bytes);
  if (!added) return added;
  const auto& head = decoder_->head();
  if (head && !draft_.is_writing()) {
    if (head->index != index_ || head->term != term_) {
      return fail(fmt::format("the stream of snapshot {} of term {} holds {} of term {}",
                              index_.value, term_.value, head->index.value, head->term.value));
    }
    header_.kind = FileKind::kSnapshot;
    header_.index = head->index;
    header_.term = head->term;
    header_.time = head->time;
    header_.digest_seed = head->digest_seed;
    auto begun = draft_.begin(path_, header_, keys_);
    if (!begun) return on_error(begun.error());
  }
  auto written = write_blocks();
  if (!written) return on_error(written.error());
  if (!block.is_last) return {};
  if (!decoder_->is_complete()) return fail("the snapshot's stream ends before its end");
  draft_.count_records(decoder_->totals().records);
  auto finished = draft_.finish();
  if (!finished) return on_error(finished.error());
  is_complete_ = true;
  return {};
}

FileStatus SnapshotReceiver::write_blocks() {
  while (const auto mutations = decoder_->next()) {
    auto added = draft_.add(*mutations, 0);
    if (!added) return added;
  }
  return {};
}

Result<void> SnapshotReceiver::on_error(const FileError& error) const {
  return fail(fmt::format("{}; {}", error.text(), remedy(error, folder_)));
}

}  // namespace holdfast::log
