// Handshake is the conversation that turns a connection into a link between two members that have
// proved to each other that they know the cluster's secret. Bytes in, bytes out: no socket, clock
// or random device; the nonce comes from outside.
//
//   dialler                                         acceptor
//   hello     {versions, nonce, to, identity}  ->
//                                              <-   challenge {version, nonce, identity}
//   proof     HMAC(dialler, transcript)        ->
//                                              <-   proof     HMAC(acceptor, transcript)
//
//   record    := magic[4] type:u8 length:u16 body[length]         (little-endian)
//     magic     "HFP1"; length: at most kRecordBytesMax
//   hello     := version_min:u16 version_max:u16 nonce[32] to:varint identity
//   challenge := version:u16 nonce[32] identity
//   proof     := mac[32]
//   refusal   := reason:u8           instead of any record; the connection ends with it
//   identity  := cluster_name:string cluster_id:string node:varint node_name:string members[32]
//                databases:varint
//   transcript: the records hello and challenge as they were sent
//   HMAC(role, t) := HMAC-SHA-256(secret, "holdfast peer " role 0x00 t)
//
// The transcript holds both nonces, both identities and the versions, so that neither an old
// conversation (replay) nor one's own words (reflection) nor a lower version is believed. The
// dialler proves first: who only dials and does not know the secret is given nothing that it could
// try secrets on. What is wrong with an identity is told only to those who proved theirs; before
// that only an unsupported version is. Comparison of proofs takes constant time.
//
// It authenticates the two ends, not the bytes that follow: whoever can change the traffic between
// them can take over the connection afterwards. Frames are for networks where nobody can.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "replication/transport/identity.hpp"

namespace holdfast::transport {

inline constexpr std::string_view kRecordMagic = "HFP1";
inline constexpr std::size_t kRecordHeadBytes = 7;
inline constexpr std::size_t kRecordBytesMax = 512;
static_assert(2 * 2 + 32 + 10 + 3 * (2 + kNameBytesMax) + 10 + sizeof(Digest) + 10 <=
                  kRecordBytesMax,
              "a hello with the longest names must fit");

using Nonce = std::array<char, 32>;

// Of the frames that follow. The highest that both know is taken.
struct VersionRange {
  std::uint16_t min = 1;
  std::uint16_t max = 1;
};

class Handshake {
 public:
  enum class State : std::uint8_t {
    kTalking,
    kDone,       // the peer is authenticated; what follows are frames
    kRefused,    // by us, or by the peer: see refusal()
    kMalformed,  // not our protocol; see error()
  };

  // `membership` outlives the handshake. `nonce` is truly random, used once.
  static Handshake dial(const Membership& membership, NodeId to, const Nonce& nonce,
                        VersionRange versions = {});
  static Handshake accept(const Membership& membership, const Nonce& nonce,
                          VersionRange versions = {});

  // Takes from the front of `bytes` what belongs to the handshake and returns how much that was;
  // incomplete records are kept here. Once state() is not kTalking it takes nothing more.
  std::size_t receive(std::string_view bytes);
  // What is to be sent now; also the last words of a handshake that has ended.
  std::string take_output() { return std::exchange(output_, {}); }

  State state() const { return state_; }
  bool is_dialler() const { return role_ == Role::kDialler; }
  // Of kRefused.
  Refusal refusal() const { return refusal_; }
  std::string remedy() const;  // what an operator can do about it
  bool refused_by_peer() const { return refused_by_peer_; }
  const std::string& error() const { return error_; }
  // As far as it was told; true only in kDone.
  const Identity& peer() const { return peer_; }
  std::uint16_t version() const { return version_; }

 private:
  enum class Role : std::uint8_t { kDialler, kAcceptor };
  enum class Type : std::uint8_t { kHello = 1, kChallenge = 2, kProof = 3, kRefusal = 4 };

  Handshake(Role role, const Membership& membership, NodeId to, const Nonce& nonce,
            VersionRange versions);
  void on_record(std::string_view record);
  void on_hello(std::string_view record);
  void on_challenge(std::string_view record);
  void on_proof(std::string_view body);
  void on_refusal(std::string_view body);
  Refusal judge_peer() const;
  Digest proof_of(Role role) const;
  void say(Type type, std::string_view body);
  void refuse(Refusal refusal);
  void give_up(std::string error);

  const Membership* membership_;
  Role role_;
  VersionRange versions_;
  NodeId to_;  // whom the dialler meant
  Nonce nonce_;
  State state_ = State::kTalking;
  Type awaited_;
  std::string input_;       // of the record that is not whole yet
  std::string output_;      // not taken yet
  std::string transcript_;  // hello, challenge
  Identity peer_;
  std::uint16_t version_ = 0;
  Refusal refusal_ = Refusal::kNone;
  bool refused_by_peer_ = false;
  std::string error_;
};

}  // namespace holdfast::transport
