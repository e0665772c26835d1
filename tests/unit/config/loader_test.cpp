#include "config/loader/loader.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/loader/example.hpp"
#include "config/options/config_access.hpp"
#include "config/options/option_values.hpp"
#include "tests/unit/config/loading.hpp"

namespace holdfast::config {

TEST_CASE("without anything the defaults are in force", "[config]") {
  Loading loading;
  const auto outcome = loading.load({});
  REQUIRE(outcome);
  CHECK_FALSE(outcome->exit_text);
  CHECK(outcome->config_path.empty());
  for (const OptionRow& row : option_table()) {
    CHECK(format_value(row, outcome->options) == format_value(row, Options{}));
  }
}

TEST_CASE("later sources win: file, environment, command line", "[config]") {
  Loading loading;
  const auto path =
      loading.file("holdfast.yaml", "server:\n  port: 1\n  timeout_s: 1\n  maxclients: 1\n");
  const auto outcome =
      loading.load({"--config", path, "--maxclients", "3"},
                   {"HOLDFAST_SERVER_TIMEOUT_S=2", "HOLDFAST_SERVER_MAXCLIENTS=2", "PATH=/bin"});
  REQUIRE(outcome);
  CHECK(outcome->options.server.port == 1);
  CHECK(outcome->options.server.timeout_s == 2);
  CHECK(outcome->options.server.maxclients == 3);
  CHECK(outcome->config_path == path);
}

TEST_CASE("check takes a folder, or the one of the configuration, and none of what a server needs",
          "[config]") {
  Loading loading;
  const auto file = loading.file(
      "holdfast.yaml",
      "server: {dir: /srv/data, bind: [0.0.0.0]}\nsecurity: {requirepass_file: /none}\n");
  const auto keys = loading.file("keys", std::string(64, 'a') + "\n");
  CHECK_FALSE(loading.load({})->check);

  auto outcome = loading.load({"check", "/data", "--encryption-key-file", keys});
  REQUIRE(outcome);
  REQUIRE(outcome->check);
  CHECK_FALSE(outcome->check->repair);
  CHECK(outcome->options.server.dir == "/data");
  CHECK(outcome->options.persistence.encryption_key.starts_with("aaaa"));
  CHECK(loading.load({"check", "--repair", "/data"})->check->repair);
  CHECK(loading.load({"check", "/data", "--repair"})->options.server.dir == "/data");

  outcome = loading.load({"check", "--config", file, "--repair"});
  REQUIRE(outcome);
  CHECK(outcome->check->repair);
  CHECK(outcome->options.server.dir == "/srv/data");
  CHECK(loading.load({"check", "/data", "--config", file})->options.server.dir == "/data");

  CHECK(loading.load({"check"}).error().message.find("which data folder?") != std::string::npos);
  CHECK(loading.load({"check", "a", "b"}).error().message.find("'b' is one more") !=
        std::string::npos);
  CHECK_FALSE(loading.load({"--repair"}));
  CHECK(loading.load({"check", "--help"})->exit_text);
}

TEST_CASE("the file can be named in four ways, the command line before the environment",
          "[config]") {
  Loading loading;
  const auto one = loading.file("one.yaml", "server: {port: 1}\n");
  const auto two = loading.file("two.yaml", "server: {port: 2}\n");
  CHECK(loading.load({one})->options.server.port == 1);
  CHECK(loading.load({"-c", one})->options.server.port == 1);
  CHECK(loading.load({"--config=" + one})->options.server.port == 1);
  CHECK(loading.load({}, {"HOLDFAST_CONFIG=" + two})->options.server.port == 2);
  CHECK(loading.load({one}, {"HOLDFAST_CONFIG=" + two})->options.server.port == 1);
  CHECK(loading.error({one, "--config", two}) ==
        "command line: more than one configuration file is given");
}

TEST_CASE("every type of value can be written in the file", "[config]") {
  Loading loading;
  const auto path = loading.file("holdfast.yaml", R"(
# a comment
server:
  bind:
    - 127.0.0.1
    - "-::1"
  unixsocketperm: 770
security:
  requirepass: 0123
  allow_insecure_bind: true
limits:
  client_output_buffer_limit: ["normal 1mb 0 0", "pubsub 2mb 1mb 5"]
memory:
  maxmemory: 2gb
  maxmemory_policy: allkeys-lru
keyspace:
  notify_keyspace_events: KEA
slowlog:
log:
  level: Warning
)");
  const auto outcome = loading.load({path});
  REQUIRE(outcome);
  const Options& options = outcome->options;
  CHECK(options.server.bind == std::vector<std::string>{"127.0.0.1", "-::1"});
  CHECK(options.server.unixsocketperm.bits == 0770);
  CHECK(options.security.requirepass == "0123");
  CHECK(options.security.allow_insecure_bind);
  CHECK(options.limits.client_output_buffer_limit.normal.hard == 1U << 20);
  CHECK(options.limits.client_output_buffer_limit.pubsub.soft_s == 5);
  CHECK(options.memory.maxmemory == 2ULL << 30);
  CHECK(options.memory.maxmemory_policy == EvictionPolicy::kAllkeysLru);
  CHECK(format_value(*find_by_path("keyspace.notify_keyspace_events"), options) == "AKE");
  CHECK(options.log.level == LogLevel::kWarning);
}

TEST_CASE("an empty file is as good as none", "[config]") {
  Loading loading;
  CHECK(loading.load({loading.file("a.yaml", "")}));
  CHECK(loading.load({loading.file("a.yaml", "# nothing\n\n")}));
}

TEST_CASE("a wrong file is refused with file, line, what is wrong and what is allowed",
          "[config]") {
  Loading loading;
  const auto error = [&](const std::string& text) { return loading.yaml_error(text); };
  CHECK(error("\nmemory:\n  maxmemory_policy: lru\n") ==
        "holdfast.yaml:3: memory.maxmemory_policy: 'lru' is not allowed; allowed: volatile-lru, "
        "volatile-random, "
        "volatile-ttl, allkeys-lru, allkeys-random, noeviction");
  CHECK(
      error("server:\n  port: 65536\n") ==
      "holdfast.yaml:2: server.port: '65536' is not allowed; allowed: an integer from 0 to 65535");
  CHECK(error("memory:\n  maxmemory: lots\n") ==
        "holdfast.yaml:2: memory.maxmemory: 'lots' is not allowed; allowed: a size such as 64kb, "
        "100mb, 2gb");
  CHECK(error("debug:\n  enable_debug_command: maybe\n") ==
        "holdfast.yaml:2: debug.enable_debug_command: 'maybe' is not allowed; allowed: yes, no");
  CHECK(error("memory:\n  maxmemroy: 1\n") ==
        "holdfast.yaml:2: memory.maxmemroy: unknown option; did you mean 'maxmemory'?");
  CHECK(error("server:\n  timeout: 1\n") ==
        "holdfast.yaml:2: server.timeout: unknown option; did you mean 'timeout_s'?");
  CHECK(error("slowlog:\n  slower: 1\n") ==
        "holdfast.yaml:2: slowlog.slower: unknown option; did you mean 'slower_than_us'?");
  CHECK(error("server:\n  frobnicate: 1\n") ==
        "holdfast.yaml:2: server.frobnicate: unknown option");
  CHECK(error("sever:\n  port: 1\n") ==
        "holdfast.yaml:1: sever: unknown section; did you mean 'server'?");
  CHECK(error("server:\n  port: 1\n  port: 2\n") ==
        "holdfast.yaml:3: server.port: given twice, first in line 2");
  CHECK(error("server:\n  port: 1\nserver:\n  dir: x\n") ==
        "holdfast.yaml:3: server: given twice, first in line 1");
  CHECK(error("server:\n  port: [1, 2]\n") ==
        "holdfast.yaml:2: server.port: must be one value, not a list");
  CHECK(error("server:\n  port:\n    a: 1\n") ==
        "holdfast.yaml:2: server.port: must be one value, not a mapping");
  CHECK(error("server:\n  bind: {a: 1}\n") ==
        "holdfast.yaml:2: server.bind: must be a list, not a mapping");
  CHECK(error("server:\n  bind: [[a]]\n") ==
        "holdfast.yaml:2: server.bind: must be a list of plain values");
  CHECK(error("server:\n  dir: x\n  port:\n") ==
        "holdfast.yaml:3: server.port: has no value; write \"\" for an empty one");
  CHECK(error("server: 5\n") ==
        "holdfast.yaml:1: server: a section holds options, one a line, as 'name: value'");
  CHECK(error("- server\n") ==
        "holdfast.yaml:1: a configuration file is a mapping of sections, such as 'server:'");
  CHECK(error("[a]: {}\n") == "holdfast.yaml:1: the name of a section must be plain text");
  CHECK(error("server:\n  [a]: 1\n") ==
        "holdfast.yaml:2: server: the name of an option must be plain text");
  CHECK(error("server:\n\tport: 1\n").starts_with("holdfast.yaml:2: not valid YAML: "));
  CHECK(error("server:\n  bind: [a\n").starts_with("holdfast.yaml:"));
  CHECK(error("server:\n  port: *nothing\n").starts_with("holdfast.yaml:2: not valid YAML: "));
  CHECK(error("server:\n  bind: &a [*a]\n") != "no error");
}

TEST_CASE("a file that cannot be read is refused with the reason", "[config]") {
  Loading loading;
  CHECK(loading.error({"/nonexistent/holdfast.yaml"}) ==
        "/nonexistent/holdfast.yaml: cannot be read: No such file or directory");
  CHECK(loading.error({"/"}) == "/: cannot be read: Is a directory");
  CHECK(loading.error({loading.file("big.yaml", std::string((1 << 20) + 1, '#'))}) ==
        "big.yaml: is longer than 1048576 bytes, this is no configuration");
}

TEST_CASE("limits that know each other are refused at the place that set them", "[config]") {
  Loading loading;
  const std::string why =
      ": other machines can reach '0.0.0.0', but no password is set; set security.requirepass (or "
      "security.requirepass_file), or security.allow_insecure_bind: yes if the network is closed "
      "to strangers";
  CHECK(loading.yaml_error("server:\n  bind: 0.0.0.0\n") == "holdfast.yaml:2: server.bind" + why);
  CHECK(loading.error({}, {"HOLDFAST_SERVER_BIND=127.0.0.1,0.0.0.0"}) ==
        "environment HOLDFAST_SERVER_BIND" + why);
  CHECK(loading.error({"--bind", "0.0.0.0"}) == "--bind" + why);
  CHECK(loading.load({"--bind", "0.0.0.0", "--requirepass", "secret"}));
  CHECK(loading.load({"--bind", "0.0.0.0"}, {"HOLDFAST_SECURITY_ALLOW_INSECURE_BIND=yes"}));
}

TEST_CASE("ping reads what a server would", "[config]") {
  Loading loading;
  CHECK_FALSE(loading.load({"--port", "7000"})->is_ping);
  const std::string file = loading.file("holdfast.yaml", "server:\n  bind: 127.0.0.9\n");
  const auto outcome = loading.load({"ping", file, "--port", "7000"});
  REQUIRE(outcome);
  CHECK(outcome->is_ping);
  CHECK(outcome->options.server.port == 7000);
  CHECK(outcome->options.server.bind == std::vector<std::string>{"127.0.0.9"});
  CHECK(loading.error({"ping", "--prt", "1"}).find("did you mean '--port'?") != std::string::npos);
}

TEST_CASE("environment variables are checked as the file is", "[config]") {
  Loading loading;
  CHECK(loading.load({}, {"HOLDFAST_SERVER_BIND=127.0.0.1,-::1"})->options.server.bind ==
        std::vector<std::string>{"127.0.0.1", "-::1"});
  CHECK(loading.load({}, {"HOLDFAST_SECURITY_REQUIREPASS=a=b"})->options.security.requirepass ==
        "a=b");
  CHECK(loading.error({}, {"HOLDFAST_SERVER_PORT=abc"}) ==
        "environment HOLDFAST_SERVER_PORT: 'abc' is not allowed; allowed: an integer from 0 to "
        "65535");
  CHECK(loading.error({}, {"HOLDFAST_SERVER_PRT=1"}) ==
        "environment HOLDFAST_SERVER_PRT: unknown option; did you mean 'HOLDFAST_SERVER_PORT'?");
}

TEST_CASE("an unknown HOLDFAST_ variable is an error that says what is allowed", "[config]") {
  Loading loading;
  const auto meant = [&](const std::string& name) {
    return loading.error({}, {"HOLDFAST_" + name + "=1"});
  };
  const auto did_you_mean = [](const std::string& name, const std::string& right) {
    return "environment HOLDFAST_" + name + ": unknown option; did you mean 'HOLDFAST_" + right +
           "'?";
  };
  CHECK(meant("PORT") == did_you_mean("PORT", "SERVER_PORT"));
  CHECK(meant("REQUIREPASS") == did_you_mean("REQUIREPASS", "SECURITY_REQUIREPASS"));
  CHECK(meant("MAXMEMORY_POLICY") == did_you_mean("MAXMEMORY_POLICY", "MEMORY_MAXMEMORY_POLICY"));
  CHECK(meant("APPENDFSYNC") == did_you_mean("APPENDFSYNC", "PERSISTENCE_LOG_FSYNC"));
  CHECK(meant("HASH_MAX_ZIPLIST_VALUE") ==
        did_you_mean("HASH_MAX_ZIPLIST_VALUE", "KEYSPACE_HASH_MAX_LISTPACK_VALUE"));
  CHECK(meant("CONFIGG") == did_you_mean("CONFIGG", "CONFIG"));
  CHECK(meant("BIN") ==
        "environment HOLDFAST_BIN: unknown option; allowed: HOLDFAST_<SECTION>_<OPTION> for every "
        "option of --help, HOLDFAST_CONFIG, HOLDFAST_ENCRYPTION_KEY, "
        "HOLDFAST_CLUSTER_SECRET");
  CHECK(loading.load({}, {"HOLDFASTER=1", "holdfast_server_port=1"}));
}

TEST_CASE("what Kubernetes and docker --link set is passed over", "[config]") {
  Loading loading;
  const auto kubernetes = loading.load(
      {}, {"HOLDFAST_SERVICE_HOST=10.0.0.1", "HOLDFAST_SERVICE_PORT=6379",
           "HOLDFAST_PORT=tcp://10.0.0.1:6379", "HOLDFAST_PORT_6379_TCP_PORT=6379",
           "HOLDFAST_SERVER_PORT=tcp://10.0.0.1:6379",
           "HOLDFAST_SERVER_PORT_6379_TCP=tcp://10.0.0.1:6379",
           "HOLDFAST_SERVER_SERVICE_HOST=10.0.0.1", "HOLDFAST_WEB_SERVICE_PORT_HTTP=80",
           "HOLDFAST_NAME=/web/holdfast", "HOLDFAST_ENV_PATH=/bin", "HOLDFAST_1_ENV_TZ=UTC"});
  REQUIRE(kubernetes);
  CHECK(kubernetes->options.server.port == 6379);
}

TEST_CASE("a misspelt variable that looks a little like a container's is an error", "[config]") {
  Loading loading;
  for (const std::string name :
       {"SERVER_TCP_KEEPALIVE", "SERVER_TCPBACKLOG", "SERVER_UDP", "PORT_TCP", "PORT_6379_TCPX",
        "PORT_63x79_TCP", "SERVERPORT_6379_TCP", "SERVER_PORT_6379_TCP_KEEPALIVE",
        "SERVER_SERVICE_PORTS", "SERVICE_PORT_", "SERVER_SERVICE_HOSTS", "SECURITY_ENV"}) {
    INFO(name);
    const std::string error = loading.error({}, {"HOLDFAST_" + name + "=60"});
    CHECK(error.starts_with("environment HOLDFAST_" + name + ": unknown option"));
  }
  CHECK(loading.error({}, {"HOLDFAST_SERVER_TCP_KEEPALIVE=60"}) ==
        "environment HOLDFAST_SERVER_TCP_KEEPALIVE: unknown option; did you mean "
        "'HOLDFAST_SERVER_TCP_KEEPALIVE_S'?");
  CHECK(loading.load({}, {"HOLDFAST_PORT_53_UDP_PROTO=udp", "HOLDFAST_PORT_53_UDP_ADDR=10.0.0.1",
                          "HOLDFAST_A_PORT_9_SCTP=sctp://10.0.0.1:9"}));
}

TEST_CASE("options are taken from the command line by Redis's names and by path, the last one wins",
          "[config]") {
  Loading loading;
  const auto outcome =
      loading.load({"--port", "7000", "--dir=/tmp", "--set", "memory.maxmemory=1gb", "--loglevel",
                    "debug", "--hash-max-ziplist-value", "32", "--set", "server.port=7001",
                    "--timeout", "1", "--timeout", "2"});
  REQUIRE(outcome);
  CHECK(outcome->options.server.port == 7001);
  CHECK(outcome->options.server.dir == "/tmp");
  CHECK(outcome->options.memory.maxmemory == 1ULL << 30);
  CHECK(outcome->options.log.level == LogLevel::kDebug);
  CHECK(outcome->options.keyspace.hash_max_listpack_value == 32);
  CHECK(outcome->options.server.timeout_s == 2);
  CHECK(loading.load({"--set", "server.port=7001", "--port", "7000"})->options.server.port == 7000);
  CHECK(loading.load({"--slowlog-log-slower-than", "-1"})->options.slowlog.slower_than_us == -1);
  CHECK(loading.load({"--set", "security.requirepass=a=b"})->options.security.requirepass == "a=b");
  CHECK(loading.load({"--requirepass", ""})->options.security.requirepass.empty());
}

TEST_CASE("addresses are repeated or given in a row, as redis-server takes them", "[config]") {
  Loading loading;
  const std::vector<std::string> both{"127.0.0.1", "-::1"};
  CHECK(loading.load({"--bind", "127.0.0.1", "-::1", "--port", "1"})->options.server.bind == both);
  CHECK(loading.load({"--bind", "127.0.0.1 -::1"})->options.server.bind == both);
  CHECK(loading.load({"--bind", "127.0.0.1", "--bind", "-::1"})->options.server.bind == both);
  CHECK(loading.load({"--bind=127.0.0.1,-::1"})->options.server.bind == both);
  CHECK(loading.load({"--set", "server.bind=127.0.0.1 -::1"})->options.server.bind == both);
}

TEST_CASE("redis-server's own parameters are taken when they say what is so anyway", "[config]") {
  Loading loading;
  CHECK(loading.load({"--daemonize", "no", "--hz", "10", "--port", "1"})->options.server.port == 1);
  CHECK(loading.error({"--daemonize", "yes"}) ==
        "--daemonize: 'yes' is not allowed; Holdfast has no such setting, it is always 'no'");
}

TEST_CASE("redis-server's words for persistence are taken", "[config]") {
  Loading loading;
  const auto off = loading.load({"--save", "", "--appendonly", "no"});
  CHECK_FALSE(off->options.persistence.enabled);
  CHECK(off->options.persistence.snapshot_schedule.rules.empty());
  const auto on = loading.load({"--save", "3600 1 300 100", "--appendfsync", "always"});
  CHECK(on->options.persistence.enabled);
  CHECK(on->options.persistence.log_fsync == LogFsync::kAlways);
  const std::vector<SnapshotSchedule::Rule> rules{{3600, 1}, {300, 100}};
  CHECK(on->options.persistence.snapshot_schedule.rules == rules);
  for (const std::string wrong : {"1", "1 2 3", "0 1", "a 1", "1 -1"})
    CHECK(loading.error({"--save", wrong}).find("'<seconds> <changes>', repeated") !=
          std::string::npos);
}

TEST_CASE("'persistence: off' stands for the whole section", "[config]") {
  Loading loading;
  const std::string path = loading.file("off.yaml", "persistence: off\nserver:\n  port: 7\n");
  const auto outcome = loading.load({path});
  CHECK_FALSE(outcome->options.persistence.enabled);
  CHECK(outcome->options.server.port == 7);
  CHECK(loading.yaml_error("persistence: perhaps\n").find("must be on, off") != std::string::npos);
}

TEST_CASE("the encryption key comes from a file or the environment, and CONFIG does not show it",
          "[config]") {
  Loading loading;
  const std::string key(64, 'a');
  const std::string path = loading.file("key", key + "\n");
  const auto outcome = loading.load({"--set", "persistence.encryption_key_file=" + path});
  CHECK(outcome->options.persistence.encryption_key == key + "\n");
  const std::string_view everything[] = {"*"};
  for (const auto& answer : config_get(outcome->options, everything))
    CHECK(answer.value.find(key) == std::string::npos);
}

TEST_CASE("a wrong command line is refused", "[config]") {
  Loading loading;
  CHECK(loading.error({"--maxmemroy", "1gb"}) ==
        "command line: --maxmemroy: unknown option; did you mean '--maxmemory'?; see --help");
  CHECK(loading.error({"--port", "1", "extra"}) ==
        "command line: 'extra' is not expected here; a configuration file goes first, or after "
        "--config");
  CHECK(loading.error({"--port"}) == "command line: --port: a value is missing; see --help");
  CHECK(loading.error({"--config"}) == "command line: --config: a value is missing; see --help");
  CHECK(loading.error({"--port", "x"}) ==
        "--port: 'x' is not allowed; allowed: an integer from 0 to 65535");
  CHECK(loading.error({"--port"}).starts_with("command line: --port"));
  CHECK(loading.error({"--set", "server.port"}) ==
        "--set server.port: write --set section.option=value");
  CHECK(loading.error({"--set", "server.prt=1"}) ==
        "--set server.prt: unknown option; did you mean 'server.port'?");
  CHECK(loading.error({"--set", "server.port=x"}) ==
        "--set server.port: 'x' is not allowed; allowed: an integer from 0 to 65535");
}

TEST_CASE("the password may be in a file of its own", "[config]") {
  Loading loading;
  const auto secret = loading.file("secret", "pass word\n");
  const auto outcome = loading.load({"--requirepass-file", secret});
  REQUIRE(outcome);
  CHECK(outcome->options.security.requirepass == "pass word");
  CHECK(loading.load({"--requirepass-file", loading.file("dos", "x\r\n")})
            ->options.security.requirepass == "x");
  CHECK(loading.load({"--bind", "*", "--requirepass-file", secret}));
  CHECK(loading.error({"--requirepass-file", "/nonexistent"}) ==
        "--requirepass-file: /nonexistent: cannot be read: No such file or directory");
  CHECK(loading.error({"--requirepass-file", loading.file("empty", "\n")}) ==
        "--requirepass-file: empty: the file is empty, so there is no password");
  CHECK(loading.error({"--requirepass-file", secret, "--requirepass", "x"}) ==
        "--requirepass-file: security.requirepass is set too (--requirepass); give one of them");
}

TEST_CASE("help, version and the example file are printed instead of starting", "[config]") {
  Loading loading;
  const auto help = loading.load({"--help"});
  REQUIRE(help);
  REQUIRE(help->exit_text);
  for (const OptionRow& row : option_table()) {
    INFO(row.path);
    CHECK(help->exit_text->find("--" + std::string(row.redis_name)) != std::string::npos);
    CHECK(help->exit_text->find(std::string(row.help)) != std::string::npos);
  }
  CHECK(loading.load({"--version"})->exit_text == "holdfast " HOLDFAST_VERSION "\n");
  CHECK(loading.load({"-v"})->exit_text == "holdfast " HOLDFAST_VERSION "\n");
  CHECK(loading.load({"--print-config-example"})->exit_text == example_file());
}

TEST_CASE("the example file names every option with its default and loads", "[config]") {
  Loading loading;
  const auto outcome = loading.load({loading.file("example.yaml", example_file())});
  REQUIRE(outcome);
  for (const OptionRow& row : option_table()) {
    INFO(row.path);
    CHECK(format_value(row, outcome->options) == format_value(row, Options{}));
    CHECK(example_file().find("\n  " + std::string(row.name()) + ": ") != std::string::npos);
  }
}

TEST_CASE("docs/holdfast.example.yaml is up to date", "[config]") {
  std::ifstream file(HOLDFAST_SOURCE_DIR "/docs/holdfast.example.yaml");
  std::stringstream text;
  text << file.rdbuf();
  INFO("make it anew: build/release/holdfast --print-config-example > docs/holdfast.example.yaml");
  CHECK(text.str() == example_file());
}

}  // namespace holdfast::config
