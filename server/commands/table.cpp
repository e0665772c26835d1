#include "server/commands/table.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.hpp"
#include "base/text.hpp"

namespace holdfast::commands {

namespace {

constexpr std::size_t kNameBytesMax = 32;

// Open addressing over all names; built once, read-only afterwards.
class CommandIndex {
 public:
  CommandIndex() {
    for (const auto family : {string_commands(), key_commands(), hash_commands(),
                              transaction_commands(), connection_commands(), client_commands(),
                              server_commands(), cluster_commands(), introspection_commands()}) {
      for (const CommandSpec& spec : family) sorted_.push_back(&spec);
    }
    std::sort(sorted_.begin(), sorted_.end(),
              [](const CommandSpec* a, const CommandSpec* b) { return a->name < b->name; });
    for (const CommandSpec* spec : sorted_) {
      HF_CHECK(spec->name.size() <= kNameBytesMax);
      insert(spec);
      spec->number = numbers_++;
    }
    for (const CommandSpec* spec : sorted_) {
      for (const CommandSpec& sub : spec->subcommands) sub.number = numbers_++;
    }
  }

  const CommandSpec* find(std::string_view name) const {
    if (name.empty() || name.size() > kNameBytesMax) return nullptr;
    char lower[kNameBytesMax];
    for (std::size_t i = 0; i < name.size(); ++i) lower[i] = ascii_lower(name[i]);
    const std::string_view key(lower, name.size());
    for (std::size_t at = slot_of(key);; at = (at + 1) % slots_.size()) {
      const CommandSpec* spec = slots_[at];
      if (spec == nullptr || spec->name == key) return spec;
    }
  }

  std::span<const CommandSpec* const> sorted() const { return sorted_; }
  std::size_t numbers() const { return numbers_; }

 private:
  static std::size_t slot_of(std::string_view lower) {
    std::uint32_t hash = 2166136261U;
    for (const char c : lower) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    return (hash ^ (hash >> 15)) % 1024;
  }

  void insert(const CommandSpec* spec) {
    std::size_t at = slot_of(spec->name);
    while (slots_[at] != nullptr) {
      HF_CHECK(slots_[at]->name != spec->name);
      at = (at + 1) % slots_.size();
    }
    slots_[at] = spec;
  }

  std::array<const CommandSpec*, 1024> slots_{};
  std::vector<const CommandSpec*> sorted_;
  std::uint32_t numbers_ = 0;
};

const CommandIndex& command_index() {
  static const CommandIndex kIndex;
  return kIndex;
}

}  // namespace

const CommandSpec* find_command(std::string_view name) {
  return command_index().find(name);
}

const CommandSpec* find_subcommand(const CommandSpec& container, std::string_view name) {
  for (const CommandSpec& spec : container.subcommands) {
    if (equals_ignoring_case(spec.name.substr(container.name.size() + 1), name)) return &spec;
  }
  return nullptr;
}

const CommandSpec* find_by_full_name(std::string_view name) {
  const std::size_t bar = name.find('|');
  const CommandSpec* spec = find_command(name.substr(0, bar));
  if (spec == nullptr || bar == std::string_view::npos) return spec;
  return find_subcommand(*spec, name.substr(bar + 1));
}

std::span<const CommandSpec* const> all_commands() {
  return command_index().sorted();
}
std::size_t command_numbers() {
  return command_index().numbers();
}

}  // namespace holdfast::commands
