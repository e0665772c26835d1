#include "config/options/option_table.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "base/text.hpp"
#include "config/options/config_access.hpp"
#include "config/options/option_values.hpp"
#include "config/options/validate.hpp"

namespace holdfast::config {

TEST_CASE("every row of the table is complete and can read what it shows", "[config]") {
  for (const OptionRow& row : option_table()) {
    INFO(row.path);
    CHECK(row.path.find('.') != std::string_view::npos);
    CHECK(row.path == to_lower(row.path));
    CHECK(row.help.ends_with('.'));
    CHECK(row.help.size() > 15);
    CHECK(row.min <= row.max);
    Options options;
    const bool is_enum = std::holds_alternative<EvictionPolicy*>(row.field(options)) ||
                         std::holds_alternative<LogFsync*>(row.field(options)) ||
                         std::holds_alternative<LogLevel*>(row.field(options)) ||
                         std::holds_alternative<Failover*>(row.field(options)) ||
                         std::holds_alternative<Acks*>(row.field(options)) ||
                         std::holds_alternative<Reads*>(row.field(options));
    CHECK(is_enum == !row.choices.empty());
    const std::string shown = format_value(row, options);
    REQUIRE(parse_and_set(row, options, shown));
    CHECK(format_value(row, options) == shown);
  }
}

TEST_CASE("names are unique across options, aliases and fixed answers, and sections are contiguous",
          "[config]") {
  std::set<std::string_view> paths;
  std::set<std::string_view> names;
  std::set<const void*> fields;
  std::set<std::string_view> sections;
  std::string_view section;
  Options options;
  for (const OptionRow& row : option_table()) {
    INFO(row.path);
    CHECK(paths.insert(row.path).second);
    CHECK(names.insert(row.redis_name).second);
    if (!row.redis_alias.empty()) CHECK(names.insert(row.redis_alias).second);
    CHECK(fields
              .insert(
                  std::visit([](auto* field) -> const void* { return field; }, row.field(options)))
              .second);
    if (row.section() != section) CHECK(sections.insert(row.section()).second);
    section = row.section();
  }
  for (const FixedAnswer& fixed : fixed_answers()) {
    INFO(fixed.redis_name);
    CHECK(names.insert(fixed.redis_name).second);
  }
}

TEST_CASE("options are found by path exactly and by Redis's name in any case, aliases included",
          "[config]") {
  CHECK(find_by_path("memory.maxmemory_policy")->redis_name == "maxmemory-policy");
  CHECK(find_by_path("memory.Maxmemory_policy") == nullptr);
  CHECK(find_by_path("") == nullptr);
  CHECK(find_by_redis_name("MaxMemory-Policy")->path == "memory.maxmemory_policy");
  CHECK(find_by_redis_name("hash-max-ziplist-value")->path == "keyspace.hash_max_listpack_value");
  CHECK(find_by_redis_name("maxmemory_policy") == nullptr);
  CHECK(find_by_redis_name("") == nullptr);
}

TEST_CASE("the defaults are valid", "[config]") {
  CHECK(validate(Options{}));
}

TEST_CASE("an address that other machines can reach wants a password or an explicit permission",
          "[config]") {
  const auto bind =
      GENERATE(as<std::string>{}, "0.0.0.0", "*", "::", "::*", "-::", "192.168.1.5", "example.org",
               "-10.0.0.1", "127.example.org", "1270.0.0.1", "::ffff:10.0.0.1");
  INFO(bind);
  Options options;
  options.server.bind = {"127.0.0.1", bind};
  const auto refused = validate(options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().path == "server.bind");
  CHECK(refused.error().message.find("'" + bind + "'") != std::string::npos);
  CHECK(refused.error().message.find("security.requirepass") != std::string::npos);

  SECTION("a password") {
    options.security.requirepass = "secret";
  }
  SECTION("a permission") {
    options.security.allow_insecure_bind = true;
  }
  SECTION("no TCP at all") {
    options.server.port = 0;
    options.server.unixsocket = "/run/holdfast.sock";
  }
  CHECK(validate(options));
}

TEST_CASE("loopback addresses need no password", "[config]") {
  Options options;
  options.server.bind = {"127.0.0.1", "-::1", "localhost", "127.1.2.3", "::ffff:127.0.0.1"};
  CHECK(validate(options));
}

TEST_CASE("a server that nobody could connect to is refused", "[config]") {
  Options options;
  SECTION("no port and no socket") {
    options.server.port = 0;
    CHECK(validate(options).error().path == "server.port");
    options.server.unixsocket = "/run/holdfast.sock";
  }
  SECTION("a port but no address") {
    options.server.bind.clear();
    CHECK(validate(options).error().path == "server.bind");
    options.server.bind = {"127.0.0.1"};
  }
  CHECK(validate(options));
}

}  // namespace holdfast::config
