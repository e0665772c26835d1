// OwnedArguments keeps one request beyond the life of the input buffer: a command queued by MULTI,
// or one that waits. Contiguous arguments lie in one block; chunked ones share their chunks.
// Movable, not copyable.
#pragma once

#include <memory>
#include <vector>

#include "base/chunked.hpp"
#include "protocol/resp/request_parser.hpp"

namespace holdfast::client {

class OwnedArguments {
 public:
  explicit OwnedArguments(resp::Arguments arguments);

  resp::Arguments arguments() const { return arguments_; }
  std::size_t memory_bytes() const { return memory_bytes_; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::vector<std::unique_ptr<Chunked>> chunked_;
  std::vector<resp::Argument> arguments_;
  std::size_t memory_bytes_ = 0;
};

}  // namespace holdfast::client
