#include "requests.hpp"

#include <array>
#include <charconv>
#include <numeric>

#include "system.hpp"

namespace loadgen {
namespace {

constexpr std::size_t kPoolBytes = std::size_t{4} << 20;
constexpr std::size_t kKeyBytes = 40;

std::uint64_t splitmix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

constexpr auto kHexPairs = [] {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<char, 512> pairs{};
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = digits[i >> 4];
    pairs[2 * i + 1] = digits[i & 15];
  }
  return pairs;
}();

char* put_hex(char* at, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    const std::size_t pair = 2 * ((value >> shift) & 0xff);
    *at++ = kHexPairs[pair];
    *at++ = kHexPairs[pair + 1];
  }
  return at;
}

void append_key(std::string& out, std::uint64_t index) {
  std::array<char, kKeyBytes> key{'s', 'e', 's', 's', 'i', 'o', 'n', ':'};
  const std::uint64_t high = splitmix(index);
  put_hex(put_hex(key.data() + 8, high), splitmix(high ^ index));
  out.append(key.data(), key.size());
}

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_bulk(std::string& out, std::string_view text) {
  out.push_back('$');
  append_number(out, text.size());
  out.append("\r\n").append(text).append("\r\n");
}

void append_bulk(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  append_bulk(out, std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
}

}  // namespace

RequestWriter::RequestWriter(const Options& options)
    : x_options(options),
      x_op(op_named(options.op)),
      x_random_order(options.order == "random"),
      x_random_state(splitmix(options.seed)) {
  if (!x_random_order && options.order != "sequential") fail("unknown order " + options.order);
  x_pool.reserve(kPoolBytes + sizeof(std::uint64_t));
  while (x_pool.size() < kPoolBytes) {
    const std::uint64_t random = next_random();
    x_pool.append(reinterpret_cast<const char*>(&random), sizeof random);
  }
}

RequestWriter::Op RequestWriter::op_named(std::string_view name) {
  if (name == "set") return Op::kSet;
  if (name == "set-wait") return Op::kSetWait;
  if (name == "setex") return Op::kSetex;
  if (name == "set-pxat") return Op::kSetPxat;
  if (name == "get") return Op::kGet;
  if (name == "del") return Op::kDel;
  if (name == "hset") return Op::kHset;
  fail("unknown operation " + std::string(name));
}

void RequestWriter::next(std::string& out) {
  switch (x_op) {
    case Op::kSet:
      return set(out, next_index());
    case Op::kSetWait:
      set(out, next_index());
      out.append("*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n");
      return;
    case Op::kSetex:
      return setex(out, next_index());
    case Op::kSetPxat:
      return set_pxat(out, next_index());
    case Op::kGet:
      return get(out, next_index());
    case Op::kDel:
      out.append("*2\r\n$3\r\nDEL\r\n$40\r\n");
      append_key(out, next_index());
      out.append("\r\n");
      return;
    case Op::kHset:
      return hset(out);
  }
}

void RequestWriter::get(std::string& out, std::uint64_t index) {
  out.append("*2\r\n$3\r\nGET\r\n$40\r\n");
  append_key(out, index);
  out.append("\r\n");
}

void RequestWriter::set(std::string& out, std::uint64_t index) {
  out.append("*3\r\n$3\r\nSET\r\n$40\r\n");
  append_key(out, index);
  out.append("\r\n");
  append_bulk(out, next_value());
}

void RequestWriter::setex(std::string& out, std::uint64_t index) {
  out.append("*4\r\n$5\r\nSETEX\r\n$40\r\n");
  append_key(out, index);
  out.append("\r\n");
  append_bulk(out, x_options.ttl_s + next_random() % x_options.ttl_s);
  append_bulk(out, next_value());
}

// A step that shares no factor with the count visits every rank once, so that
// the order of loading says nothing about the order of expiry.
void RequestWriter::set_pxat(std::string& out, std::uint64_t index) {
  constexpr std::uint64_t kStep = 2'654'435'761ULL;
  const std::uint64_t offset = index - x_options.first;
  const bool visits_all = std::gcd(kStep, x_options.count) == 1;
  const std::uint64_t rank = visits_all ? offset * kStep % x_options.count : offset;
  out.append("*5\r\n$3\r\nSET\r\n$40\r\n");
  append_key(out, index);
  out.append("\r\n");
  append_bulk(out, next_value());
  out.append("$4\r\nPXAT\r\n");
  append_bulk(out, expiry_ms_of_rank(x_options, rank));
}

void RequestWriter::hset(std::string& out) {
  out.push_back('*');
  append_number(out, 2 + 2 * x_options.fields);
  out.append("\r\n$4\r\nHSET\r\n");
  append_bulk(out, x_options.hash);
  for (std::uint64_t i = 0; i < x_options.fields; ++i) {
    const std::uint64_t index = next_index();
    out.append("$22\r\nfield:");
    std::array<char, 16> digits{};
    put_hex(digits.data(), index);
    out.append(digits.data(), digits.size()).append("\r\n$16\r\n");
    put_hex(digits.data(), splitmix(index));
    out.append(digits.data(), digits.size()).append("\r\n");
  }
}

std::uint64_t RequestWriter::next_random() {
  return x_random_state = splitmix(x_random_state);
}

std::uint64_t RequestWriter::next_index() {
  const std::uint64_t step = x_random_order ? next_random() : x_sequence++;
  return x_options.first + step % x_options.count;
}

std::string_view RequestWriter::next_value() {
  const std::size_t room = kPoolBytes - x_options.value_bytes;
  return {x_pool.data() + next_random() % room, x_options.value_bytes};
}

}  // namespace loadgen
