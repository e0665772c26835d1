// A small language for tests of one replica: build it in a state, show it events, look at what it
// says. Its disk answers at once unless the test holds it back.
//
//   Member voter = MemberBuilder().id(2).term(4).log_through(90).build();
//   voter.hears(3, VoteRequest{...});
//   CHECK(voter.said<VoteReply>(3)->granted);
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replication/core/replica.hpp"

namespace holdfast::core {

class Member {
 public:
  Member(Config config, Start start)
      : now_(start.now), replica_(std::make_unique<Replica>(std::move(config), std::move(start))) {}

  const Replica* operator->() const { return replica_.get(); }
  MonoTime now() const { return now_; }
  // All that happened since the last `forget`.
  const Effects& effects() const { return seen_; }
  void forget() {
    seen_.clear();
    said_.clear();
  }

  void happens(Happening what) {
    Effects effects;
    replica_->step({now_, std::move(what)}, effects);
    take(effects);
    if (!holds_disk) answer_disk();
  }
  // `ms` go by in ticks of 5.
  void passes(std::int64_t ms) {
    for (std::int64_t end = now_.us + ms * 1000; now_.us < end;) {
      now_.us += std::min<std::int64_t>(5'000, end - now_.us);
      happens(Tick{});
    }
  }
  // Without ticks: the process does not run.
  void sleeps(std::int64_t ms) { now_.us += ms * 1000; }
  void hears(std::uint64_t from, wire::Body body) { hears(from, replica_->term(), body); }
  void hears(std::uint64_t from, Term term, wire::Body body) {
    happens(Received{{from}, {term, replica_->generation(), std::move(body)}});
  }
  void links(std::initializer_list<std::uint64_t> peers) {
    for (const std::uint64_t peer : peers) happens(PeerConnected{{peer}});
  }
  void submits(std::initializer_list<std::string_view> payloads) {
    std::vector<Proposal> proposals;
    for (const std::string_view payload : payloads)
      proposals.push_back({1, log::EntryKind::kMutations, Rope::copy_of(payload)});
    happens(Submitted{proposals});
  }

  // What it said last of this kind to this peer.
  template <typename T>
  std::optional<T> said(std::uint64_t to) const {
    for (auto send = said_.rbegin(); send != said_.rend(); ++send)
      if (send->to.value == to && std::holds_alternative<T>(send->message.body))
        return std::get<T>(send->message.body);
    return std::nullopt;
  }
  template <typename T>
  std::size_t count_said(std::uint64_t to) const {
    return static_cast<std::size_t>(std::count_if(said_.begin(), said_.end(), [&](const Send& s) {
      return s.to.value == to && std::holds_alternative<T>(s.message.body);
    }));
  }
  // The last message of any kind to this peer, whole.
  std::optional<wire::Message> last_said(std::uint64_t to) const {
    for (auto send = said_.rbegin(); send != said_.rend(); ++send)
      if (send->to.value == to) return send->message;
    return std::nullopt;
  }
  bool noted(std::string_view text) const {
    return std::any_of(seen_.notes.begin(), seen_.notes.end(),
                       [&](const Note& note) { return note.text.find(text) != std::string::npos; });
  }
  const log::DurableRecord& saved_record() const { return saved_; }

  bool holds_disk = false;
  // Numbers of what the held disk has not answered.
  std::deque<WriteNumber> unsaved_records;
  std::deque<WriteNumber> unpersisted_writes;
  void saves_record() {
    const WriteNumber write = unsaved_records.front();
    unsaved_records.pop_front();
    happens(RecordSaved{write});
  }
  void persists_write() {
    const WriteNumber write = unpersisted_writes.front();
    unpersisted_writes.pop_front();
    happens(Persisted{write});
  }
  std::deque<SnapshotStored> unstored_blocks;
  void stores_block() {
    const SnapshotStored stored = unstored_blocks.front();
    unstored_blocks.pop_front();
    happens(stored);
  }
  void answer_disk() {
    while (!unsaved_records.empty() || !unpersisted_writes.empty() || !unstored_blocks.empty()) {
      if (!unsaved_records.empty()) {
        saves_record();
      } else if (!unstored_blocks.empty()) {
        stores_block();
      } else {
        persists_write();
      }
    }
  }

 private:
  void take(Effects& effects) {
    const auto append = [](auto& to, auto& from) {
      to.insert(to.end(), std::make_move_iterator(from.begin()),
                std::make_move_iterator(from.end()));
    };
    for (const RecordWrite& write : effects.records) {
      unsaved_records.push_back(write.write);
      saved_ = write.record;
    }
    for (const LogWrite& write : effects.writes) unpersisted_writes.push_back(write.write);
    for (const StoreSnapshot& block : effects.store_snapshot)
      unstored_blocks.push_back({block.number, block.offset + block.bytes.size(), block.is_last});
    append(said_, effects.send);
    append(seen_.records, effects.records);
    append(seen_.writes, effects.writes);
    append(seen_.became, effects.became);
    append(seen_.store_snapshot, effects.store_snapshot);
    append(seen_.apply, effects.apply);
    append(seen_.read_log, effects.read_log);
    append(seen_.read_snapshot, effects.read_snapshot);
    append(seen_.end_snapshot, effects.end_snapshot);
    append(seen_.reads, effects.reads);
    append(seen_.notes, effects.notes);
    if (effects.refused_from.value != 0) seen_.refused_from = effects.refused_from;
    if (effects.install_snapshot) seen_.install_snapshot = effects.install_snapshot;
    if (effects.committed.value != 0) seen_.committed = effects.committed;
    if (effects.transfer) seen_.transfer = effects.transfer;
    seen_.discard_snapshot = seen_.discard_snapshot || effects.discard_snapshot;
  }

  MonoTime now_;
  std::unique_ptr<Replica> replica_;
  Effects seen_;
  std::vector<Send> said_;
  log::DurableRecord saved_;
};

class MemberBuilder {
 public:
  MemberBuilder() {
    start_.now = {1'000'000'000};
    start_.seed = 7;
    start_.record.incarnation = 1;
    start_.record.generation = 1;
    start_.record.term = {1};
    of(3);
    id(1);
  }
  MemberBuilder& id(std::uint64_t id) {
    config.self = {id};
    return *this;
  }
  MemberBuilder& of(std::size_t members) {
    config.members.clear();
    for (std::size_t i = 1; i <= members; ++i) config.members.push_back({i});
    return *this;
  }
  MemberBuilder& term(std::uint64_t term) {
    start_.record.term = {term};
    return *this;
  }
  MemberBuilder& voted_for(std::uint64_t member) {
    start_.record.voted_for = member;
    return *this;
  }
  // Entries behind the last, of `term`.
  MemberBuilder& log_through(std::uint64_t index, std::uint64_t term = 1) {
    while (start_.last_index.value < index) {
      ++start_.last_index.value;
      if (start_.runs.empty() || start_.runs.back().term.value != term)
        start_.runs.push_back({start_.last_index, {term}});
      start_.tail.push_back({{term},
                             start_.last_index,
                             0,
                             log::EntryKind::kMutations,
                             Rope::copy_of("e" + std::to_string(start_.last_index.value))});
    }
    return *this;
  }
  MemberBuilder& snapshot_at(std::uint64_t index, std::uint64_t term) {
    start_.snapshot = {{index}, {term}};
    start_.applied = start_.last_index = {index};
    return *this;
  }
  MemberBuilder& promised_ms(std::uint64_t ms) {
    start_.record.promise_ms_max = ms;
    return *this;
  }
  MemberBuilder& new_disk() {
    start_.is_new = true;
    start_.record = {};
    return *this;
  }
  MemberBuilder& tail_in_doubt() {
    start_.tail_in_doubt = true;
    return *this;
  }
  MemberBuilder& recovering() {
    start_.record.recovering = true;
    return *this;
  }
  // Entries are on disk only, none of them in memory.
  MemberBuilder& log_not_in_memory() {
    on_disk = std::move(start_.tail);
    start_.tail.clear();
    return *this;
  }
  Start& start() { return start_; }
  Member build() const {
    Member member(config, start_);
    member.happens(Tick{});
    member.forget();
    return member;
  }
  Config config;
  std::vector<log::Entry> on_disk;  // what log_not_in_memory took

 private:
  Start start_;
};

// Member 1 of three, primary of the next term, its first entry committed; peers 2 and 3 hold all.
inline Member elected_primary(const MemberBuilder& builder = MemberBuilder()) {
  Member member = builder.build();
  for (const NodeId peer : builder.config.members)
    if (peer != builder.config.self) member.happens(PeerConnected{peer});
  for (int i = 0; i < 200 && member->role() == Role::kReplica; ++i) {
    member.passes(5);
    for (const NodeId peer : builder.config.members)
      if (const auto request = member.said<wire::VoteRequest>(peer.value))
        member.hears(peer.value, {member->term().value},
                     wire::VoteReply{request->kind, request->for_term, true, wire::Refusal::kNone});
  }
  REQUIRE(member->role() == Role::kPrimary);
  for (const NodeId peer : builder.config.members) {
    if (peer == builder.config.self) continue;
    member.hears(
        peer.value,
        wire::AppendReply{
            true, member->last_index(), member->last_index(), {}, {}, 0, wire::Claim::kSound});
  }
  // It serves when it has applied all of former terms, for which it may have to read its log.
  const std::vector<ReadLog> reads = member.effects().read_log;
  for (const ReadLog& read : reads) {
    LogRead answer{read.number, {}};
    for (const log::Entry& entry : builder.on_disk)
      if (entry.index >= read.from && entry.index < read.to) answer.entries.push_back(entry);
    member.happens(answer);
  }
  REQUIRE(member->accepts_entries());
  member.forget();
  return member;
}

// Peer acknowledges everything up to `index`.
inline wire::AppendReply acknowledged(std::uint64_t index,
                                      wire::Claim claim = wire::Claim::kSound) {
  return {true, {index}, {index}, {}, {}, 0, claim};
}

inline wire::AppendEntries entries_after(std::uint64_t previous, std::uint64_t previous_term,
                                         std::uint64_t term, std::size_t count,
                                         std::uint64_t commit = 0) {
  wire::AppendEntries append{{previous}, {previous_term}, {commit}, {}};
  for (std::size_t i = 1; i <= count; ++i)
    append.entries.push_back({{term}, {previous + i}, 0, 2, Rope::copy_of("x")});
  return append;
}

}  // namespace holdfast::core
