// Client is all that the node knows of one connection, apart from its socket: parser, output,
// protocol version, database, transaction, names. net/ owns the socket and moves bytes between it
// and `parser` and `output`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "protocol/resp/output_buffer.hpp"
#include "protocol/resp/reply_writer.hpp"
#include "protocol/resp/request_parser.hpp"
#include "server/client/owned_arguments.hpp"
#include "server/keyspace/mutation.hpp"

namespace holdfast::commands {
struct CommandSpec;
}

namespace holdfast::client {

// Who is at the other end, as CLIENT LIST shows it.
struct ConnectionInfo {
  std::string peer_address;  // "127.0.0.1:50412", or the path of the Unix socket with ":0"
  std::string local_address;
  int file_descriptor = -1;
  bool unix_socket = false;
};

struct QueuedCommand {
  const commands::CommandSpec* spec;
  OwnedArguments request;
};

struct Transaction {
  bool active = false;
  bool failed = false;  // a command was refused while queueing: EXEC answers EXECABORT
  bool dirty = false;   // a watched key was touched: EXEC answers null
  std::vector<QueuedCommand> queue;
  std::size_t queue_bytes = 0;
  bool adds_data = false;  // a queued command would be refused when memory is full
};

struct WatchedKey {
  keyspace::DatabaseIndex database;
  std::string key;
};

enum class ReplyMode : std::uint8_t { kOn, kOff, kSkipping };

// What the node asks net to do with the connection.
enum class Fate : std::uint8_t {
  kOpen,
  kCloseAfterReply,  // send what is pending, then close; nothing more is parsed
  kCloseNow,
};

struct Client {
  Client(ClientId client_id, ConnectionInfo connection, MonoUs now)
      : id(client_id), info(std::move(connection)), created_us(now), last_interaction_us(now) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const ClientId id;
  ConnectionInfo info;
  resp::RequestParser parser;
  resp::OutputBuffer output;
  resp::Version version = resp::Version::kResp2;
  keyspace::DatabaseIndex database = 0;
  bool authenticated = false;
  bool no_evict = false;
  bool no_touch = false;
  ReplyMode reply_mode = ReplyMode::kOn;
  bool skips_next = false;  // CLIENT REPLY SKIP: the next request is not answered
  Fate fate = Fate::kOpen;
  std::string name;
  std::string library_name;
  std::string library_version;

  Transaction transaction;
  std::vector<WatchedKey> watched;

  MonoUs created_us;
  MonoUs last_interaction_us;
  const commands::CommandSpec* last_command = nullptr;  // asked for, carried out or not
  const commands::CommandSpec* ran = nullptr;           // whose duration is still to be noted
  bool awaits_snapshot = false;                         // SAVE: answered when the snapshot is done
  bool held = false;  // a parsed request waits: for the end of a CLIENT PAUSE, or for the lease
  bool reads_replica = false;  // READONLY: a replica answers reads from its own data
  LogIndex last_write;         // of its newest entry, for WAIT
  // WAIT: answered when so many members have its last write, at the time, or when CLIENT UNBLOCK
  // has ended it.
  struct AwaitedReplicas {
    enum class End : std::uint8_t { kNotYet, kAsTimedOut, kAsError };
    std::size_t count = 0;
    MonoUs until = 0;  // 0: as long as it takes
    End end = End::kNotYet;
  };
  std::optional<AwaitedReplicas> awaits_replicas;
  bool awaits_digest = false;  // HOLDFAST DIGEST

  // As Redis means it: in a command that CLIENT UNBLOCK can end.
  bool is_blocked() const {
    return awaits_replicas && awaits_replicas->end == AwaitedReplicas::End::kNotYet;
  }
  // The reply to the last request is still to come.
  bool awaits() const { return awaits_snapshot || awaits_digest || awaits_replicas.has_value(); }
};

}  // namespace holdfast::client
