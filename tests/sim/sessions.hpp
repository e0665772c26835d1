// Sessions is the clients of a cluster of whole nodes: web applications that keep sessions,
// counters and pairs of keys that are only ever written together. Each sends a few requests at
// once, reads the replies and lets the History judge them; it moves on when it is refused, when its
// connection ends, or when its patience does. It never sends anything twice.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/history.hpp"
#include "tests/sim/node_member.hpp"
#include "tests/sim/resp_reply.hpp"

namespace holdfast::sim {

class Sessions final : public Workload {
 public:
  Sessions(Timeline& timeline, Random& random, History& history, std::vector<NodeMember*> members,
           std::size_t clients, std::int64_t think_us, bool readers_keep_to_a_key,
           std::function<void(const std::string& text)> trace);

  void begin() override;
  void end() override { works_ = false; }
  void write_once() override;
  bool has_written() const override { return wrote_after_; }

 private:
  enum class Kind : std::uint8_t {
    kSet,
    kGet,
    kDelete,
    kExpire,
    kPersist,
    kIncrement,
    kSetPair,
    kGetPair,
    kFlush,
    kKeys,
    kScan,
    kMark,
  };
  struct Operation {
    Kind kind = Kind::kGet;
    std::vector<std::string> keys;
    std::string value;
    std::int64_t ttl_ms = 0;   // 0: none
    std::size_t requests = 1;  // each has a reply
    std::vector<RespReply> replies;
    std::vector<LogIndex> entries;  // that its requests made
  };
  struct Client {
    std::size_t target = 0;
    std::uint64_t connection = 0;  // grows; what comes over an older one is not heard
    std::uint64_t life = 0;        // of the process that it is connected to
    bool is_connected = false;
    ClientId id{};
    std::uint64_t round = 0;
    std::vector<Operation> operations;  // under way
    std::size_t done = 0;               // of them
    std::map<std::string, History::Asked> asked;
    std::string input;
    TrueTime last_arrival = 0;
    bool was_refused = false;
    bool only_reads = false;  // so that it stays where it is, as long as it is answered
  };
  Operation draw(bool only_reads);
  std::string bytes_of(Operation& operation);
  void act(std::size_t number);
  void send(std::size_t number);
  void on_output(std::size_t number, std::uint64_t connection, const std::string& bytes,
                 const std::vector<LogIndex>& entries);
  void on_closed(std::size_t number, std::uint64_t connection);
  void tell(const Client& client, const Operation& operation);
  void judge(Client& client, Operation& operation);
  void judge_refused(Client& client, const Operation& operation, const RespReply& error);
  void judge_read(const std::string& key, const RespReply& reply, History::Asked& asked);
  void judge_list(const Operation& operation, const std::vector<RespReply>& listed, Client& client);
  void judge_pair(const Operation& operation, const RespReply& reply, Client& client);
  static std::vector<std::string> all_keys();
  void finish(std::size_t number, std::uint64_t round, bool moves_on);
  void disconnect(Client& client);
  std::size_t primary_or_any();
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound)));
  }

  Timeline& timeline_;
  Random& random_;
  History& history_;
  std::vector<NodeMember*> members_;
  std::vector<Client> clients_;
  std::int64_t think_us_;
  // Else they are soon held up by a key that somebody has written where no majority is.
  bool readers_keep_to_a_key_;
  std::function<void(const std::string& text)> trace_;  // null: nobody reads it
  std::uint64_t next_value_ = 1;
  bool works_ = true;
  bool writes_once_ = false;
  bool wrote_after_ = false;
};

}  // namespace holdfast::sim
