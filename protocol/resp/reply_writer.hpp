// ReplyWriter writes RESP2 or RESP3 replies straight into a connection's OutputBuffer.
//
// The caller says what it means (a map, a double, a null) and the writer picks the form of the
// connection's protocol, with Redis's RESP2 equivalents: a map is a flat array, a set an array, a
// double a bulk string, a null `$-1` or `*-1`. Aggregates are announced by their element count and
// their elements written next; nothing is buffered or checked.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/chunked.hpp"
#include "protocol/resp/output_buffer.hpp"

namespace holdfast::resp {

enum class Version : std::uint8_t { kResp2 = 2, kResp3 = 3 };

class ReplyWriter {
 public:
  ReplyWriter(OutputBuffer& out, Version version) : out_(&out), version_(version) {}

  Version version() const { return version_; }
  void set_version(Version version) { version_ = version; }

  void simple(std::string_view text);  // +text; the text has no CR or LF
  void ok() { out_->append("+OK\r\n"); }
  // `text` begins with its prefix ("ERR ...", "WRONGTYPE ..."); CR and LF in it become spaces, as
  // in Redis.
  void error(std::string_view text);
  void integer(std::int64_t value);
  void bulk(std::string_view bytes);
  void bulk(const Chunked& chunks) { bulk(chunks, 0, chunks.size()); }
  void bulk(const Chunked& chunks, std::size_t offset, std::size_t length);
  void bulk_integer(std::int64_t value);  // an integer as a bulk string
  void null();                            // RESP2 $-1
  void null_array();                      // RESP2 *-1
  void boolean(bool value);               // RESP2 :1 or :0
  void number(double value);
  void verbatim(std::string_view text);  // RESP2 bulk
  void array(std::size_t count) { header('*', count); }
  void map(std::size_t pairs);
  void set(std::size_t count);
  void push(std::size_t count);

 private:
  void header(char type, std::size_t count);

  OutputBuffer* out_;
  Version version_;
};

}  // namespace holdfast::resp
