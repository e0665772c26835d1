// ClusterHarness is a cluster of whole nodes in one thread: real nodes, real storage over simulated
// disks, and a network that delivers at once over the links that are up. The test moves the clock.
// With persistence off, of all or of some, storage lies in memory that begins empty at each start.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replication/log/memory_file_system.hpp"
#include "replication/log/storage.hpp"
#include "server/node/node.hpp"
#include "tests/support/sim_disk.hpp"
#include "tests/unit/node/fixture.hpp"

namespace holdfast::node {

class ClusterHarness {
 public:
  explicit ClusterHarness(std::size_t count, config::Options base = {}) : base_(std::move(base)) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto port = static_cast<std::int64_t>(7001 + i);
      base_.cluster.nodes.list.push_back({name_of(i), "127.0.0.1", port, port + 100, ""});
    }
    base_.cluster.bootstrap = true;
    for (std::size_t i = 0; i < count; ++i) {
      members_.push_back(std::make_unique<Member>(i));
      members_[i]->in_memory = !base_.persistence.enabled;
    }
    base_.persistence.enabled = true;
    links_.assign(count * count, true);
    for (std::size_t i = 0; i < count; ++i) start(i);
  }

  static std::string name_of(std::size_t i) { return std::string(1, static_cast<char>('a' + i)); }

  void start(std::size_t i, bool is_empty = false) {
    Member& member = *members_[i];
    if (is_empty) member.disk = std::make_unique<sim::SimDisk>(i + 100);
    config::Options options = base_;
    options.cluster.node = name_of(i);
    if (member.in_memory) options.persistence.enabled = false;
    log::StorageOptions storage;
    storage.folder = "/data";
    storage.boot_id = member.boot_id;
    storage.segment_bytes_max = 4000;
    if (member.in_memory) {
      storage.snapshots_kept = 1;
      storage.segment_bytes_max = 1'000'000;  // whole chunks of memory
    }
    storage.next_salt = [random = Random(++salts_)]() mutable {
      log::Salt salt;
      for (std::uint8_t& byte : salt) byte = static_cast<std::uint8_t>(random.next());
      return salt;
    };
    member.node = std::make_unique<Node>(std::move(options), ++salts_, std::string(40, 'a'),
                                         now_at(i), host_);
    member.storage = std::make_unique<log::Storage>(files_of(i), std::move(storage));
    member.client =
        &member.node->connect({"127.0.0.1:50000", "127.0.0.1:6379", 8, false}, now_at(i));
    log::StorageEvents events;
    member.storage->start(events);
    member.node->on_storage(std::move(events), {}, now_at(i));
    for (std::size_t peer = 0; peer < members_.size(); ++peer) {
      if (peer == i || !is_up(peer) || !link(i, peer)) continue;
      member.node->on_peer_connected({peer + 1}, mono());
      node(peer).on_peer_connected({i + 1}, mono());
    }
  }
  // As by a signal that cannot be caught.
  void kill(std::size_t i) {
    members_[i]->client = nullptr;
    members_[i]->node.reset();
    members_[i]->storage.reset();
    members_[i]->disk->kill_process();
    for (std::size_t peer = 0; peer < members_.size(); ++peer)
      if (peer != i && is_up(peer) && link(i, peer)) node(peer).on_peer_lost({i + 1}, mono());
  }
  // Its machine is without power for a moment: what was not synced may be gone.
  void lose_power(std::size_t i) {
    kill(i);
    members_[i]->boot_id += "'";
  }
  // Its wall clock shows this much less than the others'. A node that runs does not take it up: its
  // time never goes back. REQUIRES: it does not run.
  void set_clock_behind(std::size_t i, std::int64_t ms) {
    HF_CHECK(!is_up(i));
    members_[i]->clock_behind_ms = ms;
  }
  // As by an operator who mixes up volumes. REQUIRES: neither runs.
  void swap_disks(std::size_t i, std::size_t other) {
    std::swap(members_[i]->disk, members_[other]->disk);
  }
  // From the next start on.
  void set_in_memory(std::size_t i, bool in_memory) { members_[i]->in_memory = in_memory; }
  // Its process stands still; what is sent to it waits, and comes at once when it goes on.
  void pause(std::size_t i) { members_[i]->is_paused = true; }
  void resume(std::size_t i) {
    members_[i]->is_paused = false;
    for (auto& [from, message] : std::exchange(members_[i]->waiting, {}))
      node(i).on_peer_message({from + 1}, std::move(message), mono());
  }
  // It has no time for reloading, expiry and the like.
  void hold_background(std::size_t i, bool held) { members_[i]->is_without_background = held; }
  // Its disk answers nothing: neither well nor with an error. What is asked of it waits.
  void hang_disk(std::size_t i, bool hangs) { members_[i]->disk_hangs = hangs; }
  void cut(std::size_t i, std::size_t peer) { set_link(i, peer, false); }
  void mend(std::size_t i, std::size_t peer) { set_link(i, peer, true); }
  void isolate(std::size_t i) {
    for (std::size_t peer = 0; peer < members_.size(); ++peer)
      if (peer != i) cut(i, peer);
  }
  void rejoin(std::size_t i) {
    for (std::size_t peer = 0; peer < members_.size(); ++peer)
      if (peer != i) mend(i, peer);
  }

  bool is_up(std::size_t i) const { return members_[i]->node != nullptr; }
  Node& node(std::size_t i) { return *members_[i]->node; }
  client::Client& client(std::size_t i) { return *members_[i]->client; }
  sim::SimDisk& disk(std::size_t i) { return *members_[i]->disk; }

  // Everything that can happen without time passing.
  void settle() {
    for (int round = 0; round < 200; ++round) {
      bool moved = false;
      for (std::size_t i = 0; i < members_.size(); ++i) moved |= turn(i);
      if (!moved) return;
    }
  }
  void advance_ms(std::int64_t ms) {
    for (std::int64_t passed = 0; passed < ms; passed += 5) {
      now.mono_us += 5'000;
      now.unix_ms += 5;
      now.unix_us += 5'000;
      for (std::size_t i = 0; i < members_.size(); ++i)
        if (runs(i) && now.mono_us >= node(i).next_tick()) node(i).tick(now_at(i));
      settle();
    }
  }
  // The member that may tell clients that it is the master; nobody within ten seconds: nothing.
  std::optional<std::size_t> primary() {
    for (int tries = 0; tries < 2000; ++tries) {
      for (std::size_t i = 0; i < members_.size(); ++i)
        if (runs(i) && role(i) == "master") return i;
      advance_ms(5);
    }
    return std::nullopt;
  }
  std::string role(std::size_t i) {
    return node(i).state().cluster->is_master(now.mono_us) ? "master" : "replica";
  }

  // A connection beside the one that `client` gives.
  client::Client& connect(std::size_t i) {
    return node(i).connect({"127.0.0.1:50002", "127.0.0.1:6379", 9, false}, now_at(i));
  }
  // Drivers do it when their connection has ended.
  void reconnect(std::size_t i) {
    node(i).disconnect(client(i));
    members_[i]->client =
        &node(i).connect({"127.0.0.1:50001", "127.0.0.1:6379", 8, false}, now_at(i));
  }
  // Executed, but nothing that it causes has happened yet.
  void execute(std::size_t i, const std::vector<std::string>& words) {
    if (client(i).fate != client::Fate::kOpen) reconnect(i);
    execute(i, client(i), words);
  }
  void execute(std::size_t i, client::Client& who, const std::vector<std::string>& words) {
    const std::string bytes = request(words);
    while (node(i).run_one(who, now_at(i)) == Step::kRan) {
    }
    const auto [room, room_bytes] = who.parser.read_room();
    HF_CHECK(bytes.size() <= room_bytes);
    std::memcpy(room, bytes.data(), bytes.size());
    who.parser.commit(bytes.size());
    while (node(i).run_one(who, now_at(i)) == Step::kRan) {
    }
  }
  std::string output(std::size_t i) { return output(i, client(i)); }
  std::string output(std::size_t i, client::Client& who) {
    if (who.fate == client::Fate::kCloseNow) return {};
    std::string text;
    std::string_view part;
    while (who.output.gather(&part, 1, who.output.sendable_bytes(node(i).gate())) > 0) {
      text += part;
      who.output.consume(part.size());
    }
    return text;
  }
  std::string call(std::size_t i, const std::vector<std::string>& words) {
    execute(i, words);
    settle();
    return output(i);
  }
  std::string digest(std::size_t i) { return call(i, {"HOLDFAST", "DIGEST"}); }
  // What the node wanted from the world since the last look.
  commands::HostEffects effects(std::size_t i) { return node(i).take_effects(); }

  TimePoint now{1'700'000'000'000, 1'000'000, 1'700'000'000'000'000};

 private:
  struct Member {
    explicit Member(std::size_t i) : disk(std::make_unique<sim::SimDisk>(i + 1)) {}
    std::unique_ptr<sim::SimDisk> disk;
    bool in_memory = false;
    std::unique_ptr<log::MemoryFileSystem> memory;  // of the present life
    std::unique_ptr<Node> node;
    std::unique_ptr<log::Storage> storage;
    client::Client* client = nullptr;
    std::string boot_id = "boot";
    std::int64_t clock_behind_ms = 0;
    bool is_paused = false;
    bool disk_hangs = false;
    std::vector<log::Request> unanswered;
    bool is_without_background = false;
    std::deque<std::pair<std::size_t, wire::Message>> waiting;
  };
  log::FileSystem& files_of(std::size_t i) {
    Member& member = *members_[i];
    if (!member.in_memory) return *member.disk;
    member.memory = std::make_unique<log::MemoryFileSystem>();
    return *member.memory;
  }
  bool runs(std::size_t i) const { return is_up(i) && !members_[i]->is_paused; }

  core::MonoTime mono() const { return {now.mono_us}; }
  TimePoint now_at(std::size_t i) const {
    const std::int64_t behind_ms = members_[i]->clock_behind_ms;
    return {now.unix_ms - behind_ms, now.mono_us, now.unix_us - behind_ms * 1000};
  }
  bool link(std::size_t i, std::size_t peer) const { return links_[i * members_.size() + peer]; }
  void set_link(std::size_t i, std::size_t peer, bool up) {
    if (link(i, peer) == up) return;
    links_[i * members_.size() + peer] = links_[peer * members_.size() + i] = up;
    if (!is_up(i) || !is_up(peer)) return;
    for (const auto& [one, other] : {std::pair{i, peer}, std::pair{peer, i}}) {
      if (up) {
        node(one).on_peer_connected({other + 1}, mono());
      } else {
        node(one).on_peer_lost({other + 1}, mono());
      }
    }
  }

  bool turn(std::size_t i) {
    if (!runs(i)) return false;
    bool moved = !members_[i]->is_without_background && node(i).background(now_at(i), 1000);
    std::vector<log::Request> requests = std::exchange(members_[i]->unanswered, {});
    for (log::Request& one : node(i).end_turn(now_at(i))) requests.push_back(std::move(one));
    if (members_[i]->disk_hangs) members_[i]->unanswered = std::exchange(requests, {});
    log::StorageEvents events;
    if (!requests.empty()) members_[i]->storage->handle(std::move(requests), now.mono_us, events);
    while (!members_[i]->disk_hangs && members_[i]->storage->next_due() <= now.mono_us)
      members_[i]->storage->poll(now.mono_us, events);
    if (!events.events.empty() || !events.spent_entries.empty() || !events.spent_ropes.empty()) {
      moved = true;
      node(i).on_storage(std::move(events), members_[i]->storage->figures(), now_at(i));
    }
    for (core::Send& message : node(i).take_messages()) {
      const std::size_t to = message.to.value - 1;
      if (!is_up(to) || !link(i, to)) continue;
      moved = true;
      if (runs(to)) {
        node(to).on_peer_message({i + 1}, std::move(message.message), mono());
      } else {
        members_[to]->waiting.emplace_back(i, std::move(message.message));
      }
    }
    return moved;
  }

  config::Options base_;
  FakeHost host_;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<bool> links_;
  std::uint64_t salts_ = 0;
};

}  // namespace holdfast::node
