// CommandContext is a handler's whole world for one command: its arguments, the one door to the
// data, the mutations that it decides on, and its reply.
//
// `read` is the door: it notes the key as looked at, counts hits and access times, and deletes an
// overdue key through the log before saying that it is absent. `emit` applies a mutation at once
// and makes it part of the command's log entry; a Lookup that `read` gave for the same key spares
// the second probe. A Lookup is stale after an emit that did not go through it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <forward_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "protocol/resp/reply_writer.hpp"
#include "protocol/resp/request_parser.hpp"
#include "server/client/client.hpp"
#include "server/commands/server_state.hpp"
#include "server/commands/spec.hpp"
#include "server/keyspace/keyspace.hpp"

namespace holdfast::commands {

inline constexpr std::string_view kWrongTypeError =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotIntegerError = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNoSuchKeyError = "ERR no such key";

class CommandContext {
 public:
  // `output` is where the reply goes: the client's own, or a buffer that is thrown away (CLIENT
  // REPLY OFF).
  CommandContext(ServerState& server, client::Client& client, const CommandSpec& spec,
                 resp::Arguments arguments, const TimePoint& now, resp::OutputBuffer& output)
      : server_(server),
        client_(client),
        spec_(spec),
        arguments_(arguments),
        now_(now),
        output_(output),
        reply_(output, client.version) {}

  // --- what was asked
  std::size_t argument_count() const { return arguments_.size(); }
  // Contiguous bytes; a chunked argument is copied together once, so use `value` where large ones
  // are usual.
  std::string_view argument(std::size_t index) const {
    const resp::Argument& one = arguments_[index];
    return one.chunks == nullptr ? one.bytes : flattened(one);
  }
  keyspace::ValueView value(std::size_t index) const {
    return {arguments_[index].bytes, arguments_[index].chunks};
  }
  bool argument_is(std::size_t index, std::string_view word) const;
  resp::Arguments arguments() const { return arguments_; }
  const CommandSpec& spec() const { return spec_; }

  // --- the door
  keyspace::Lookup read(std::string_view key) { return read(client_.database, key); }
  keyspace::Lookup read(keyspace::DatabaseIndex database, std::string_view key);
  // As read, but counts nothing and leaves the access time alone (TTL, TYPE, OBJECT, EXISTS of
  // SCAN).
  keyspace::Lookup peek(std::string_view key) { return peek(client_.database, key); }
  keyspace::Lookup peek(keyspace::DatabaseIndex database, std::string_view key);
  // For commands about the data as a whole: SCAN, KEYS, DBSIZE, RANDOMKEY. An entry whose absence
  // the reply would show because it is overdue must be peeked at once no walk is under way. A count
  // has overdue entries in it until they are deleted, as Redis's has.
  const keyspace::Table& table() {
    depends_on(server_.journal.last_index());
    return server_.keyspace.table(client_.database);
  }

  // --- what is decided
  template <typename Mutation>
  void emit(const Mutation& mutation, keyspace::Lookup* at) {
    ++emitted_;
    server_.journal.emit(mutation, now_.unix_ms, access_clock(), at);
  }
  template <typename Mutation>
  void emit(const Mutation& mutation) {
    ++emitted_;
    server_.journal.emit(mutation, now_.unix_ms, access_clock());
  }
  std::uint64_t mutations_emitted() const { return emitted_; }
  // The time of access as entries keep it: wall-clock seconds, 24 bits.
  std::uint32_t access_clock() const {
    return static_cast<std::uint32_t>(now_.unix_ms / 1000) & 0xffffff;
  }

  // --- what is answered
  // The reply may be shown only when the entry at `index` is committed. The reads of this class see
  // to it by themselves.
  void depends_on(LogIndex index) { depends_on_ = std::max(depends_on_, index); }
  LogIndex dependency() const { return depends_on_; }
  resp::ReplyWriter& reply() { return reply_; }
  resp::OutputBuffer& output() { return output_; }
  void error(std::string_view text);
  // Replies WRONGTYPE and returns false if the key holds another type; true if it is absent.
  bool check_type(const keyspace::Lookup& lookup, keyspace::ValueType type);
  // The argument as an integer; replies `error_text` and returns nothing if it is none.
  std::optional<std::int64_t> integer_argument(std::size_t index,
                                               std::string_view error_text = kNotIntegerError);
  bool failed() const { return failed_; }
  // An overdue key was passed over that could not be deleted now, as no entry can be made. So the
  // reply must not be shown by a primary: a next one could still have the key.
  bool lacks_entry() const { return lacks_entry_; }
  // False: CLIENT REPLY has silenced the client.
  bool is_heard() const { return client_.reply_mode == client::ReplyMode::kOn; }

  // --- around
  ServerState& server() { return server_; }
  client::Client& client() { return client_; }
  keyspace::DatabaseIndex database() const { return client_.database; }
  const TimePoint& now() const { return now_; }
  Random& random() { return server_.random; }
  // Runs another command inside this one, as a part of its log entry, with its reply behind this
  // one's (EXEC), as far as CLIENT REPLY, which may stand among them, lets it be heard.
  void run_inside(const CommandSpec& spec, resp::Arguments arguments);

 private:
  std::string_view flattened(const resp::Argument& argument) const;

  ServerState& server_;
  client::Client& client_;
  const CommandSpec& spec_;
  resp::Arguments arguments_;
  const TimePoint& now_;
  resp::OutputBuffer& output_;
  resp::ReplyWriter reply_;
  std::uint64_t emitted_ = 0;
  LogIndex depends_on_;
  bool failed_ = false;
  bool lacks_entry_ = false;
  mutable std::forward_list<std::pair<const Chunked*, std::string>> flattened_;
};

}  // namespace holdfast::commands
