// Strings in part and as numbers: APPEND, GETRANGE, SETRANGE, STRLEN, INCR and its kin. Large
// values are read and changed in their chunks, never as one piece.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "server/commands/context.hpp"
#include "server/commands/string_handlers.hpp"
#include "server/keyspace/hash_value.hpp"

namespace holdfast::commands {

using keyspace::Lookup;
using keyspace::Put;
using keyspace::Splice;
using keyspace::StringForm;
using keyspace::TtlChange;
using keyspace::ValueType;
using keyspace::ValueView;

namespace {

constexpr std::int64_t kIntMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kIntMin = std::numeric_limits<std::int64_t>::min();
constexpr std::string_view kNotFloatError = "ERR value is not a valid float";

ValueView value_of(const Lookup& lookup) {
  return lookup ? keyspace::string_value(*lookup.entry()) : ValueView{};
}

// Would a string of `offset` + `added` bytes be too long?
bool check_length(CommandContext& ctx, std::uint64_t offset, std::uint64_t added) {
  const std::uint64_t max = ctx.server().options.limits.proto_max_bulk_len;
  if (offset <= max && added <= max - offset) return true;
  ctx.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  return false;
}

// The number's text takes the place of the value and keeps its expiry time.
void put_number(CommandContext& ctx, std::string_view key, std::string_view text, StringForm form,
                Lookup& at) {
  ctx.emit(Put{ctx.database(), key, {text}, TtlChange::kKeep, 0, form}, &at);
}

void add_integer(CommandContext& ctx, std::int64_t increment) {
  const std::string_view key = ctx.argument(1);
  Lookup at = ctx.read(key);
  if (!ctx.check_type(at, ValueType::kString)) return;
  std::int64_t value = 0;
  if (at) {
    const auto current =
        parse_int(value_of(at).bytes);  // a chunked value is no number: its bytes are empty
    if (!current.has_value()) {
      ctx.error(kNotIntegerError);
      return;
    }
    value = *current;
  }
  if (increment < 0 ? value < kIntMin - increment : value > kIntMax - increment) {
    ctx.error("ERR increment or decrement would overflow");
    return;
  }
  value += increment;
  char digits[20];
  put_number(ctx, key, {digits, write_int(value, digits)}, StringForm::kByContent, at);
  ctx.reply().integer(value);
}

}  // namespace

void incr(CommandContext& ctx) {
  add_integer(ctx, 1);
}
void decr(CommandContext& ctx) {
  add_integer(ctx, -1);
}

void incrby(CommandContext& ctx) {
  if (const auto increment = ctx.integer_argument(2)) add_integer(ctx, *increment);
}

void decrby(CommandContext& ctx) {
  const auto decrement = ctx.integer_argument(2);
  if (!decrement.has_value()) return;
  if (*decrement == kIntMin) {
    ctx.error("ERR decrement would overflow");
    return;
  }
  add_integer(ctx, -*decrement);
}

void incrbyfloat(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  Lookup at = ctx.read(key);
  if (!ctx.check_type(at, ValueType::kString)) return;
  const auto current = at ? parse_long_double(value_of(at).bytes) : 0.0L;
  const auto increment = parse_long_double(ctx.argument(2));
  if (!current.has_value() || !increment.has_value()) {
    ctx.error(kNotFloatError);
    return;
  }
  const long double sum = *current + *increment;
  if (std::isnan(sum) || std::isinf(sum)) {
    ctx.error("ERR increment would produce NaN or Infinity");
    return;
  }
  const std::string text = format_long_double(sum);
  put_number(ctx, key, text, StringForm::kNotInteger, at);
  ctx.reply().bulk(text);
}

void strlen_of(CommandContext& ctx) {
  const Lookup lookup = ctx.read(ctx.argument(1));
  if (!ctx.check_type(lookup, ValueType::kString)) return;
  ctx.reply().integer(static_cast<std::int64_t>(value_of(lookup).size()));
}

void getrange(CommandContext& ctx) {
  const auto first = ctx.integer_argument(2);
  if (!first.has_value()) return;
  const auto last = ctx.integer_argument(3);
  if (!last.has_value()) return;
  const Lookup lookup = ctx.read(ctx.argument(1));
  if (!ctx.check_type(lookup, ValueType::kString)) return;

  const ValueView value = value_of(lookup);
  const auto size = static_cast<std::int64_t>(value.size());
  const auto from_start = [size](std::int64_t position) {
    return position < 0 ? std::max<std::int64_t>(position + size, 0) : position;
  };
  const std::int64_t begin = from_start(*first);
  const std::int64_t end = std::min(from_start(*last), size - 1);
  const bool reversed =
      *first < 0 && *last < 0 && *first > *last;  // empty, even if both lie before the start
  if (reversed || begin > end) {
    ctx.reply().bulk(std::string_view{});
    return;
  }
  const auto offset = static_cast<std::size_t>(begin);
  const auto length = static_cast<std::size_t>(end - begin + 1);
  if (value.chunks != nullptr) {
    ctx.reply().bulk(*value.chunks, offset, length);
  } else {
    ctx.reply().bulk(value.bytes.substr(offset, length));
  }
}

void setrange(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  const ValueView patch = ctx.value(3);
  const auto offset = ctx.integer_argument(2);
  if (!offset.has_value()) return;
  if (*offset < 0) {
    ctx.error("ERR offset is out of range");
    return;
  }
  Lookup at = ctx.read(key);
  if (!ctx.check_type(at, ValueType::kString)) return;
  const std::size_t size = value_of(at).size();
  if (patch.size() == 0) {
    ctx.reply().integer(static_cast<std::int64_t>(size));
    return;
  }
  const auto begin = static_cast<std::uint64_t>(*offset);
  if (!check_length(ctx, begin, patch.size())) return;
  ctx.emit(Splice{ctx.database(), key, begin, patch}, &at);
  ctx.reply().integer(
      static_cast<std::int64_t>(std::max<std::uint64_t>(size, begin + patch.size())));
}

void append(CommandContext& ctx) {
  const std::string_view key = ctx.argument(1);
  const ValueView tail = ctx.value(2);
  Lookup at = ctx.read(key);
  if (!ctx.check_type(at, ValueType::kString)) return;
  const std::size_t size = value_of(at).size();
  // A string that APPEND makes is one like SET's; one that it changes is raw from then on.
  if (at && !check_length(ctx, size, tail.size())) return;
  const StringForm form = at ? StringForm::kRaw : StringForm::kByContent;
  ctx.emit(Splice{ctx.database(), key, size, tail, form}, &at);
  ctx.reply().integer(static_cast<std::int64_t>(size + tail.size()));
}

}  // namespace holdfast::commands
