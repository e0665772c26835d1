// RespReply is one reply of RESP2, as a client of a simulated node reads it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::sim {

struct RespReply {
  char type = 0;     // the first byte; '_' for an absent bulk string or array
  std::string text;  // of a simple string, error, number or bulk string
  std::vector<RespReply> items;

  bool is_error() const { return type == '-'; }
  bool is_absent() const { return type == '_'; }
};

// Takes one off the front; nothing, and nothing taken: it is not complete.
std::optional<RespReply> take_reply(std::string_view& bytes);

}  // namespace holdfast::sim
