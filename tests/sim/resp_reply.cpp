#include "tests/sim/resp_reply.hpp"

#include <cstdlib>

#include "base/check.hpp"

namespace holdfast::sim {

std::optional<RespReply> take_reply(std::string_view& bytes) {
  std::string_view rest = bytes;
  const std::size_t line_end = rest.find("\r\n");
  if (line_end == std::string_view::npos) return std::nullopt;
  RespReply reply;
  reply.type = rest[0];
  reply.text = rest.substr(1, line_end - 1);
  rest.remove_prefix(line_end + 2);
  if (reply.type == '$' || reply.type == '*') {
    const long count = std::strtol(reply.text.c_str(), nullptr, 10);
    reply.text.clear();
    if (count < 0) {
      reply.type = '_';
    } else if (reply.type == '$') {
      const auto size = static_cast<std::size_t>(count);
      if (rest.size() < size + 2) return std::nullopt;
      reply.text = rest.substr(0, size);
      rest.remove_prefix(size + 2);
    } else {
      for (long i = 0; i < count; ++i) {
        std::optional<RespReply> item = take_reply(rest);
        if (!item) return std::nullopt;
        reply.items.push_back(std::move(*item));
      }
    }
  } else {
    HF_CHECK(reply.type == '+' || reply.type == '-' || reply.type == ':');
  }
  bytes = rest;
  return reply;
}

}  // namespace holdfast::sim
