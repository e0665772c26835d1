#include "server/client/registry.hpp"

#include <utility>

namespace holdfast::client {

Client& ClientRegistry::add(ConnectionInfo info, MonoUs now) {
  const ClientId id{++last_id_};
  auto& slot = clients_[id.value];
  slot = std::make_unique<Client>(id, std::move(info), now);
  return *slot;
}

Client* ClientRegistry::find(ClientId id) {
  const auto found = clients_.find(id.value);
  return found == clients_.end() ? nullptr : found->second.get();
}

}  // namespace holdfast::client
