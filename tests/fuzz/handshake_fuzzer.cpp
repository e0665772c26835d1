// Any bytes as what the other side of a handshake says, split in any way: the same outcome as from
// the whole, bounded answers, and never a link to somebody who is not in the list. Nonces and
// secret are fixed, so that the corpus can hold conversations that succeed. The first byte chooses
// the side and the split.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "replication/transport/handshake.hpp"

namespace {

using namespace holdfast::transport;
using holdfast::NodeId;

Nonce nonce(char fill) {
  Nonce bytes;
  bytes.fill(fill);
  return bytes;
}

struct Outcome {
  Handshake::State state;
  std::size_t taken;
  std::string said;
  // Of what belongs to no handshake more or less may have been taken.
  friend bool operator==(const Outcome& a, const Outcome& b) {
    return a.state == b.state && a.said == b.said &&
           (a.state != Handshake::State::kDone || a.taken == b.taken);
  }
};

Outcome run(Handshake handshake, std::string_view bytes, std::size_t step) {
  Outcome outcome{};
  outcome.said = handshake.take_output();
  while (!bytes.empty() && handshake.state() == Handshake::State::kTalking) {
    const std::string_view part = bytes.substr(0, step);
    const std::size_t taken = handshake.receive(part);
    HF_CHECK(taken == part.size() || handshake.state() != Handshake::State::kTalking);
    outcome.taken += taken;
    outcome.said += handshake.take_output();
    bytes.remove_prefix(taken);
  }
  outcome.state = handshake.state();
  HF_CHECK(outcome.said.size() <= 2 * (kRecordHeadBytes + kRecordBytesMax));
  HF_CHECK(handshake.error().size() < 256);
  if (outcome.state == Handshake::State::kDone) {
    HF_CHECK(handshake.peer().node == NodeId{handshake.is_dialler() ? 2U : 1U});
    HF_CHECK(handshake.receive("more") == 0);
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static const Membership one =
      make_membership("shop", "7f3a", {"ada", "ben"}, NodeId{1}, "secret", 16);
  static const Membership two =
      make_membership("shop", "7f3a", {"ada", "ben"}, NodeId{2}, "secret", 16);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = (data[0] >> 1) + std::size_t{1};
  const auto begin = [&] {
    return (data[0] & 1) != 0 ? Handshake::dial(one, NodeId{2}, nonce('d'))
                              : Handshake::accept(two, nonce('a'));
  };
  HF_CHECK(run(begin(), bytes, bytes.size()) == run(begin(), bytes, step));
  return 0;
}
