#include "server/app/check_command.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "replication/log/check.hpp"
#include "server/app/log_port.hpp"
#include "server/storage/posix_file_system.hpp"

namespace holdfast::app {

namespace {

constexpr int kNothingCanBeSaid = 2;

int complain(std::string_view text) {
  fmt::print(stderr, "holdfast check: {}\n", text);
  return kNothingCanBeSaid;
}

}  // namespace

int run_check(const config::Options& options, bool repair) {
  const std::string& folder = options.server.dir;
  auto keys = encryption_keys(options.persistence);
  if (!keys) return complain(keys.error().message);
  storage::PosixFileSystem files;
  const auto lock = files.lock(folder);
  if (!lock) {
    if (lock.error().kind == log::FileErrorKind::kLocked)
      return complain(fmt::format("{}: a server is using this data folder: stop it first", folder));
    return complain(lock.error().text());
  }
  const log::CheckReport report = log::check(files, {folder, std::move(*keys), repair});
  for (const std::string& line : report.lines) fmt::print("{}\n", line);
  return static_cast<int>(report.verdict);
}

}  // namespace holdfast::app
