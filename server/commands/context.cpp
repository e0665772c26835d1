#include "server/commands/context.hpp"

#include <optional>

#include "base/planted_fault.hpp"
#include "base/text.hpp"

namespace holdfast::commands {

bool CommandContext::argument_is(std::size_t index, std::string_view word) const {
  const resp::Argument& one = arguments_[index];
  return one.chunks == nullptr && equals_ignoring_case(one.bytes, word);
}

std::string_view CommandContext::flattened(const resp::Argument& argument) const {
  for (const auto& [chunks, text] : flattened_) {
    if (chunks == argument.chunks) return text;
  }
  flattened_.emplace_front(argument.chunks, argument.chunks->str());
  return flattened_.front().second;
}

keyspace::Lookup CommandContext::peek(keyspace::DatabaseIndex database, std::string_view key) {
  keyspace::Lookup lookup = server_.keyspace.find(database, key);
  depends_on(server_.keyspace.last_write(lookup.where.hash));
  if (lookup && keyspace::is_expired(lookup.expire_at, now_.unix_ms)) [[unlikely]] {
    // While the log cannot be written nothing can be deleted. A lone node only passes over the key.
    // A primary cannot answer: a next one, whose clock is slower, could bring the key back. So the
    // reply depends on an entry that is not there.
    // A replica waits for its primary's deletion, and may answer of the past anyway.
    if (!server_.persistence.disk_error.empty() || !server_.takes_entries) {
      lacks_entry_ = true;
      if (server_.cluster != nullptr && server_.cluster->is_primary() &&
          !server_.persistence.disk_error.empty())
        depends_on({server_.journal.last_index().value + 1});
      return {};
    }
    if (HF_BUG(kReadOverdueUndeleted)) return {};
    emit(keyspace::Delete{database, key, keyspace::DeleteReason::kExpired}, &lookup);
    ++server_.statistics.expired_keys;
    return server_.keyspace.find(database, key);
  }
  return lookup;
}

keyspace::Lookup CommandContext::read(keyspace::DatabaseIndex database, std::string_view key) {
  keyspace::Lookup lookup = peek(database, key);
  const bool counts = spec_.has(kReadonly);
  if (!lookup) {
    if (counts) ++server_.statistics.keyspace_misses;
    return lookup;
  }
  if (counts) ++server_.statistics.keyspace_hits;
  if (!client_.no_touch) {
    const std::uint32_t clock = access_clock();
    if (lookup.entry()->access_clock() != clock) lookup.entry()->set_access_clock(clock);
  }
  return lookup;
}

void CommandContext::run_inside(const CommandSpec& spec, resp::Arguments arguments) {
  std::optional<resp::OutputBuffer> unheard;
  if (!is_heard()) unheard.emplace();
  CommandContext inner(server_, client_, spec, arguments, now_, unheard ? *unheard : output_);
  const MonoUs begun = server_.host.stopwatch_us();
  spec.handler(inner);
  server_.note_duration(client_, spec, arguments, server_.host.stopwatch_us() - begun,
                        now_.unix_ms);
  if (unheard && is_heard()) unheard->move_to(output_);
  emitted_ += inner.emitted_;
  depends_on(inner.depends_on_);
  lacks_entry_ |= inner.lacks_entry_;
  ++server_.statistics.commands_processed;
  CommandStatistics& statistics = server_.statistics.by_command[spec.number];
  ++statistics.calls;
  if (inner.failed()) ++statistics.failed;
}

void CommandContext::error(std::string_view text) {
  failed_ = true;
  server_.statistics.note_error(text);
  reply_.error(text);
}

bool CommandContext::check_type(const keyspace::Lookup& lookup, keyspace::ValueType type) {
  if (!lookup || keyspace::type_of(*lookup.entry()) == type) return true;
  error(kWrongTypeError);
  return false;
}

std::optional<std::int64_t> CommandContext::integer_argument(std::size_t index,
                                                             std::string_view error_text) {
  const auto value = parse_int(argument(index));
  if (!value.has_value()) error(error_text);
  return value;
}

}  // namespace holdfast::commands
