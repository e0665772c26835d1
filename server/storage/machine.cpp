#include "server/storage/machine.hpp"

#include <sys/random.h>

#include <fstream>

#include "base/check.hpp"

namespace holdfast::storage {

std::string machine_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (std::getline(file, id) && !id.empty()) return id;
  const log::Salt salt = random_salt();
  return log::to_hex(salt.data(), salt.size());
}

log::Salt random_salt() {
  log::Salt salt;
  // Up to 256 bytes come whole and are not interrupted.
  const ssize_t count = ::getrandom(salt.data(), salt.size(), 0);
  HF_CHECK(count == static_cast<ssize_t>(salt.size()));
  return salt;
}

}  // namespace holdfast::storage
