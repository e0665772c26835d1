#include "server/keyspace/hash.hpp"

#include <xxhash.h>

namespace holdfast::keyspace {

std::uint64_t key_hash(std::uint64_t seed, std::string_view key) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace holdfast::keyspace
