// RequestParser turns the bytes of one connection into requests: RESP arrays of bulk strings, or
// inline commands.
//
// It owns the input buffer. The caller reads from its socket into `read_room()`, tells `commit(n)`,
// and takes requests with `next()` until that says kNeedMore. Arguments are views into the buffer
// (no copy); they live until the next call of any non-const function. An argument of 64 KB or more
// is received straight into chunks and never lies in one piece.
//
// Works with any split of the bytes: what was parsed of an unfinished request is not parsed again.
// After kError nothing more is parsed: the caller sends the error and closes. In the steady state
// it allocates nothing. Not thread-safe.
//
// Once authenticated it parses a pipeline some requests ahead, so that the caller can look at the
// keys of `upcoming` requests and have the memory behind them loaded while the earlier ones run.
// What is handed out does not change by it.
//
// Protocol: https://redis.io/docs/reference/protocol-spec/. Limits and error texts are those of
// Redis 7.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/chunked.hpp"

namespace holdfast::resp {

inline constexpr std::size_t kInlineBytesMax = 64 * 1024;
inline constexpr std::int64_t kArgumentsMax = 1024 * 1024;
inline constexpr std::int64_t kUnauthenticatedArgumentsMax = 10;
inline constexpr std::int64_t kUnauthenticatedBulkBytesMax = 16 * 1024;
inline constexpr std::size_t kReadBytes = 16 * 1024;
inline constexpr std::size_t kRequestsAhead = 16;

// One argument: contiguous bytes, or chunks (then `bytes` is empty).
struct Argument {
  std::string_view bytes;
  const Chunked* chunks = nullptr;

  std::size_t size() const { return chunks != nullptr ? chunks->size() : bytes.size(); }
};

using Arguments = std::span<const Argument>;

enum class ParseStatus { kRequest, kNeedMore, kError };

class RequestParser {
 public:
  struct Limits {
    std::int64_t bulk_bytes_max = 512LL * 1024 * 1024;
    // Of one unfinished request, chunked arguments by the lengths that they announce.
    std::size_t buffer_bytes_max = 1024UL * 1024 * 1024;
    bool authenticated = true;
  };

  Limits& limits() { return limits_; }

  // Never empty. Views handed out before become invalid. REQUIRES: next() said kNeedMore.
  std::pair<char*, std::size_t> read_room();
  void commit(std::size_t byte_count);

  // kRequest: arguments() holds at least one argument.
  ParseStatus next();
  Arguments arguments() const { return of(requests_[current_]); }
  const std::string& error() const { return error_; }

  // The requests parsed ahead, the one of arguments() first. True once for each batch of them.
  bool batch_is_new() { return std::exchange(batch_new_, false); }
  std::size_t upcoming_count() const { return requests_.size() - current_; }
  Arguments upcoming(std::size_t index) const { return of(requests_[current_ + index]); }

  // True if a further request, or a part of one, lies in the buffer.
  bool has_unparsed() const {
    return current_ + 1 < requests_.size() || begin_ < end_ || request_begun();
  }
  bool request_begun() const { return arguments_left_ > 0; }
  // Bytes held for this connection, and how many of them are unparsed (qbuf, qbuf-free of CLIENT
  // LIST).
  std::size_t memory_bytes() const;
  std::size_t unparsed_bytes() const { return end_ - begin_; }
  // Gives the buffer back if nothing lies in it: for idle connections.
  void release_if_empty();

 private:
  struct Position {  // of an argument in the buffer, relative to request_begin_, or the index of a
                     // chunked one
    std::size_t offset;
    std::size_t length;
    Chunked* chunks;
  };

  struct Request {  // a range of arguments_
    std::size_t first;
    std::size_t count;
  };

  Arguments of(const Request& request) const {
    return Arguments(arguments_).subspan(request.first, request.count);
  }
  void parse_ahead();
  ParseStatus parse_one();
  ParseStatus fail(std::string text);
  ParseStatus parse_array_header();
  ParseStatus parse_array();
  ParseStatus parse_inline();
  bool take_large_bytes();
  void make_room(std::size_t byte_count);
  ParseStatus finish_request();

  Limits limits_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t request_begin_ = 0;  // first byte that the request under way still needs
  std::size_t wanted_bytes_ = 0;   // what the argument under way still lacks
  std::size_t begin_ = 0;          // first byte not yet parsed
  std::size_t end_ = 0;            // behind the last byte received

  std::int64_t arguments_left_ = 0;  // of the array under way; 0 = none under way
  std::int64_t bulk_length_ = -1;    // of the bulk string under way; -1 = header not seen yet
  std::int64_t large_left_ = 0;      // bytes of a chunked argument that are still to come
  std::size_t large_bytes_ = 0;      // of all chunked arguments of the request under way
  std::size_t skip_ = 0;             // bytes of a CR LF that are still to come
  std::vector<Position> positions_;
  std::vector<Argument> arguments_;  // of all requests of the batch
  std::vector<Request> requests_;    // the batch
  std::size_t current_ = 0;          // the one that next() gave
  bool batch_new_ = false;
  ParseStatus batch_end_ = ParseStatus::kNeedMore;  // what comes when the batch is used up
  std::deque<Chunked> large_;
  std::string inline_bytes_;  // unquoted arguments of an inline command
  std::string error_;
  bool inline_ended_ = false;
};

}  // namespace holdfast::resp
