// WatchRegistry knows which clients WATCH which keys, and marks their transactions dirty when the
// keyspace reports a touched key. A client watches a key at most once. `forget` must be called
// before a watching client goes away.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/client/client.hpp"
#include "server/keyspace/function_ref.hpp"
#include "server/keyspace/keyspace.hpp"

namespace holdfast::client {

class WatchRegistry : public keyspace::KeyObserver {
 public:
  void watch(Client& client, keyspace::DatabaseIndex database, std::string_view key);
  void forget(Client& client);  // UNWATCH
  bool empty() const { return watchers_.empty(); }

  void key_touched(keyspace::DatabaseIndex database, std::string_view key) override;
  void database_touched(keyspace::DatabaseIndex database,
                        keyspace::FunctionRef<bool(std::string_view)> holds) override;

 private:
  struct KeyLess {
    using is_transparent = void;
    using View = std::pair<keyspace::DatabaseIndex, std::string_view>;
    static View view(const std::pair<keyspace::DatabaseIndex, std::string>& key) {
      return {key.first, key.second};
    }
    static View view(const View& key) { return key; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return view(a) < view(b);
    }
  };

  std::map<std::pair<keyspace::DatabaseIndex, std::string>, std::vector<Client*>, KeyLess>
      watchers_;
};

}  // namespace holdfast::client
