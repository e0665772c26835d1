#include "server/commands/acl_categories.hpp"

#include <algorithm>
#include <iterator>

#include "base/text.hpp"

namespace holdfast::commands {

namespace {

constexpr std::string_view kCategories[] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};

bool names_category(std::string_view list, std::string_view category) {
  while (!list.empty()) {
    const std::string_view word = list.substr(0, list.find(' '));
    if (word.substr(1) == category) return true;
    list.remove_prefix(std::min(list.size(), word.size() + 1));
  }
  return false;
}

}  // namespace

std::span<const std::string_view> acl_categories() {
  return kCategories;
}

std::optional<std::size_t> find_acl_category(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kCategories); ++i) {
    if (equals_ignoring_case(kCategories[i], name)) return i;
  }
  return std::nullopt;
}

bool is_in_category(const CommandSpec& spec, std::size_t category) {
  const std::string_view name = kCategories[category];
  if (name == "read") return spec.has(kReadonly);
  if (name == "write") return spec.has(kWrite);
  if (name == "fast") return spec.has(kFast);
  if (name == "slow") return !spec.has(kFast);
  if (name == "admin" && spec.has(kAdmin)) return true;
  if (name == "dangerous" && spec.has(kAdmin)) return true;
  if (name == "pubsub" && spec.has(kPubSub)) return true;
  if (name == "blocking" && spec.has(kBlocking)) return true;
  return names_category(spec.categories, name);
}

}  // namespace holdfast::commands
