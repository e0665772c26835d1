// NodeProcess is one life of a whole server, but for its sockets: a node, its storage, the
// connections of its clients, in the order in which server/net goes through a turn. What must hold
// of it whoever asks is judged here; what clients were told is theirs to judge (history.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/node/node.hpp"
#include "tests/sim/member.hpp"
#include "tests/sim/storage_thread.hpp"
#include "tests/support/fake_host.hpp"

namespace holdfast::sim {

// Where a client hears of its connection. Called at once; the way to the client is its own.
struct Connection {
  // Bytes of replies, and which entries the requests made (0: none) that were carried out since.
  std::function<void(std::string bytes, std::vector<LogIndex> entries)> on_output;
  std::function<void()> on_closed;
};

class NodeProcess final : public Process {
 public:
  NodeProcess(const Surroundings& around, SimDisk& disk, log::StorageOptions storage,
              DiskTiming timing, config::Options options, core::Tuning tuning, std::uint64_t seed,
              std::function<void(std::string cause)> on_end);
  ~NodeProcess() override;

  // Of the life before; to be called before the start.
  void expect_on_disk(TermsOfLog log) { expected_ = std::move(log); }

  // 0 and above; never used twice in a life.
  ClientId connect(Connection connection);
  void close(ClientId id);
  void request(ClientId id, std::string_view bytes, const TimePoint& now);
  // By an operator. What there is of the reply, which may have to wait.
  std::string command(const std::vector<std::string>& words, const TimePoint& now);

  // It ends when it has handed over and its storage has stopped, with this as the cause.
  static constexpr std::string_view kEndedAsPlanned = "as planned";
  void say_farewell(const TimePoint& now);

  const core::Replica* replica() const { return node_.replica(); }
  LogIndex applied() { return node_.state().journal.last_index(); }
  StorageThread& storage() { return storage_; }
  // Of all that is there.
  std::uint64_t digest();
  void check_data();
  void check_marked();

  void on_message(std::size_t from, const wire::Message& message, const TimePoint& now) override;
  void on_link_up(std::size_t peer, const TimePoint& now) override;
  void on_link_down(std::size_t peer, const TimePoint& now) override;
  void on_turn_end(const TimePoint& now) override;
  core::MonoTime next_due() const override { return due_; }
  void say_busy() override;

 private:
  struct Session {
    client::Client* client = nullptr;
    Connection connection;
    std::string input;  // not parsed yet
    std::vector<LogIndex> entries;
    bool is_held = false;
  };
  void on_storage(log::StorageEvents events, const log::StorageFigures& figures,
                  const TimePoint& now);
  void check_found();
  void note_loading(const log::StorageEvents& events);
  void note_requests(const std::vector<log::Request>& requests);
  void end_turn();
  void run(Session& session, const TimePoint& now);
  void flush(Session& session);
  void go_on_leaving(const TimePoint& now);
  void take_effects();
  void check_said(const wire::Message& message);
  void end(std::string cause);

  const Surroundings& around_;
  std::size_t number_;
  node::FakeHost host_;
  node::Node node_;
  ReplicaWatch watch_;
  std::vector<log::Entry> recovered_;  // while loading
  TermsOfLog expected_;                // on its disk
  bool is_in_doubt_ = false;           // it says itself that something may be missing there
  bool is_loaded_ = false;
  std::function<void(std::string cause)> on_end_;
  std::map<std::uint64_t, Session> sessions_;
  client::Client* operator_ = nullptr;
  MonoUs leaves_until_ = 0;    // a hand-over goes before the end; 0: none
  bool is_stopping_ = false;   // nothing new is done
  MonoUs stopping_until_ = 0;  // or it ends as it is
  bool is_ended_ = false;      // it cannot go on, and is about to be killed
  core::MonoTime due_;
  LogIndex checked_;  // the data of which index was
  Term checked_term_;
  LogIndex marked_checked_;  // up to which marker
  StorageThread storage_;    // ends first
};

}  // namespace holdfast::sim
