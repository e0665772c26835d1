#include "replication/log/cipher.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/planted_fault.hpp"

namespace holdfast::log {

namespace {

constexpr std::string_view kWhite = " \t\r\n";
constexpr int kNonceBytes = 12;

const unsigned char* octets(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

void derive(const MasterKey& master, std::string_view salt, std::string_view info,
            unsigned char* out, std::size_t out_bytes) {
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr);
  HF_CHECK(context != nullptr);
  HF_CHECK(EVP_PKEY_derive_init(context) > 0);
  HF_CHECK(EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) > 0);
  HF_CHECK(EVP_PKEY_CTX_set1_hkdf_salt(context, octets(salt), static_cast<int>(salt.size())) > 0);
  HF_CHECK(EVP_PKEY_CTX_set1_hkdf_key(context, master.data(), static_cast<int>(master.size())) > 0);
  HF_CHECK(EVP_PKEY_CTX_add1_hkdf_info(context, octets(info), static_cast<int>(info.size())) > 0);
  HF_CHECK(EVP_PKEY_derive(context, out, &out_bytes) > 0);
  EVP_PKEY_CTX_free(context);
}

std::array<unsigned char, kNonceBytes> nonce_of(std::uint64_t offset) {
  std::array<unsigned char, kNonceBytes> nonce{};
  put_u64(reinterpret_cast<char*>(nonce.data()) + 4, offset);
  return nonce;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<MasterKey> parse_master_key(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kWhite);
  if (begin == std::string_view::npos)
    return fail("the encryption key is empty; make one with: openssl rand -hex 32");
  text = text.substr(begin, text.find_last_not_of(kWhite) - begin + 1);
  MasterKey key{};
  bool good = text.size() == 2 * key.size();
  for (std::size_t i = 0; good && i < key.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    key[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  if (!good)
    return fail(
        "the encryption key must be 64 hexadecimal digits; make one with: openssl rand -hex 32");
  return key;
}

Result<KeyRing> parse_key_ring(std::string_view text) {
  std::vector<MasterKey> keys;
  while (true) {
    const std::size_t begin = text.find_first_not_of(kWhite);
    if (begin == std::string_view::npos) return KeyRing(std::move(keys));
    text.remove_prefix(begin);
    const std::size_t length = std::min(text.find_first_of(kWhite), text.size());
    auto key = parse_master_key(text.substr(0, length));
    if (!key) return tl::unexpected(key.error());
    keys.push_back(*key);
    text.remove_prefix(length);
  }
}

KeyId key_id(const MasterKey& key) {
  KeyId id{};
  derive(key, "holdfast", "key id", id.data(), id.size());
  return id;
}

const MasterKey* KeyRing::find(const KeyId& id) const {
  for (const MasterKey& key : keys_) {
    if (key_id(key) == id) return &key;
    if (HF_BUG(kReadWithNewestKeyOnly)) break;
  }
  return nullptr;
}

std::string KeyRing::ids() const {
  std::string text;
  for (const MasterKey& key : keys_) {
    const KeyId id = key_id(key);
    text += (text.empty() ? "" : ", ") + to_hex(id.data(), id.size());
  }
  return text;
}

void FileCipher::Free::operator()(evp_cipher_ctx_st* context) const {
  EVP_CIPHER_CTX_free(context);
}

FileCipher::FileCipher(const MasterKey& master, const Salt& salt, std::string_view header_bytes)
    : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
  unsigned char key[32];
  derive(master, {reinterpret_cast<const char*>(salt.data()), salt.size()}, header_bytes, key,
         sizeof key);
  HF_CHECK(seal_ != nullptr && open_ != nullptr);
  HF_CHECK(EVP_EncryptInit_ex(seal_.get(), EVP_aes_256_gcm(), nullptr, key, nullptr) > 0);
  HF_CHECK(EVP_DecryptInit_ex(open_.get(), EVP_aes_256_gcm(), nullptr, key, nullptr) > 0);
  OPENSSL_cleanse(key, sizeof key);
}

FileCipher::~FileCipher() = default;

void FileCipher::seal(std::uint64_t offset, std::string_view associated, std::string_view plain,
                      char* out) {
  auto* const to = reinterpret_cast<unsigned char*>(out);
  int count = 0;
  HF_CHECK(EVP_EncryptInit_ex(seal_.get(), nullptr, nullptr, nullptr, nonce_of(offset).data()) > 0);
  HF_CHECK(EVP_EncryptUpdate(seal_.get(), nullptr, &count, octets(associated),
                             static_cast<int>(associated.size())) > 0);
  HF_CHECK(EVP_EncryptUpdate(seal_.get(), to, &count, octets(plain),
                             static_cast<int>(plain.size())) > 0);
  HF_CHECK(static_cast<std::size_t>(count) == plain.size());
  HF_CHECK(EVP_EncryptFinal_ex(seal_.get(), to + count, &count) > 0);
  HF_CHECK(EVP_CIPHER_CTX_ctrl(seal_.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, to + plain.size()) >
           0);
}

bool FileCipher::open(std::uint64_t offset, std::string_view associated, std::string_view sealed,
                      char* out) {
  if (sealed.size() < kTagBytes) return false;
  const std::string_view hidden = sealed.substr(0, sealed.size() - kTagBytes);
  unsigned char tag[kTagBytes];
  std::memcpy(tag, sealed.data() + hidden.size(), kTagBytes);
  auto* const to = reinterpret_cast<unsigned char*>(out);
  int count = 0;
  HF_CHECK(EVP_DecryptInit_ex(open_.get(), nullptr, nullptr, nullptr, nonce_of(offset).data()) > 0);
  HF_CHECK(EVP_DecryptUpdate(open_.get(), nullptr, &count, octets(associated),
                             static_cast<int>(associated.size())) > 0);
  HF_CHECK(EVP_DecryptUpdate(open_.get(), to, &count, octets(hidden),
                             static_cast<int>(hidden.size())) > 0);
  HF_CHECK(EVP_CIPHER_CTX_ctrl(open_.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag) > 0);
  return EVP_DecryptFinal_ex(open_.get(), to + count, &count) > 0;
}

}  // namespace holdfast::log
