// ClientRegistry owns the clients of a node, by id in the order of arrival. References stay valid
// until `remove`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "server/client/client.hpp"

namespace holdfast::client {

class ClientRegistry {
 public:
  Client& add(ConnectionInfo info, MonoUs now);
  void remove(ClientId id) { clients_.erase(id.value); }
  Client* find(ClientId id);
  std::size_t size() const { return clients_.size(); }
  std::uint64_t last_id() const { return last_id_; }

  template <typename Visit>
  void for_each(Visit visit) {
    for (auto& [id, one] : clients_) visit(*one);
  }

 private:
  std::map<std::uint64_t, std::unique_ptr<Client>> clients_;
  std::uint64_t last_id_ = 0;
};

}  // namespace holdfast::client
