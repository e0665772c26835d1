#include "protocol/resp/inline_command.hpp"

namespace holdfast::resp {

namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// `at` stands behind the opening quote; on success behind the closing one.
bool take_quoted(std::string_view line, std::size_t& at, char quote, std::string& bytes) {
  while (at < line.size()) {
    const char c = line[at];
    if (c == quote) {
      ++at;
      return at == line.size() || is_space(line[at]);
    }
    if (c == '\\' && quote == '"' && at + 3 < line.size() && line[at + 1] == 'x' &&
        hex_value(line[at + 2]) >= 0 && hex_value(line[at + 3]) >= 0) {
      bytes += static_cast<char>(hex_value(line[at + 2]) * 16 + hex_value(line[at + 3]));
      at += 4;
    } else if (c == '\\' && quote == '"' && at + 1 < line.size()) {
      bytes += unescape(line[at + 1]);
      at += 2;
    } else if (c == '\\' && quote == '\'' && at + 1 < line.size() && line[at + 1] == '\'') {
      bytes += '\'';
      at += 2;
    } else {
      bytes += c;
      ++at;
    }
  }
  return false;
}

}  // namespace

bool split_inline(std::string_view line, std::string& bytes, std::vector<std::size_t>& ends) {
  // Redis works on C strings here: a NUL byte ends the line.
  line = line.substr(0, line.find('\0'));
  std::size_t at = 0;
  while (true) {
    while (at < line.size() && is_space(line[at])) ++at;
    if (at == line.size()) return true;
    while (at < line.size() && !is_space(line[at])) {
      const char c = line[at];
      if (c == '"' || c == '\'') {
        ++at;
        if (!take_quoted(line, at, c, bytes)) return false;
        break;
      }
      bytes += c;
      ++at;
    }
    ends.push_back(bytes.size());
  }
}

}  // namespace holdfast::resp
