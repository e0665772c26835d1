// Any bytes, split in any way, must give the same requests as the whole, and never read outside of
// the buffer. The first byte chooses the split.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "protocol/resp/request_parser.hpp"

namespace {

using holdfast::resp::Argument;
using holdfast::resp::ParseStatus;
using holdfast::resp::RequestParser;

struct Outcome {
  std::vector<std::string> arguments;
  std::string error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome parse(std::string_view bytes, std::size_t step, bool authenticated) {
  RequestParser parser;
  parser.limits().authenticated = authenticated;
  parser.limits().bulk_bytes_max = 1 << 20;
  Outcome outcome;
  while (!bytes.empty() && outcome.error.empty()) {
    const auto [room, room_bytes] = parser.read_room();
    const std::size_t count = std::min({room_bytes, bytes.size(), step});
    std::memcpy(room, bytes.data(), count);
    parser.commit(count);
    bytes.remove_prefix(count);
    for (ParseStatus status = parser.next(); status != ParseStatus::kNeedMore;
         status = parser.next()) {
      if (status == ParseStatus::kError) {
        outcome.error = parser.error();
        break;
      }
      for (const Argument& argument : parser.arguments()) {
        outcome.arguments.push_back(argument.chunks != nullptr ? argument.chunks->str()
                                                               : std::string(argument.bytes));
      }
      outcome.arguments.emplace_back("<end of request>");
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool authenticated = (data[0] & 1) != 0;
  const std::size_t step = static_cast<std::size_t>(data[0] >> 1) + 1;
  const Outcome whole = parse(bytes, bytes.size(), authenticated);
  const Outcome split = parse(bytes, step, authenticated);
  // How soon a too long line is refused depends on the split; everything else must not.
  if (whole.error.find("too big") == std::string::npos &&
      split.error.find("too big") == std::string::npos) {
    HF_CHECK(whole == split);
  }
  return 0;
}
