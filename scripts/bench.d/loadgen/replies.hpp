// ReplyScanner finds the ends of RESP2 replies in a byte stream, at any split,
// without keeping their content.
//
// It knows the flat replies that the load needs (+ - : $) and counts the
// outcomes: errors with the first error's text, and nil bulk strings as misses.
// Arrays are a broken expectation and end the process. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "system.hpp"

namespace loadgen {

class ReplyScanner {
 public:
  // Returns how many replies were completed by these bytes.
  std::uint64_t feed(const char* data, std::size_t length) {
    const char* const end = data + length;
    std::uint64_t completed = 0;
    while (data < end) {
      if (x_skip_bytes > 0) {
        const auto step = std::min<std::size_t>(x_skip_bytes, static_cast<std::size_t>(end - data));
        data += step;
        x_skip_bytes -= step;
        if (x_skip_bytes == 0) ++completed;
        continue;
      }
      const auto* newline =
          static_cast<const char*>(std::memchr(data, '\n', static_cast<std::size_t>(end - data)));
      if (newline == nullptr) {
        x_line.append(data, end);
        break;
      }
      if (x_line.empty()) {
        completed += line(std::string_view(data, static_cast<std::size_t>(newline - data)));
      } else {
        x_line.append(data, newline);
        completed += line(x_line);
        x_line.clear();
      }
      data = newline + 1;
    }
    return completed;
  }

  [[nodiscard]] std::uint64_t errors() const { return x_errors; }
  [[nodiscard]] std::uint64_t misses() const { return x_misses; }
  [[nodiscard]] const std::string& first_error() const { return x_first_error; }

 private:
  // The line comes with its \r and without its \n. Returns 1 if it is a whole
  // reply.
  std::uint64_t line(std::string_view text) {
    if (text.size() < 2 || text.back() != '\r') fail("a reply line does not end in CRLF");
    switch (text[0]) {
      case '+':
      case ':':
        return 1;
      case '-':
        if (x_errors++ == 0) x_first_error = text.substr(1, text.size() - 2);
        return 1;
      case '$': {
        if (text[1] == '-') {
          ++x_misses;
          return 1;
        }
        std::size_t bytes = 0;
        for (std::size_t i = 1; i + 1 < text.size(); ++i) {
          bytes = bytes * 10 + static_cast<std::size_t>(text[i] - '0');
        }
        x_skip_bytes = bytes + 2;
        return 0;
      }
      default:
        fail("a reply of an unexpected type: " + std::string(text));
    }
  }

  std::size_t x_skip_bytes = 0;
  std::string x_line;  // The beginning of a line that was split between two reads.
  std::uint64_t x_errors = 0;
  std::uint64_t x_misses = 0;
  std::string x_first_error;
};

}  // namespace loadgen
