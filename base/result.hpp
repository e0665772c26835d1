// Result<T> carries either a value or an Error whose text names the cause and the remedy. It is for
// input that may be bad (client, peer, file, environment); our own bugs are HF_CHECK, a user's
// Redis-level mistake is an error reply.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace holdfast {

struct Error {
  std::string message;
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(std::string message) {
  return tl::unexpected<Error>(Error{std::move(message)});
}

}  // namespace holdfast
