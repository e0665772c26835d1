// The one hash of keys and members: XXH3 with a seed that is drawn once per process, so that nobody
// outside can aim keys at one bucket.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast::keyspace {

std::uint64_t key_hash(std::uint64_t seed, std::string_view key);

}  // namespace holdfast::keyspace
