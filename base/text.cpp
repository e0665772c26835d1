#include "base/text.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace holdfast {

std::optional<std::int64_t> parse_int(std::string_view text) {
  if (text.empty() || text.size() > 20) return std::nullopt;
  const std::string_view digits = text.front() == '-' ? text.substr(1) : text;
  if (digits.empty() || digits.front() < '0' || digits.front() > '9') return std::nullopt;
  if (digits.front() == '0' && text.size() > 1) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<long double> parse_long_double(std::string_view text) {
  // The longest text that format_long_double gives is near 5,000 bytes.
  char buffer[5 * 1024];
  if (text.empty() || text.size() >= sizeof(buffer)) return std::nullopt;
  if (text.front() == ' ' || (text.front() >= '\t' && text.front() <= '\r')) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  if (std::strlen(buffer) != text.size()) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const long double value = std::strtold(buffer, &end);
  if (end != buffer + text.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

std::string format_long_double(long double value) {
  char buffer[5120];
  int length = std::snprintf(buffer, sizeof(buffer), "%.17Lf", value);
  if (std::memchr(buffer, '.', static_cast<std::size_t>(length)) != nullptr) {
    while (buffer[length - 1] == '0') --length;
    if (buffer[length - 1] == '.') --length;
  }
  std::string text(buffer, static_cast<std::size_t>(length));
  return text == "-0" ? "0" : text;
}

char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = ascii_lower(c);
  return lower;
}

std::string to_upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return upper;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

std::string escaped(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

std::size_t write_int(std::int64_t value, char* out) {
  return static_cast<std::size_t>(std::to_chars(out, out + 20, value).ptr - out);
}

namespace {

struct ClassMatch {
  bool matched;
  std::size_t next;  // position in the pattern after the closing bracket
};

// pattern[at] is the byte after '['. An unterminated class ends with the pattern, as in Redis.
ClassMatch match_class(std::string_view pattern, std::size_t at, char c, bool ignore_case) {
  const auto fold = [ignore_case](char x) {
    return static_cast<unsigned char>(ignore_case ? ascii_lower(x) : x);
  };
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool matched = false;
  while (true) {
    if (at >= pattern.size()) break;
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      ++at;
      if (fold(pattern[at]) == fold(c)) matched = true;
      ++at;
    } else if (pattern[at] == ']') {
      ++at;
      break;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      unsigned char low = fold(pattern[at]);
      unsigned char high = fold(pattern[at + 2]);
      if (low > high) std::swap(low, high);
      if (fold(c) >= low && fold(c) <= high) matched = true;
      at += 3;
    } else {
      if (fold(pattern[at]) == fold(c)) matched = true;
      ++at;
    }
  }
  return {matched != negated, at};
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text, bool ignore_case) {
  if (text.empty()) return pattern.empty();  // not even a star matches nothing at all
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star_p = kNone;
  std::size_t star_t = 0;
  while (t < text.size()) {
    bool advanced = false;
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star_p = ++p;
        star_t = t;
        continue;
      }
      if (pattern[p] == '?') {
        ++p;
        advanced = true;
      } else if (pattern[p] == '[') {
        const ClassMatch result = match_class(pattern, p + 1, text[t], ignore_case);
        if (result.matched) {
          p = result.next;
          advanced = true;
        }
      } else {
        const std::size_t literal = pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
        const bool same = ignore_case ? ascii_lower(pattern[literal]) == ascii_lower(text[t])
                                      : pattern[literal] == text[t];
        if (same) {
          p = literal + 1;
          advanced = true;
        }
      }
    }
    if (advanced) {
      ++t;
    } else if (star_p != kNone) {
      p = star_p;
      t = ++star_t;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace holdfast
