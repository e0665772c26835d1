// Any bytes as a peer's stream, split in any way: the same messages as from the whole, and each
// encodes and decodes to itself. The same bytes are then tried as the body of one message, as the
// checksum lets hardly anything through. The first byte chooses the split.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "protocol/wire/codec.hpp"

namespace {

using holdfast::BlockRef;
using holdfast::Result;
using holdfast::RopeArena;
using namespace holdfast::wire;

std::string encoded(const Message& message) {
  RopeArena arena;
  return encode_frame(message, arena).str();
}

std::vector<std::string> parse(std::string_view bytes, std::size_t step) {
  FrameReader reader;
  std::vector<std::string> messages;
  while (!bytes.empty()) {
    const auto [room, room_bytes] = reader.read_room();
    const std::size_t count = std::min({room_bytes, bytes.size(), step});
    std::memcpy(room, bytes.data(), count);
    reader.commit(count);
    bytes.remove_prefix(count);
    for (;;) {
      Message message;
      const Result<bool> next = reader.next(message);
      if (!next) return messages;
      if (!*next) break;
      messages.push_back(encoded(message));
    }
  }
  return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  HF_CHECK(parse(bytes, bytes.size()) == parse(bytes, static_cast<std::size_t>(data[0]) + 1));

  BlockRef block = BlockRef::allocate(bytes.size());
  std::memcpy(block.data(), bytes.data(), bytes.size());
  const Result<Message> message = decode_body(block, {block.data(), bytes.size()});
  if (!message) return 0;
  const std::string frame = encoded(*message);
  const std::vector<std::string> again = parse(frame, frame.size());
  HF_CHECK(again.size() == 1 && again[0] == frame);
  return 0;
}
