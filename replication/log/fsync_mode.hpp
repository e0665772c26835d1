// The option `persistence.log_fsync` as the log's formats write it.
#pragma once

#include "base/check.hpp"
#include "config/options/options.hpp"
#include "replication/log/format.hpp"

namespace holdfast::log {

inline FsyncMode fsync_mode_of(config::LogFsync fsync) {
  switch (fsync) {
    case config::LogFsync::kAlways:
      return FsyncMode::kAlways;
    case config::LogFsync::kEverySecond:
      return FsyncMode::kEverySecond;
    case config::LogFsync::kNo:
      return FsyncMode::kNo;
  }
  HF_CHECK(false && "unknown fsync mode");
}

}  // namespace holdfast::log
