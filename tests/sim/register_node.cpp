#include "tests/sim/register_node.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/bytes.hpp"

namespace holdfast::sim {

namespace {

constexpr std::size_t kSnapshotBytes = 700;  // several messages

std::uint64_t hash_of(const log::Entry& entry) {
  return sim::hash_of(entry.payload, entry.kind, entry.time);
}

NodeId id_of(std::size_t machine) {
  return {machine + 1};
}

std::string to_bytes(const RegisterState& state) {
  ByteWriter out;
  out.u64(state.index.value);
  out.u64(state.term.value);
  out.u64(state.digest);
  std::string bytes = out.take();
  bytes.resize(kSnapshotBytes, 'x');
  return bytes;
}

RegisterState from_bytes(std::string_view bytes) {
  ByteReader in(bytes);
  RegisterState state;
  state.index = {in.u64()};
  state.term = {in.u64()};
  state.digest = in.u64();
  return state;
}

}  // namespace

core::Start RegisterNode::recover(Random& random, const RegisterDisks& disks, bool tail_in_doubt,
                                  core::MonoTime now) {
  core::Start start;
  const RecordOnDisk& record = disks.record.state();
  const LogOnDisk& log = disks.log.state();
  start.now = now;
  start.seed = random.next();
  start.is_new = !record.is_there;
  start.record = record.record;
  start.tail_in_doubt = tail_in_doubt;
  start.snapshot = {log.snapshot.index, log.snapshot.term};
  start.applied = log.snapshot.index;
  start.last_index = log.snapshot.index;
  const bool keeps_tail = random.below(2) == 0;
  for (const log::Entry& entry : log.entries) {
    if (entry.index <= log.snapshot.index) continue;
    if (start.runs.empty() || start.runs.back().term != entry.term)
      start.runs.push_back({entry.index, entry.term});
    start.last_index = entry.index;
    start.last_time = entry.time;
    if (keeps_tail) start.tail.push_back(entry);
  }
  return start;
}

RegisterNode::RegisterNode(Surroundings& around, RegisterDisks& disks, core::Config config,
                           bool tail_in_doubt, core::MonoTime now)
    : around_(around),
      disks_(disks),
      number_(around.machine.number()),
      replica_(config, recover(around.random, disks, tail_in_doubt, now)),
      state_(disks.log.state().snapshot),
      watch_(around.checker, around.events, number_),
      outgoing_(config.members.size()),
      snapshot_index_(state_.index) {
  watch_.reset(state_.index, state_.term);
  watch_.installed(state_.index);
  for (const log::Entry& entry : disks.log.state().entries) watch_.recover(entry);
  watch_.look_at(replica_);
}

void RegisterNode::on_message(std::size_t from, const wire::Message& message,
                              const TimePoint& now) {
  step(core::Received{id_of(from), message}, {now.mono_us});
}

void RegisterNode::on_link_up(std::size_t peer, const TimePoint& now) {
  step(core::PeerConnected{id_of(peer)}, {now.mono_us});
}

void RegisterNode::on_link_down(std::size_t peer, const TimePoint& now) {
  step(core::PeerLost{id_of(peer)}, {now.mono_us});
}

void RegisterNode::on_turn_end(const TimePoint& now) {
  submit({now.mono_us});
  step(core::Tick{}, {now.mono_us});
  maybe_snapshot();
}

void RegisterNode::say_busy() {
  for (const NodeId member : replica_.config().members) {
    if (member == replica_.config().self) continue;
    around_.network.send(number_, member.value - 1,
                         {replica_.term(), replica_.generation(), wire::Busy{}});
  }
}

void RegisterNode::hand_over(NodeId target, core::Duration timeout, core::MonoTime now) {
  submit(now);
  step(core::TransferRequested{target, timeout}, now);
}

void RegisterNode::abort_hand_over(core::MonoTime now) {
  step(core::TransferAborted{}, now);
}

void RegisterNode::disk_event(bool failed, core::MonoTime now) {
  if (failed) {
    step(core::DiskFailed{}, now);
  } else {
    step(core::DiskHealthy{}, now);
  }
}

void RegisterNode::post(core::Happening what) {
  around_.machine.post([what = std::move(what)](Process& process, const TimePoint& now) {
    static_cast<RegisterNode&>(process).step(what, {now.mono_us});
  });
}

// What a thread of its own reads from files.
void RegisterNode::post_later(core::Happening what) {
  post_later(
      [what = std::move(what)](RegisterNode& node, core::MonoTime now) { node.step(what, now); });
}

void RegisterNode::post_later(std::function<void(RegisterNode&, core::MonoTime)> action) {
  const auto delay = static_cast<std::int64_t>(100 + around_.random.below(2'000));
  Machine& machine = around_.machine;
  around_.timeline.after(delay, [&machine, life = machine.life(), action = std::move(action)] {
    if (machine.life() != life) return;
    machine.post([action](Process& process, const TimePoint& now) {
      action(static_cast<RegisterNode&>(process), {now.mono_us});
    });
  });
}

void RegisterNode::step(core::Happening what, core::MonoTime now) {
  effects_.clear();
  replica_.step({now, std::move(what)}, effects_);
  carry_out();
}

void RegisterNode::carry_out() {
  if (around_.trace)
    for (const core::Note& note : effects_.notes) around_.trace(number_, note.text);
  for (core::RecordWrite& write : effects_.records) {
    disks_.record.submit(
        [record = std::move(write.record)](RecordOnDisk& disk) {
          disk = {true, record};
        },
        [this, number = write.write] { post(core::RecordSaved{number}); });
  }
  do_store();
  do_writes();
  do_became();
  if (effects_.refused_from.value != 0) {
    undo_from(effects_.refused_from);
    while (!held_.empty() && held_.back().index >= effects_.refused_from) held_.pop_back();
  }
  do_install();
  watch_.look_at(replica_);
  while (!undo_.empty() && undo_.front().index < watch_.committed()) undo_.pop_front();
  do_apply();
  send_snapshots();
  for (const core::ReadLog& read : effects_.read_log) {
    core::LogRead answer;
    answer.number = read.number;
    std::size_t bytes = 0;
    for (const log::Entry& entry : disks_.log.state().entries) {
      if (entry.index < read.from || entry.index >= read.to) continue;
      if (!answer.entries.empty() && bytes + entry.payload.size() > read.payload_bytes_max) break;
      if (answer.entries.empty() && entry.index != read.from) break;
      bytes += entry.payload.size();
      answer.entries.push_back(entry);
    }
    post_later(std::move(answer));
  }
  do_reads();
  for (core::Send& message : effects_.send) {
    check_said(message.message);
    around_.network.send(number_, message.to.value - 1, message.message);
  }
  release_replies();
}

// What is said must be true already: nothing is acknowledged that a killed process could lose.
void RegisterNode::check_said(const wire::Message& message) {
  LogIndex persisted;
  if (const auto* append = std::get_if<wire::AppendReply>(&message.body)) {
    if (append->accepted) persisted = append->persisted;
  } else if (const auto* heartbeat = std::get_if<wire::HeartbeatReply>(&message.body)) {
    persisted = heartbeat->persisted;
  }
  const EntryFact* entry = watch_.fact(persisted);
  if (entry != nullptr && !disks_.log.state().holds(persisted, entry->term))
    around_.checker.fail(
        fmt::format("node {} acknowledges index {} of term {}, which is not on its disk",
                    number_ + 1, persisted.value, entry->term.value));
}

void RegisterNode::note_write(const core::LogWrite& write) {
  if (write.reset) watch_.reset(write.reset->index, write.reset->term);
  if (write.truncate_from.value != 0) watch_.truncate(write.truncate_from);
  for (const log::Entry& entry : write.entries) watch_.append(entry);
}

void RegisterNode::do_writes() {
  for (core::LogWrite& write : effects_.writes) {
    note_write(write);
    RegisterState installed;
    if (write.reset && write.reset->index.value != 0 && incoming_)
      installed = from_bytes(incoming_->bytes);
    const core::WriteNumber number = write.write;
    disks_.log.submit(
        [write = std::move(write), installed](LogOnDisk& disk) {
          if (write.reset) disk = {installed, {}};
          auto& entries = disk.entries;
          if (write.truncate_from.value != 0)
            while (!entries.empty() && entries.back().index >= write.truncate_from)
              entries.pop_back();
          entries.insert(entries.end(), write.entries.begin(), write.entries.end());
        },
        [this, number] { post(core::Persisted{number}); });
  }
}

void RegisterNode::do_became() {
  for (const core::Became& became : effects_.became) {
    if (became.void_from.value != 0) {
      proposals_.clear();
      held_.clear();
      undo_from(became.void_from);
    }
  }
}

void RegisterNode::do_store() {
  if (effects_.discard_snapshot) incoming_.reset();
  for (const core::StoreSnapshot& block : effects_.store_snapshot) {
    if (block.offset == 0) incoming_ = IncomingBytes{block.number, block.snapshot, {}};
    if (!incoming_ || incoming_->id != block.snapshot || incoming_->bytes.size() != block.offset)
      return around_.checker.fail(
          fmt::format("node {} stores a snapshot out of order", number_ + 1));
    incoming_->bytes += block.bytes.str();
    if (incoming_->is_void) continue;
    incoming_->is_void = around_.random.below(64) == 0;
    if (incoming_->is_void) {
      post_later(core::SnapshotStoreFailed{block.number});
      continue;
    }
    post_later(
        [stored = core::SnapshotStored{block.number, incoming_->bytes.size(), block.is_last}](
            RegisterNode& node, core::MonoTime now) { node.on_stored(stored, now); });
  }
}

void RegisterNode::on_stored(core::SnapshotStored stored, core::MonoTime now) {
  if (incoming_ && incoming_->number == stored.number) incoming_->is_whole |= stored.is_whole;
  step(stored, now);
}

void RegisterNode::do_install() {
  if (!effects_.install_snapshot) return;
  const wire::SnapshotId id = *effects_.install_snapshot;
  undo_.clear();
  state_ = {};
  watch_.installed(id.index);
  snapshot_index_ = id.index;
  if (id.index.value == 0) return;
  if (incoming_ && incoming_->id == id && incoming_->is_whole)
    state_ = from_bytes(incoming_->bytes);
  incoming_.reset();
  if (state_.index != id.index)
    return around_.checker.fail(
        fmt::format("node {} installs a snapshot that is not stored", number_ + 1));
  around_.checker.on_state(number_, state_.index, state_.digest);
}

void RegisterNode::apply(LogIndex index, Term term, std::uint64_t hash) {
  if (index > replica_.commit_index()) undo_.push_back(state_);
  state_ = {index, term, next_digest(state_.digest, hash)};
}

void RegisterNode::do_apply() {
  for (const log::Entry& entry : effects_.apply) {
    if (entry.index.value != state_.index.value + 1)
      return around_.checker.fail(fmt::format("node {} applies index {} after {}", number_ + 1,
                                              entry.index.value, state_.index.value));
    apply(entry.index, entry.term, hash_of(entry));
  }
  if (!effects_.apply.empty()) around_.checker.on_state(number_, state_.index, state_.digest);
}

void RegisterNode::undo_from(LogIndex index) {
  while (!undo_.empty() && state_.index >= index) {
    state_ = undo_.back();
    undo_.pop_back();
  }
}

void RegisterNode::write(std::uint64_t id, std::size_t payload_bytes, Reply reply) {
  if (!replica_.accepts_entries()) return reply(Outcome::kRefused, {});
  const LogIndex index{state_.index.value + 1};
  if (index.value != replica_.next_index().value + proposals_.size())
    return around_.checker.fail(fmt::format("node {} accepts writes with state at {} and log at {}",
                                            number_ + 1, state_.index.value,
                                            replica_.last_index().value));
  std::string payload(std::max<std::size_t>(payload_bytes, 8), static_cast<char>(id));
  std::memcpy(payload.data(), &id, 8);
  core::Proposal proposal{static_cast<UnixMs>(id % 1000), log::EntryKind::kMutations,
                          Rope::copy_of(payload)};
  const std::uint64_t hash = hash_of(proposal.payload, proposal.kind, proposal.time);
  proposals_.push_back(std::move(proposal));
  apply(index, replica_.term(), hash);
  held_.push_back({index, hash, std::move(reply)});
}

void RegisterNode::submit(core::MonoTime now) {
  if (proposals_.empty()) return;
  const std::vector<core::Proposal> proposals = std::exchange(proposals_, {});
  step(core::Submitted{proposals}, now);
}

void RegisterNode::read(core::ReadMode mode, core::MonoTime now, Reply reply) {
  const std::uint64_t id = next_read_++;
  reads_.emplace_back(id, std::move(reply));
  step(core::ReadRequested{id, mode}, now);
}

void RegisterNode::do_reads() {
  for (const core::ReadOutcome& outcome : effects_.reads) {
    const auto found = std::find_if(reads_.begin(), reads_.end(),
                                    [&](const auto& read) { return read.first == outcome.id; });
    if (found == reads_.end()) continue;
    Reply reply = std::move(found->second);
    reads_.erase(found);
    if (outcome.allowed) {
      held_.push_back({state_.index, 0, std::move(reply)});
    } else {
      reply(Outcome::kRefused, {});
    }
  }
}

void RegisterNode::release_replies() {
  while (!held_.empty() && held_.front().index <= replica_.commit_index()) {
    const Held held = std::move(held_.front());
    held_.pop_front();
    if (held.hash != 0) around_.checker.on_acknowledged(held.index, held.hash);
    held.reply(Outcome::kDone, held.index);
  }
}

void RegisterNode::send_snapshots() {
  for (const NodeId peer : effects_.end_snapshot) outgoing_[peer.value - 1].reset();
  for (const core::ReadSnapshot& read : effects_.read_snapshot) {
    auto& outgoing = outgoing_[read.peer.value - 1];
    if (around_.random.below(16) == 0) {
      post_later(core::SnapshotUnavailable{read.peer, read.number});
      continue;
    }
    std::uint64_t offset = read.offset;
    if (!outgoing || wire::SnapshotId{outgoing->index, outgoing->term} != read.wanted) {
      // What is executed but not submitted yet is in no log.
      outgoing = proposals_.empty() ? state_ : undo_[undo_.size() - proposals_.size()];
      if (read.must_be_committed && !undo_.empty()) outgoing = undo_.front();
      offset = 0;
    }
    const std::string bytes = to_bytes(*outgoing);
    offset = std::min<std::uint64_t>(offset, bytes.size());
    const std::string_view part =
        std::string_view(bytes).substr(offset, std::min(read.bytes_max, std::size_t{200}));
    post_later(core::SnapshotRead{read.peer,
                                  read.number,
                                  {outgoing->index, outgoing->term},
                                  0,
                                  offset,
                                  Rope::copy_of(part),
                                  offset + part.size() == bytes.size()});
  }
}

void RegisterNode::maybe_snapshot() {
  if (disks_.snapshot_every == 0 || is_snapshotting_) return;
  const RegisterState& at_commit = undo_.empty() ? state_ : undo_.front();
  if (at_commit.index > replica_.commit_index() ||
      at_commit.index.value < snapshot_index_.value + disks_.snapshot_every)
    return;
  is_snapshotting_ = true;
  const LogIndex first = std::min(LogIndex{at_commit.index.value + 1}, replica_.log_needed_from());
  disks_.log.submit(
      [state = at_commit, first](LogOnDisk& disk) {
        if (disk.snapshot.index > state.index) return;
        disk.snapshot = state;
        auto& entries = disk.entries;
        const auto kept = std::find_if(entries.begin(), entries.end(),
                                       [&](const auto& entry) { return entry.index >= first; });
        entries.erase(entries.begin(), kept);
      },
      [this, first, index = at_commit.index] {
        is_snapshotting_ = false;
        snapshot_index_ = index;
        post(core::LogTrimmed{first});
      });
}

}  // namespace holdfast::sim
