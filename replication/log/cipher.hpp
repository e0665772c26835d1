// Encryption at rest: AES-256-GCM by OpenSSL, one key a file, derived from a master key.
//
// A KeyRing holds the master keys that were given: the first one writes, all of them read, so a key
// is changed by putting the new one in front and dropping the old one when no file needs it any
// more. Which key a file needs is told by the id in its header, derived from the key itself.
// Pure computation; not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "replication/log/format.hpp"

struct evp_cipher_ctx_st;

namespace holdfast::log {

using MasterKey = std::array<std::uint8_t, 32>;

// 64 hexadecimal digits, white space around them ignored (`openssl rand -hex 32`).
Result<MasterKey> parse_master_key(std::string_view text);
KeyId key_id(const MasterKey& key);

class KeyRing;
// Any number of them, with white space between; none gives an empty ring.
Result<KeyRing> parse_key_ring(std::string_view text);

class KeyRing {
 public:
  KeyRing() = default;  // nothing is encrypted
  explicit KeyRing(std::vector<MasterKey> keys) : keys_(std::move(keys)) {}

  bool empty() const { return keys_.empty(); }
  // REQUIRES: not empty.
  const MasterKey& writing() const { return keys_.front(); }
  const MasterKey* find(const KeyId& id) const;
  std::string ids() const;

 private:
  std::vector<MasterKey> keys_;
};

// Seals and opens the bodies of one file. An offset is sealed at most once in a file's life: it is
// the nonce.
class FileCipher {
 public:
  // `header_bytes` without the crc.
  FileCipher(const MasterKey& master, const Salt& salt, std::string_view header_bytes);
  ~FileCipher();
  FileCipher(const FileCipher&) = delete;
  FileCipher& operator=(const FileCipher&) = delete;

  // Writes `plain` sealed, and the tag, to `out`: plain.size() + kTagBytes. `out` may be the place
  // of `plain`.
  void seal(std::uint64_t offset, std::string_view associated, std::string_view plain, char* out);
  // Writes sealed.size() - kTagBytes to `out`. False: it is not what was sealed here.
  bool open(std::uint64_t offset, std::string_view associated, std::string_view sealed, char* out);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  using Context = std::unique_ptr<evp_cipher_ctx_st, Free>;

  Context seal_;
  Context open_;
};

}  // namespace holdfast::log
