// SlowLog keeps the latest commands that took longer than slowlog-log-slower-than. Arguments are
// cut as in Redis: 32 of them, 128 bytes each; passwords are not kept.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "protocol/resp/request_parser.hpp"
#include "server/commands/spec.hpp"

namespace holdfast::commands {

struct SlowLogEntry {
  std::int64_t id;
  std::int64_t unix_s;
  std::int64_t duration_us;
  std::vector<std::string> arguments;
  std::string peer_address;
  std::string client_name;
};

class SlowLog {
 public:
  void add(const CommandSpec& spec, resp::Arguments arguments, std::int64_t unix_s,
           std::int64_t duration_us, std::string peer_address, std::string client_name,
           std::size_t length_max);
  void reset() { entries_.clear(); }
  const std::deque<SlowLogEntry>& entries() const { return entries_; }  // newest first

 private:
  std::deque<SlowLogEntry> entries_;
  std::int64_t next_id_ = 0;
};

}  // namespace holdfast::commands
