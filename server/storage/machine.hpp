// What storage needs to know of the machine and may not find out itself (log::StorageOptions).
#pragma once

#include <string>

#include "replication/log/format.hpp"

namespace holdfast::storage {

// Another one after each boot of the machine: tells whether writes that were never synced may be
// gone. Where the machine does not say, every call gives another one, which is the careful answer.
std::string machine_boot_id();

// True randomness. Stops the process if the kernel has none: what is encrypted with a salt that was
// used before is not secret.
log::Salt random_salt();

}  // namespace holdfast::storage
