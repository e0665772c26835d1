#include "replication/core/effects.hpp"

namespace holdfast::core {

void Effects::clear() {
  records.clear();
  writes.clear();
  became.clear();
  refused_from = {};
  store_snapshot.clear();
  discard_snapshot = false;
  install_snapshot.reset();
  apply.clear();
  committed = {};
  read_log.clear();
  read_snapshot.clear();
  end_snapshot.clear();
  reads.clear();
  transfer.reset();
  send.clear();
  notes.clear();
}

}  // namespace holdfast::core
