#include "protocol/resp/request_parser.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/check.hpp"
#include "base/text.hpp"
#include "protocol/resp/inline_command.hpp"

namespace holdfast::resp {

namespace {

constexpr std::size_t kHeaderBytesMax = 64 * 1024;
constexpr std::string_view kTlsHandshake = "\x16\x03";  // record type and major version

// The usual header: one to nine plain digits. Anything else goes the strict way.
std::optional<std::int64_t> parse_header_int(std::string_view text) {
  if (text.empty() || text.size() > 9 || text.front() == '0') return parse_int(text);
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return parse_int(text);
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::size_t RequestParser::memory_bytes() const {
  std::size_t bytes = capacity_ + positions_.capacity() * sizeof(Position) +
                      arguments_.capacity() * sizeof(Argument) +
                      requests_.capacity() * sizeof(Request);
  for (const Chunked& chunked : large_) bytes += chunked.memory_bytes();
  return bytes;
}

void RequestParser::release_if_empty() {
  if (has_unparsed()) return;
  requests_.clear();
  current_ = 0;
  large_.clear();
  buffer_.reset();
  capacity_ = request_begin_ = begin_ = end_ = 0;
  std::vector<Position>().swap(positions_);
  std::vector<Argument>().swap(arguments_);
}

void RequestParser::make_room(std::size_t byte_count) {
  if (!request_begun()) request_begin_ = begin_;
  if (capacity_ - end_ >= byte_count) return;
  const std::size_t kept = end_ - request_begin_;
  if (capacity_ >= kept + byte_count && request_begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + request_begin_, kept);
  } else {
    const std::size_t capacity = std::max({kReadBytes, capacity_ * 2, kept + byte_count});
    auto fresh = std::make_unique_for_overwrite<char[]>(capacity);
    if (kept > 0) std::memcpy(fresh.get(), buffer_.get() + request_begin_, kept);
    buffer_ = std::move(fresh);
    capacity_ = capacity;
  }
  begin_ -= request_begin_;
  end_ = kept;
  request_begin_ = 0;
}

std::pair<char*, std::size_t> RequestParser::read_room() {
  if (large_left_ > 0 && begin_ == end_) {
    const auto [room, byte_count] = large_.back().tail();
    return {room, std::min(byte_count, static_cast<std::size_t>(large_left_))};
  }
  HF_CHECK(current_ >= requests_.size());
  // A buffer that one big pipeline has grown goes back to its usual size once it is empty.
  if (begin_ == end_ && !request_begun() && capacity_ > 4 * kReadBytes) release_if_empty();
  const std::size_t usual = capacity_ - end_ >= kReadBytes / 2 ? capacity_ - end_ : kReadBytes;
  make_room(std::max(usual, std::exchange(wanted_bytes_, 0)));
  return {buffer_.get() + end_, capacity_ - end_};
}

void RequestParser::commit(std::size_t byte_count) {
  if (large_left_ > 0 && begin_ == end_) {
    large_.back().commit_tail(byte_count);
    large_left_ -= static_cast<std::int64_t>(byte_count);
    return;
  }
  end_ += byte_count;
  HF_CHECK(end_ <= capacity_);
}

ParseStatus RequestParser::fail(std::string text) {
  error_ = "ERR Protocol error: " + text;
  return ParseStatus::kError;
}

ParseStatus RequestParser::next() {
  if (current_ + 1 < requests_.size()) {
    ++current_;
    return ParseStatus::kRequest;
  }
  if (batch_end_ == ParseStatus::kError) {
    requests_.clear();
    return ParseStatus::kError;
  }
  parse_ahead();
  return requests_.empty() ? batch_end_ : ParseStatus::kRequest;
}

void RequestParser::parse_ahead() {
  requests_.clear();
  arguments_.clear();
  current_ = 0;
  if (!request_begun()) large_.clear();
  // What a request may be can change by the one before it (AUTH), so there is no looking ahead
  // before authentication.
  const std::size_t ahead = limits_.authenticated ? kRequestsAhead : 1;
  while (requests_.size() < ahead) {
    const std::size_t first = arguments_.size();
    ParseStatus status = parse_one();
    if (status == ParseStatus::kNeedMore && request_begun() &&
        end_ - request_begin_ + large_bytes_ > limits_.buffer_bytes_max) {
      status = fail("too big query buffer");
    }
    if (status == ParseStatus::kError) {
      batch_end_ = status;
      break;
    }
    if (status == ParseStatus::kNeedMore) break;
    requests_.push_back({first, arguments_.size() - first});
    if (!large_.empty() || inline_ended_) break;  // their bytes are kept for one request only
  }
  inline_ended_ = false;
  batch_new_ = requests_.size() > 0;
}

ParseStatus RequestParser::parse_one() {
  while (true) {
    if (!request_begun()) {
      request_begin_ = begin_;
      large_bytes_ = 0;
      positions_.clear();
      if (begin_ == end_) {
        if (requests_.empty()) begin_ = end_ = request_begin_ = 0;
        return ParseStatus::kNeedMore;
      }
      if (buffer_[begin_] != '*') {
        const std::size_t first = arguments_.size();
        const ParseStatus status = parse_inline();
        if (status == ParseStatus::kRequest && arguments_.size() == first)
          continue;  // an empty line
        inline_ended_ = status == ParseStatus::kRequest;
        return status;
      }
      const ParseStatus status = parse_array_header();
      if (status != ParseStatus::kRequest) return status;
      if (!request_begun()) continue;  // an empty array
    }
    return parse_array();
  }
}

// kRequest here says only: the header was taken.
ParseStatus RequestParser::parse_array_header() {
  const char* begin = buffer_.get() + begin_;
  const std::size_t available = end_ - begin_;
  const auto* cr = static_cast<const char*>(std::memchr(begin, '\r', available));
  if (cr == nullptr) {
    if (available > kHeaderBytesMax) return fail("too big mbulk count string");
    return ParseStatus::kNeedMore;
  }
  const auto line = static_cast<std::size_t>(cr - begin);
  if (available < line + 2) return ParseStatus::kNeedMore;
  const auto count = parse_header_int({begin + 1, line - 1});
  if (!count.has_value() || *count > kArgumentsMax) return fail("invalid multibulk length");
  if (!limits_.authenticated && *count > kUnauthenticatedArgumentsMax) {
    return fail("unauthenticated multibulk length");
  }
  begin_ += line + 2;
  if (*count > 0) arguments_left_ = *count;
  bulk_length_ = -1;
  return ParseStatus::kRequest;
}

ParseStatus RequestParser::parse_array() {
  while (true) {
    if (skip_ > 0) {
      const std::size_t skipped = std::min(skip_, end_ - begin_);
      begin_ += skipped;
      skip_ -= skipped;
      if (skip_ > 0) return ParseStatus::kNeedMore;
      bulk_length_ = -1;
      if (--arguments_left_ == 0) return finish_request();
    }
    if (large_left_ > 0) {
      if (!take_large_bytes()) return ParseStatus::kNeedMore;
    }
    if (bulk_length_ >= 0 && positions_.back().chunks != nullptr) {
      skip_ = 2;
      continue;
    }
    if (bulk_length_ < 0) {
      if (begin_ == end_) return ParseStatus::kNeedMore;
      const char* begin = buffer_.get() + begin_;
      const std::size_t available = end_ - begin_;
      const auto* cr = static_cast<const char*>(std::memchr(begin, '\r', available));
      if (cr == nullptr) {
        if (available > kHeaderBytesMax) return fail("too big bulk count string");
        return ParseStatus::kNeedMore;
      }
      const auto line = static_cast<std::size_t>(cr - begin);
      if (available < line + 2) return ParseStatus::kNeedMore;
      if (*begin != '$') return fail(std::string("expected '$', got '") + *begin + "'");
      const auto length = parse_header_int({begin + 1, line - 1});
      if (!length.has_value() || *length < 0 || *length > limits_.bulk_bytes_max) {
        return fail("invalid bulk length");
      }
      if (!limits_.authenticated && *length > kUnauthenticatedBulkBytesMax) {
        return fail("unauthenticated bulk length");
      }
      begin_ += line + 2;
      bulk_length_ = *length;
      if (static_cast<std::size_t>(*length) >= kChunkedBytesMin) {
        large_.emplace_back();
        positions_.push_back({0, 0, &large_.back()});
        large_left_ = *length;
        large_bytes_ += static_cast<std::size_t>(*length);
        continue;
      }
      positions_.push_back({begin_ - request_begin_, static_cast<std::size_t>(*length), nullptr});
    }
    const std::size_t needed = static_cast<std::size_t>(bulk_length_) + 2;
    if (end_ - begin_ < needed) {
      wanted_bytes_ = needed - (end_ - begin_);
      return ParseStatus::kNeedMore;
    }
    begin_ += needed;
    bulk_length_ = -1;
    if (--arguments_left_ == 0) return finish_request();
  }
}

// Moves bytes that were read behind the header of a large argument into its chunks. True when it is
// complete.
bool RequestParser::take_large_bytes() {
  const std::size_t count = std::min(static_cast<std::size_t>(large_left_), end_ - begin_);
  if (count > 0) {
    large_.back().append({buffer_.get() + begin_, count});
    large_left_ -= static_cast<std::int64_t>(count);
    // The header and what went into the chunks leave the buffer; arguments before them stay.
    std::memmove(buffer_.get() + begin_, buffer_.get() + begin_ + count, end_ - begin_ - count);
    end_ -= count;
  }
  return large_left_ == 0;
}

ParseStatus RequestParser::finish_request() {
  const char* base = buffer_.get() + request_begin_;
  for (const Position& position : positions_) {
    if (position.chunks != nullptr) {
      arguments_.push_back({{}, position.chunks});
    } else {
      arguments_.push_back({{base + position.offset, position.length}, nullptr});
    }
  }
  return ParseStatus::kRequest;
}

ParseStatus RequestParser::parse_inline() {
  const char* begin = buffer_.get() + begin_;
  const std::size_t available = end_ - begin_;
  // Redis waits here for a line end while the TLS client waits for its greeting.
  if (std::string_view(begin, available).starts_with(kTlsHandshake))
    return fail("a TLS handshake, but there is no TLS on this port");
  const auto* newline = static_cast<const char*>(std::memchr(begin, '\n', available));
  if (newline == nullptr) {
    if (available > kInlineBytesMax) return fail("too big inline request");
    return ParseStatus::kNeedMore;
  }
  auto length = static_cast<std::size_t>(newline - begin);
  const std::size_t line_bytes = length + 1;
  if (length > 0 && begin[length - 1] == '\r') --length;
  std::vector<std::size_t> ends;
  inline_bytes_.clear();
  if (!split_inline({begin, length}, inline_bytes_, ends)) {
    return fail("unbalanced quotes in request");
  }
  begin_ += line_bytes;
  std::size_t from = 0;
  for (const std::size_t to : ends) {
    arguments_.push_back({std::string_view(inline_bytes_).substr(from, to - from), nullptr});
    from = to;
  }
  return ParseStatus::kRequest;
}

}  // namespace holdfast::resp
