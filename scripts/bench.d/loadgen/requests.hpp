// RequestWriter writes the requests of one load, each determined by the index
// of its key (or field).
//
// Keys are 40 bytes: "session:" and 32 hexadecimal digits that look random but
// follow from the index, so that every process knows every key. Values are
// slices of a pool of random bytes: different per request, cheap to produce.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "options.hpp"

namespace loadgen {

// The time at which the key of this rank, in the order of expiry, is to expire.
// One definition for writer and judge.
inline std::uint64_t expiry_ms_of_rank(const Options& options, std::uint64_t rank) {
  return options.expire_from_ms + rank * options.expire_over_ms / options.count;
}

class RequestWriter {
 public:
  explicit RequestWriter(const Options& options);

  // Appends the next request of the load to out.
  void next(std::string& out);

  // How many replies answer one request: of set-wait two, SET's and WAIT's.
  [[nodiscard]] std::uint64_t replies_per_request() const { return x_op == Op::kSetWait ? 2 : 1; }

  // Appends a GET of the key with this index.
  static void get(std::string& out, std::uint64_t index);

 private:
  enum class Op { kSet, kSetWait, kSetex, kSetPxat, kGet, kDel, kHset };

  static Op op_named(std::string_view name);
  std::uint64_t next_random();
  std::uint64_t next_index();
  std::string_view next_value();
  void set(std::string& out, std::uint64_t index);
  void setex(std::string& out, std::uint64_t index);
  void set_pxat(std::string& out, std::uint64_t index);
  void hset(std::string& out);

  const Options& x_options;
  Op x_op;
  bool x_random_order;
  std::uint64_t x_random_state;
  std::uint64_t x_sequence = 0;
  std::string x_pool;
};

}  // namespace loadgen
