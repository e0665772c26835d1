#include "config/loader/rewrite.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/loader/example.hpp"
#include "config/loader/loader.hpp"

namespace holdfast::config {
namespace {

std::string rewritten(std::string_view old_text, const Options& options) {
  const auto text = rewrite_text(old_text, "holdfast.yaml", options);
  return text ? *text : "! " + text.error().message;
}

std::string read(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("a rewrite that changes nothing leaves every byte", "[config]") {
  CHECK(rewritten(example_file(), Options{}) == example_file());
  const std::string odd =
      "# mine\nmemory:   # limits\n    maxmemory:   1024kb # a megabyte\n\n\n# end\n";
  Options options;
  options.memory.maxmemory = 1 << 20;
  CHECK(rewritten(odd, options) == odd);
}

TEST_CASE("a rewrite changes values in place and keeps the comments", "[config]") {
  Options options;
  options.server.port = 7000;
  options.server.bind = {"127.0.0.1"};
  options.memory.maxmemory = 2ULL << 30;
  options.security.requirepass = "a \"b\" # c\n\\";
  CHECK(rewritten("# top\n"
                  "server:\n"
                  "  port: 6379 # the port\n"
                  "  bind: [\"127.0.0.1\", \"-::1\"]   # where\n"
                  "# the door\n"
                  "security:\n"
                  "  requirepass: 'old # \"one\"' # change me\n"
                  "memory:\n"
                  "  maxmemory: 1gb\n",
                  options) ==
        "# top\n"
        "server:\n"
        "  port: 7000 # the port\n"
        "  bind: [\"127.0.0.1\"]   # where\n"
        "# the door\n"
        "security:\n"
        "  requirepass: \"a \\\"b\\\" # c\\x0a\\\\\" # change me\n"
        "memory:\n"
        "  maxmemory: 2gb\n");
}

TEST_CASE("a rewrite replaces values of several lines", "[config]") {
  Options options;
  options.server.bind = {"127.0.0.1"};
  CHECK(rewritten("server:\n"
                  "  bind:\n"
                  "    - 127.0.0.1\n"
                  "    # and the other one\n"
                  "    - ::1\n"
                  "\n"
                  "  # the port\n"
                  "  port: 6379\n",
                  options) ==
        "server:\n"
        "  bind: [\"127.0.0.1\"]\n"
        "\n"
        "  # the port\n"
        "  port: 6379\n");
}

TEST_CASE("a rewrite adds what the file does not mention, to its section if there is one",
          "[config]") {
  Options options;
  options.server.port = 7000;
  options.server.timeout_s = 5;
  options.memory.maxmemory_policy = EvictionPolicy::kVolatileTtl;
  CHECK(rewritten("server:\n"
                  "    dir: .\n"
                  "# what follows\n"
                  "log:\n"
                  "  level: notice\n",
                  options) ==
        "server:\n"
        "    dir: .\n"
        "    port: 7000\n"
        "    timeout_s: 5\n"
        "# what follows\n"
        "log:\n"
        "  level: notice\n"
        "memory:\n"
        "  maxmemory_policy: volatile-ttl\n");
  CHECK(rewritten("", options) ==
        "memory:\n  maxmemory_policy: volatile-ttl\nserver:\n  port: 7000\n  timeout_s: 5\n");
  CHECK(rewritten("server:\n", options) ==
        "server:\n  port: 7000\n  timeout_s: 5\nmemory:\n  maxmemory_policy: volatile-ttl\n");
}

TEST_CASE("a value that is back at its default is written, as the file says otherwise",
          "[config]") {
  CHECK(rewritten("server:\n  port: 1\n", Options{}) == "server:\n  port: 6379\n");
  CHECK(rewritten("security:\n  requirepass: old", Options{}) ==
        "security:\n  requirepass: \"\"\n");
}

TEST_CASE("a file that cannot be edited safely is left alone", "[config]") {
  Options options;
  options.server.port = 7000;
  CHECK(rewritten("{server: {port: 1, dir: x}}\n", options)
            .starts_with("! Rewriting config file: holdfast.yaml is written"));
  CHECK(rewritten("server:\n  port: x\n", options)
            .starts_with("! holdfast.yaml:2: server.port: 'x' is not allowed"));
}

TEST_CASE("without a file there is nothing to rewrite", "[config]") {
  // Redis's text.
  CHECK(rewrite("", Options{}).error().message == "The server is running without a config file");
}

TEST_CASE("a rewrite replaces the file, keeps its mode, follows links and leaves nothing beside it",
          "[config]") {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "holdfast-rewrite-XXXXXX").string();
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  const std::filesystem::path folder = pattern;
  const auto file = folder / "holdfast.yaml";
  const auto link = folder / "link.yaml";
  std::ofstream(file) << "server:\n  port: 1\n";
  REQUIRE(::chmod(file.c_str(), 0640) == 0);
  std::filesystem::create_symlink(file, link);

  Options options;
  options.server.port = 7000;
  REQUIRE(rewrite(link.string(), options));
  CHECK(read(file) == "server:\n  port: 7000\n");
  CHECK(std::filesystem::is_symlink(link));
  struct stat state = {};
  REQUIRE(::stat(file.c_str(), &state) == 0);
  CHECK((state.st_mode & 07777) == 0640);
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 2);

  SECTION("a password from its own file does not get into this one") {
    const auto secret = folder / "secret";
    std::ofstream(secret) << "hush\n";
    std::ofstream(file) << "security:\n  requirepass_file: " << secret.string() << "\n";
    const char* const argv[] = {"holdfast", file.c_str()};
    auto outcome = load(2, argv, nullptr);
    REQUIRE(outcome);
    outcome->options.server.timeout_s = 9;
    REQUIRE(rewrite(outcome->config_path, outcome->options));
    CHECK(read(file) ==
          "security:\n  requirepass_file: " + secret.string() + "\nserver:\n  timeout_s: 9\n");

    outcome->options.security.requirepass = "changed";
    REQUIRE(rewrite(outcome->config_path, outcome->options));
    CHECK(load(2, argv, nullptr)->options.security.requirepass == "changed");
  }
  SECTION("a vanished file is an error") {
    std::filesystem::remove(file);
    CHECK(rewrite(file.string(), options).error().message ==
          "Rewriting config file: cannot read " + file.string() + ": No such file or directory");
  }
  std::filesystem::remove_all(folder);
}

}  // namespace holdfast::config
