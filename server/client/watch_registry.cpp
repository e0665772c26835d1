#include "server/client/watch_registry.hpp"

#include <algorithm>

namespace holdfast::client {

void WatchRegistry::watch(Client& client, keyspace::DatabaseIndex database, std::string_view key) {
  for (const WatchedKey& watched : client.watched) {
    if (watched.database == database && watched.key == key) return;
  }
  client.watched.push_back({database, std::string(key)});
  watchers_[{database, std::string(key)}].push_back(&client);
}

void WatchRegistry::forget(Client& client) {
  for (const WatchedKey& watched : client.watched) {
    const auto found = watchers_.find(KeyLess::View{watched.database, watched.key});
    if (found == watchers_.end()) continue;
    std::erase(found->second, &client);
    if (found->second.empty()) watchers_.erase(found);
  }
  client.watched.clear();
  client.transaction.dirty = false;
}

void WatchRegistry::key_touched(keyspace::DatabaseIndex database, std::string_view key) {
  if (watchers_.empty()) return;
  const auto found = watchers_.find(KeyLess::View{database, key});
  if (found == watchers_.end()) return;
  for (Client* client : found->second) client->transaction.dirty = true;
}

void WatchRegistry::database_touched(keyspace::DatabaseIndex database,
                                     keyspace::FunctionRef<bool(std::string_view)> holds) {
  const auto begin = watchers_.lower_bound(KeyLess::View{database, {}});
  for (auto it = begin; it != watchers_.end() && it->first.first == database; ++it) {
    if (!holds(it->first.second)) continue;
    for (Client* client : it->second) client->transaction.dirty = true;
  }
}

}  // namespace holdfast::client
