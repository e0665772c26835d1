#include "replication/transport/handshake.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/text.hpp"

namespace holdfast::transport {

namespace {

std::string_view view(const std::array<char, 32>& bytes) {
  return {bytes.data(), bytes.size()};
}

void read_array(ByteReader& in, std::array<char, 32>& out) {
  const std::string_view bytes = in.bytes(out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
}

void write_identity(ByteWriter& out, const Identity& identity) {
  out.string(identity.cluster_name);
  out.string(identity.cluster_id);
  out.varint(identity.node.value);
  out.string(identity.node_name);
  out.bytes(view(identity.members));
  out.varint(identity.databases);
}

Identity read_identity(ByteReader& in) {
  Identity identity;
  const auto name = [&in] {
    const std::string_view text = in.string();
    if (text.size() > kNameBytesMax) in.fail();
    return in.ok() ? std::string(text) : std::string();
  };
  identity.cluster_name = name();
  identity.cluster_id = name();
  identity.node.value = in.varint();
  identity.node_name = name();
  read_array(in, identity.members);
  identity.databases = in.varint();
  return identity;
}

// Those who come to the wrong port most often, told from their first bytes.
std::string describe_stranger(std::string_view bytes) {
  if (bytes.starts_with("\x16\x03")) return "a TLS hello; the peer port speaks no TLS";
  if (bytes.starts_with('*')) return "a Redis command; clients connect to server.port";
  for (const std::string_view method : {"GET ", "POST", "PUT ", "HEAD", "OPTI", "DELE"}) {
    if (bytes.starts_with(method)) return "an HTTP request";
  }
  return fmt::format("not a peer's first bytes: \"{}\"", escaped(bytes));
}

}  // namespace

Handshake Handshake::dial(const Membership& membership, NodeId to, const Nonce& nonce,
                          VersionRange versions) {
  Handshake handshake(Role::kDialler, membership, to, nonce, versions);
  ByteWriter hello;
  hello.u16(versions.min);
  hello.u16(versions.max);
  hello.bytes(view(nonce));
  hello.varint(to.value);
  write_identity(hello, membership.self);
  handshake.say(Type::kHello, hello.str());
  handshake.transcript_ = handshake.output_;
  return handshake;
}

Handshake Handshake::accept(const Membership& membership, const Nonce& nonce,
                            VersionRange versions) {
  return {Role::kAcceptor, membership, membership.self.node, nonce, versions};
}

Handshake::Handshake(Role role, const Membership& membership, NodeId to, const Nonce& nonce,
                     VersionRange versions)
    : membership_(&membership),
      role_(role),
      versions_(versions),
      to_(to),
      nonce_(nonce),
      awaited_(role == Role::kDialler ? Type::kChallenge : Type::kHello) {}

std::size_t Handshake::receive(std::string_view bytes) {
  std::size_t taken = 0;
  while (state_ == State::kTalking && taken < bytes.size()) {
    // Never more than the head, and then never more than the record: what follows is not ours.
    std::size_t wanted = kRecordHeadBytes;
    if (input_.size() >= kRecordHeadBytes) {
      ByteReader length(std::string_view(input_).substr(kRecordHeadBytes - 2, 2));
      wanted += length.u16();
    }
    const std::string_view part = bytes.substr(taken, wanted - input_.size());
    input_ += part;
    taken += part.size();

    const std::size_t magic_bytes = std::min(input_.size(), kRecordMagic.size());
    if (std::string_view(input_).substr(0, magic_bytes) != kRecordMagic.substr(0, magic_bytes)) {
      give_up(describe_stranger(input_));
      break;
    }
    if (input_.size() < kRecordHeadBytes) continue;
    ByteReader length(std::string_view(input_).substr(kRecordHeadBytes - 2, 2));
    const std::size_t body_bytes = length.u16();
    if (body_bytes > kRecordBytesMax) {
      give_up(fmt::format("a record of {} bytes, more than {}", body_bytes, kRecordBytesMax));
    } else if (input_.size() == kRecordHeadBytes + body_bytes) {
      on_record(std::exchange(input_, {}));
    }
  }
  return taken;
}

void Handshake::on_record(std::string_view record) {
  const auto type = static_cast<Type>(record[kRecordMagic.size()]);
  const std::string_view body = record.substr(kRecordHeadBytes);
  if (type == Type::kRefusal) return on_refusal(body);
  if (type != awaited_) {
    return give_up(fmt::format("record {} where {} was expected", static_cast<int>(type),
                               static_cast<int>(awaited_)));
  }
  switch (type) {
    case Type::kHello:
      return on_hello(record);
    case Type::kChallenge:
      return on_challenge(record);
    default:
      return on_proof(body);
  }
}

void Handshake::on_hello(std::string_view record) {
  ByteReader in(record.substr(kRecordHeadBytes));
  VersionRange theirs;
  theirs.min = in.u16();
  theirs.max = in.u16();
  if (!in.ok() || theirs.min > theirs.max) return give_up("malformed hello");
  // A later version may say hello in another way, so nothing behind the range is looked at first.
  version_ = std::min(theirs.max, versions_.max);
  if (version_ < std::max(theirs.min, versions_.min)) return refuse(Refusal::kUnsupportedVersion);
  Nonce theirs_nonce;
  read_array(in, theirs_nonce);
  to_.value = in.varint();
  peer_ = read_identity(in);
  if (!in.ok() || !in.at_end()) return give_up("malformed hello");
  ByteWriter challenge;
  challenge.u16(version_);
  challenge.bytes(view(nonce_));
  write_identity(challenge, membership_->self);
  say(Type::kChallenge, challenge.str());
  transcript_ = record;
  transcript_ += output_;
  awaited_ = Type::kProof;
}

void Handshake::on_challenge(std::string_view record) {
  ByteReader in(record.substr(kRecordHeadBytes));
  version_ = in.u16();
  if (!in.ok()) return give_up("malformed challenge");
  if (version_ < versions_.min || version_ > versions_.max)
    return refuse(Refusal::kUnsupportedVersion);
  Nonce theirs_nonce;
  read_array(in, theirs_nonce);
  peer_ = read_identity(in);
  if (!in.ok() || !in.at_end()) return give_up("malformed challenge");
  transcript_ += record;
  say(Type::kProof, view(proof_of(Role::kDialler)));
  awaited_ = Type::kProof;
}

void Handshake::on_proof(std::string_view body) {
  const Digest expected = proof_of(is_dialler() ? Role::kAcceptor : Role::kDialler);
  if (body.size() != expected.size()) return give_up("malformed proof");
  if (CRYPTO_memcmp(body.data(), expected.data(), expected.size()) != 0)
    return refuse(Refusal::kWrongSecret);
  if (const Refusal refusal = judge_peer(); refusal != Refusal::kNone) return refuse(refusal);
  if (!is_dialler()) say(Type::kProof, view(proof_of(Role::kAcceptor)));
  state_ = State::kDone;
}

void Handshake::on_refusal(std::string_view body) {
  if (body.size() != 1) return give_up("malformed refusal");
  const auto reason = static_cast<std::uint8_t>(body[0]);
  if (reason == 0 || reason > kRefusalMax)
    return give_up(fmt::format("refused for a reason that is unknown here ({})", reason));
  refusal_ = static_cast<Refusal>(reason);
  refused_by_peer_ = true;
  state_ = State::kRefused;
}

std::string Handshake::remedy() const {
  std::string text(refusal_remedy(refusal_));
  if (refusal_ == Refusal::kUnequalDatabases)
    text += fmt::format(": {} here, {} there", membership_->self.databases, peer_.databases);
  return text;
}

Refusal Handshake::judge_peer() const {
  if (const Refusal refusal = judge(*membership_, peer_); refusal != Refusal::kNone) return refusal;
  if (is_dialler()) return peer_.node == to_ ? Refusal::kNone : Refusal::kWrongNode;
  if (to_ != membership_->self.node) return Refusal::kWrongNode;
  return peer_.node < membership_->self.node ? Refusal::kNone : Refusal::kWrongDirection;
}

Digest Handshake::proof_of(Role role) const {
  std::string text("holdfast peer ");
  text += role == Role::kDialler ? "dialler" : "acceptor";
  text += '\0';
  text += transcript_;
  Digest mac;
  unsigned int mac_bytes = 0;
  const std::string& secret = membership_->secret;
  HF_CHECK(HMAC(EVP_sha256(), secret.c_str(), static_cast<int>(secret.size()),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                reinterpret_cast<unsigned char*>(mac.data()), &mac_bytes) != nullptr);
  HF_CHECK(mac_bytes == mac.size());
  return mac;
}

void Handshake::say(Type type, std::string_view body) {
  ByteWriter record;
  record.bytes(kRecordMagic);
  record.u8(static_cast<std::uint8_t>(type));
  record.u16(static_cast<std::uint16_t>(body.size()));
  record.bytes(body);
  output_ += record.str();
}

void Handshake::refuse(Refusal refusal) {
  const char reason = static_cast<char>(refusal);
  say(Type::kRefusal, {&reason, 1});
  refusal_ = refusal;
  state_ = State::kRefused;
}

void Handshake::give_up(std::string error) {
  error_ = std::move(error);
  state_ = State::kMalformed;
}

}  // namespace holdfast::transport
