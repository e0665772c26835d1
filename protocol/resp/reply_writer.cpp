#include "protocol/resp/reply_writer.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/text.hpp"

namespace holdfast::resp {

namespace {

constexpr std::size_t kHeaderRoom = 1 + 20 + 2;

char* put_header(char* out, char type, std::int64_t value) {
  *out++ = type;
  out += write_int(value, out);
  *out++ = '\r';
  *out++ = '\n';
  return out;
}

}  // namespace

void ReplyWriter::header(char type, std::size_t count) {
  char* begin = out_->reserve(kHeaderRoom);
  char* end = put_header(begin, type, static_cast<std::int64_t>(count));
  out_->advance(static_cast<std::size_t>(end - begin));
}

void ReplyWriter::simple(std::string_view text) {
  out_->append("+");
  out_->append(text);
  out_->append("\r\n");
}

void ReplyWriter::error(std::string_view text) {
  std::string line = "-";
  line += text;
  for (char& c : line) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  line += "\r\n";
  out_->append(line);
}

void ReplyWriter::integer(std::int64_t value) {
  char* begin = out_->reserve(kHeaderRoom);
  out_->advance(static_cast<std::size_t>(put_header(begin, ':', value) - begin));
}

void ReplyWriter::bulk(std::string_view bytes) {
  char* begin = out_->reserve(kHeaderRoom + bytes.size() + 2);
  char* at = put_header(begin, '$', static_cast<std::int64_t>(bytes.size()));
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  at += bytes.size();
  *at++ = '\r';
  *at++ = '\n';
  out_->advance(static_cast<std::size_t>(at - begin));
}

void ReplyWriter::bulk(const Chunked& chunks, std::size_t offset, std::size_t length) {
  header('$', length);
  out_->append_chunked(chunks, offset, length);
  out_->append("\r\n");
}

void ReplyWriter::bulk_integer(std::int64_t value) {
  char digits[20];
  bulk({digits, write_int(value, digits)});
}

void ReplyWriter::null() {
  out_->append(version_ == Version::kResp3 ? "_\r\n" : "$-1\r\n");
}
void ReplyWriter::null_array() {
  out_->append(version_ == Version::kResp3 ? "_\r\n" : "*-1\r\n");
}

void ReplyWriter::boolean(bool value) {
  if (version_ == Version::kResp3) {
    out_->append(value ? "#t\r\n" : "#f\r\n");
  } else {
    out_->append(value ? ":1\r\n" : ":0\r\n");
  }
}

void ReplyWriter::number(double value) {
  char text[64];
  int length = 0;
  if (std::isinf(value)) {
    length = std::snprintf(text, sizeof(text), "%s", value > 0 ? "inf" : "-inf");
  } else {
    length = std::snprintf(text, sizeof(text), "%.17g", value);
  }
  const std::string_view digits(text, static_cast<std::size_t>(length));
  if (version_ == Version::kResp2) {
    bulk(digits);
    return;
  }
  out_->append(",");
  out_->append(digits);
  out_->append("\r\n");
}

void ReplyWriter::verbatim(std::string_view text) {
  if (version_ == Version::kResp2) {
    bulk(text);
    return;
  }
  header('=', text.size() + 4);
  out_->append("txt:");
  out_->append(text);
  out_->append("\r\n");
}

void ReplyWriter::map(std::size_t pairs) {
  if (version_ == Version::kResp3) {
    header('%', pairs);
  } else {
    header('*', pairs * 2);
  }
}

void ReplyWriter::set(std::size_t count) {
  header(version_ == Version::kResp3 ? '~' : '*', count);
}
void ReplyWriter::push(std::size_t count) {
  header(version_ == Version::kResp3 ? '>' : '*', count);
}

}  // namespace holdfast::resp
