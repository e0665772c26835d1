#include "server/client/owned_arguments.hpp"

#include <cstring>

namespace holdfast::client {

OwnedArguments::OwnedArguments(resp::Arguments arguments) {
  std::size_t total = 0;
  for (const resp::Argument& argument : arguments) total += argument.bytes.size();
  bytes_ = std::make_unique_for_overwrite<char[]>(total);
  memory_bytes_ = total + arguments.size() * sizeof(resp::Argument);
  arguments_.reserve(arguments.size());
  char* at = bytes_.get();
  for (const resp::Argument& argument : arguments) {
    if (argument.chunks != nullptr) {
      chunked_.push_back(std::make_unique<Chunked>(*argument.chunks));
      memory_bytes_ += chunked_.back()->memory_bytes();
      arguments_.push_back({{}, chunked_.back().get()});
      continue;
    }
    if (!argument.bytes.empty()) std::memcpy(at, argument.bytes.data(), argument.bytes.size());
    arguments_.push_back({{at, argument.bytes.size()}, nullptr});
    at += argument.bytes.size();
  }
}

}  // namespace holdfast::client
