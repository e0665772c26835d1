// StorageHarness is a whole node that persists; the test plays storage, one event at a time.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "replication/log/storage.hpp"
#include "tests/unit/node/fixture.hpp"

namespace holdfast::node {

class StorageHarness : public Harness {
 public:
  explicit StorageHarness(config::Options options = {}) : Harness(Persisting{}, options) {}

  // What the node asked of storage since the last call, all turns of it.
  std::vector<log::Request> requests() {
    node.background(now, 1000);
    for (log::Request& one : node.end_turn(now)) asked.push_back(std::move(one));
    return std::exchange(asked, {});
  }
  template <typename Request>
  std::vector<Request> requests_of() {
    std::vector<Request> found;
    for (log::Request& one : requests())
      if (auto* request = std::get_if<Request>(&one)) found.push_back(std::move(*request));
    return found;
  }
  template <typename Event>
  void tell(Event event) {
    log::StorageEvents events;
    events.events.emplace_back(std::move(event));
    node.on_storage(std::move(events), {}, now);
  }
  // All appends until now are persisted.
  void persist() {
    for (const auto& append : requests_of<log::AppendRequest>()) tell(log::Persisted{append.write});
  }
  // As after a start on an empty folder.
  void start_empty() {
    log::Recovered recovered;
    recovered.is_new = true;
    tell(recovered);
    requests();
    tell(log::Loaded{});
    persist();
  }

  std::vector<log::Request> asked;
};

}  // namespace holdfast::node
