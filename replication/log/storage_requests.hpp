// What holds for all requests to storage, and for all its failures.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "replication/log/storage.hpp"

namespace holdfast::log {

// Snapshot and read requests wait behind the others; poll carries them out.
bool can_wait(const Request& request);
std::uint64_t payload_bytes(const Request& request);
// Hands back what came with a request that is not carried out.
void spend(Request& request, StorageEvents& out);

// What an operator can do about it.
std::string remedy(const FileError& error, std::string_view folder);
// Tells before anything else what would show somewhere on the way. A full disk is no reason not to
// start.
FileStatus check_writable(FileSystem& files, const std::string& folder);

}  // namespace holdfast::log
