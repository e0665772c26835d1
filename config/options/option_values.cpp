#include "config/options/option_values.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <type_traits>
#include <utility>

#include "base/text.hpp"
#include "config/options/cluster_nodes.hpp"

namespace holdfast::config {

namespace {

constexpr std::int64_t kScheduleSecondsMax = 1'000'000'000;
constexpr std::uint64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

struct EventLetter {
  char letter;
  std::uint32_t bit;
};
// In the order in which Redis shows them.
constexpr EventLetter kClassLetters[] = {
    {'g', KeyspaceEvents::kGeneric}, {'$', KeyspaceEvents::kString},
    {'l', KeyspaceEvents::kList},    {'s', KeyspaceEvents::kSet},
    {'h', KeyspaceEvents::kHash},    {'z', KeyspaceEvents::kSortedSet},
    {'x', KeyspaceEvents::kExpired}, {'e', KeyspaceEvents::kEvicted},
    {'t', KeyspaceEvents::kStream},  {'d', KeyspaceEvents::kModule},
    {'n', KeyspaceEvents::kNewKey},
};
constexpr EventLetter kAlwaysShownLetters[] = {
    {'K', KeyspaceEvents::kKeyspaceChannel},
    {'E', KeyspaceEvents::kKeyeventChannel},
    {'m', KeyspaceEvents::kKeyMiss},
};

std::string join(std::span<const std::string_view> words, std::string_view separator) {
  return fmt::format("{}", fmt::join(words, separator));
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const std::size_t length = std::min(text.find_first_of(separators), text.size());
    words.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
}

Result<void> out_of_range(const OptionRow& row) {
  return fail(fmt::format("argument must be between {} and {} inclusive", row.min, row.max));
}

// One overload of `read` for each type of field; on an error the field is as before.
Result<void> read(const OptionRow&, bool& field, std::string_view text) {
  if (equals_ignoring_case(text, "yes")) {
    field = true;
  } else if (equals_ignoring_case(text, "no")) {
    field = false;
  } else {
    return fail("argument must be 'yes' or 'no'");
  }
  return {};
}

Result<void> read(const OptionRow& row, std::int64_t& field, std::string_view text) {
  const auto value = parse_int(text);
  if (!value) return fail("argument couldn't be parsed into an integer");
  if (*value < row.min || *value > row.max) return out_of_range(row);
  field = *value;
  return {};
}

Result<void> read(const OptionRow& row, std::uint64_t& field, std::string_view text) {
  const auto value = parse_size(text);
  if (!value) return fail("argument must be a memory value");
  if (*value > kInt64Max || static_cast<std::int64_t>(*value) < row.min ||
      static_cast<std::int64_t>(*value) > row.max) {
    return out_of_range(row);
  }
  field = *value;
  return {};
}

Result<void> read(const OptionRow&, FileMode& field, std::string_view text) {
  std::uint32_t bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits, 8);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) {
    return fail("argument couldn't be parsed as an octal number");
  }
  if (error != std::errc() || bits > 0777)
    return fail("argument must be between 0 and 777 inclusive");
  field.bits = bits;
  return {};
}

// A zero byte would end the text for the operating system (paths) and is never meant.
Result<void> read(const OptionRow&, std::string& field, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return fail("argument must not hold a zero byte");
  field = text;
  return {};
}

Result<void> read(const OptionRow&, std::vector<std::string>& field, std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view word : split(text, " ,\t")) words.emplace_back(word);
  field = std::move(words);
  return {};
}

Result<void> read(const OptionRow&, KeyspaceEvents& field, std::string_view text) {
  const auto events = parse_keyspace_events(text);
  if (!events) return fail("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
  field = *events;
  return {};
}

Result<void> read(const OptionRow&, ClusterNodes& field, std::string_view text) {
  auto nodes = parse_cluster_nodes(text);
  if (!nodes) return tl::unexpected(nodes.error());
  field = std::move(*nodes);
  return {};
}

Result<void> read(const OptionRow&, OutputBufferLimits& field, std::string_view text) {
  return parse_output_buffer_limits(text, field);
}

Result<void> read(const OptionRow&, SnapshotSchedule& field, std::string_view text) {
  const auto words = split(text, " ,\t");
  SnapshotSchedule schedule;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    const auto seconds = parse_int(words[i]);
    const auto changes = i + 1 < words.size() ? parse_int(words[i + 1]) : std::nullopt;
    if (!seconds || !changes || *seconds < 1 || *changes < 0 || *seconds > kScheduleSecondsMax)
      return fail("Invalid save parameters");
    schedule.rules.push_back({*seconds, *changes});
  }
  field = std::move(schedule);
  return {};
}

Result<void> read(const OptionRow& row, Percentiles& field, std::string_view text) {
  Percentiles percentiles;
  for (const std::string_view word : split(text, " ,\t")) {
    double value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || std::isnan(value))
      return fail(fmt::format("Invalid {} parameters", row.redis_name));
    if (value < 0 || value > 100)
      return fail(fmt::format("{} parameters should sit between [0.0,100.0]", row.redis_name));
    percentiles.values.push_back(value);
  }
  field = std::move(percentiles);
  return {};
}

template <typename Enum>
requires std::is_enum_v<Enum> Result<void> read(const OptionRow& row, Enum& field,
                                                std::string_view text) {
  for (std::size_t i = 0; i < row.choices.size(); ++i) {
    if (equals_ignoring_case(row.choices[i], text)) {
      field = static_cast<Enum>(i);
      return {};
    }
  }
  return fail("argument(s) must be one of the following: " + join(row.choices, ", "));
}

std::string show(const OptionRow&, bool field) {
  return field ? "yes" : "no";
}
std::string show(const OptionRow&, std::int64_t field) {
  return fmt::format("{}", field);
}
std::string show(const OptionRow&, std::uint64_t field) {
  return fmt::format("{}", field);
}
std::string show(const OptionRow&, FileMode field) {
  return fmt::format("{:o}", field.bits);
}
std::string show(const OptionRow&, const std::string& field) {
  return field;
}
std::string show(const OptionRow&, const std::vector<std::string>& field) {
  return fmt::format("{}", fmt::join(field, " "));
}
std::string show(const OptionRow&, KeyspaceEvents field) {
  return format_keyspace_events(field);
}
std::string show(const OptionRow&, const ClusterNodes& field) {
  return format_cluster_nodes(field);
}
std::string show(const OptionRow&, const OutputBufferLimits& field) {
  return format_output_buffer_limits(field);
}

std::string show(const OptionRow&, const SnapshotSchedule& field) {
  std::string text;
  for (const SnapshotSchedule::Rule& rule : field.rules)
    text += fmt::format("{}{} {}", text.empty() ? "" : " ", rule.seconds, rule.changes);
  return text;
}

std::string show(const OptionRow&, const Percentiles& field) {
  return fmt::format("{}", fmt::join(field.values, " "));
}

template <typename Enum>
requires std::is_enum_v<Enum> std::string show(const OptionRow& row, Enum field) {
  return std::string(row.choices[static_cast<std::size_t>(field)]);
}

}  // namespace

std::string format_value(const OptionRow& row, const Options& options) {
  // The rows name fields for writing; this only looks.
  const Field field = row.field(const_cast<Options&>(options));
  return std::visit([&](const auto* value) { return show(row, *value); }, field);
}

Result<void> parse_and_set(const OptionRow& row, Options& options, std::string_view text) {
  return std::visit([&](auto* value) { return read(row, *value, text); }, row.field(options));
}

std::string describe_allowed(const OptionRow& row) {
  Options any;
  const Field field = row.field(any);
  if (!row.choices.empty()) return join(row.choices, ", ");
  if (std::holds_alternative<bool*>(field)) return "yes, no";
  if (std::holds_alternative<FileMode*>(field)) return "permissions in octal, 0 to 777";
  if (std::holds_alternative<KeyspaceEvents*>(field)) return "letters of Ag$lshzxeKEtmdn";
  if (std::holds_alternative<std::vector<std::string>*>(field)) return "a list";
  if (std::holds_alternative<ClusterNodes*>(field))
    return "name=host:port:peer_port[:zone], separated by commas, or nothing";
  if (std::holds_alternative<SnapshotSchedule*>(field))
    return "'<seconds> <changes>', repeated, or nothing";
  if (std::holds_alternative<Percentiles*>(field)) return "numbers from 0 to 100, or nothing";
  if (std::holds_alternative<OutputBufferLimits*>(field)) {
    return "'<class> <hard limit> <soft limit> <soft seconds>', repeated, with the classes normal, "
           "replica, pubsub";
  }
  const bool unbounded = row.max == std::numeric_limits<std::int64_t>::max();
  if (std::holds_alternative<std::int64_t*>(field)) {
    return unbounded ? fmt::format("an integer from {}", row.min)
                     : fmt::format("an integer from {} to {}", row.min, row.max);
  }
  if (std::holds_alternative<std::uint64_t*>(field)) {
    return row.min == 0
               ? "a size such as 64kb, 100mb, 2gb"
               : fmt::format("a size such as 64kb, 100mb, 2gb, at least {} bytes", row.min);
  }
  return "text";
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  if (text.empty()) return 0;  // as in Redis
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {
      {"", 1},           {"b", 1},           {"k", 1000},       {"kb", 1ULL << 10},
      {"m", 1000000ULL}, {"mb", 1ULL << 20}, {"g", 1000000000}, {"gb", 1ULL << 30},
  };
  for (const auto& [name, factor] : kUnits) {
    if (!equals_ignoring_case(unit, name)) continue;
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(number, factor, &bytes)) return std::nullopt;
    return bytes;
  }
  return std::nullopt;
}

std::optional<KeyspaceEvents> parse_keyspace_events(std::string_view letters) {
  KeyspaceEvents events;
  for (const char letter : letters) {
    std::uint32_t bit = letter == 'A' ? KeyspaceEvents::kAll : 0;
    for (const auto& known : kClassLetters) bit |= known.letter == letter ? known.bit : 0;
    for (const auto& known : kAlwaysShownLetters) bit |= known.letter == letter ? known.bit : 0;
    if (bit == 0) return std::nullopt;
    events.bits |= bit;
  }
  return events;
}

std::string format_keyspace_events(KeyspaceEvents events) {
  std::string letters;
  if ((events.bits & KeyspaceEvents::kAll) == KeyspaceEvents::kAll) {
    letters += 'A';
  } else {
    for (const auto& known : kClassLetters) {
      if (events.any(known.bit)) letters += known.letter;
    }
  }
  for (const auto& known : kAlwaysShownLetters) {
    if (events.any(known.bit)) letters += known.letter;
  }
  return letters;
}

Result<void> parse_output_buffer_limits(std::string_view text, OutputBufferLimits& limits) {
  const auto words = split(text, " ");
  if (words.size() % 4 != 0)
    return fail("Wrong number of arguments in buffer limit configuration.");
  OutputBufferLimits changed = limits;
  for (std::size_t i = 0; i < words.size(); i += 4) {
    OutputBufferLimit* limit = nullptr;
    if (equals_ignoring_case(words[i], "normal")) limit = &changed.normal;
    if (equals_ignoring_case(words[i], "slave") || equals_ignoring_case(words[i], "replica"))
      limit = &changed.replica;
    if (equals_ignoring_case(words[i], "pubsub")) limit = &changed.pubsub;
    if (limit == nullptr)
      return fail("Invalid client class specified in buffer limit configuration.");
    const auto hard = parse_size(words[i + 1]);
    const auto soft = parse_size(words[i + 2]);
    const auto soft_s = parse_int(words[i + 3]);
    if (!hard || !soft || !soft_s || *soft_s < 0) {
      return fail("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    }
    *limit = {*hard, *soft, *soft_s};
  }
  limits = changed;
  return {};
}

std::string format_output_buffer_limits(const OutputBufferLimits& limits) {
  const auto one = [](std::string_view name, const OutputBufferLimit& limit) {
    return fmt::format("{} {} {} {}", name, limit.hard, limit.soft, limit.soft_s);
  };
  return one("normal", limits.normal) + " " + one("slave", limits.replica) + " " +
         one("pubsub", limits.pubsub);
}

}  // namespace holdfast::config
