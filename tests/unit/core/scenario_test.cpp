// Runs the dialogues of tests/scenarios: each line is a command, or a command and its answer.
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "tests/unit/core/cluster.hpp"

using namespace holdfast::core;

namespace {

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

void run_dialogue(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE(file);
  std::unique_ptr<Cluster> cluster;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const std::size_t arrow = line.find("->");
    const std::string command = trimmed(line.substr(0, arrow));
    INFO(path.filename().string() << ":" << number << ": " << line);
    std::istringstream words(command);
    std::string verb;
    std::size_t members = 0;
    std::string option;
    words >> verb;
    if (verb == "nodes") {
      words >> members >> option;
      cluster = std::make_unique<Cluster>(
          members, option == "unilateral" ? Failover::kUnilateral : Failover::kQuorum);
      continue;
    }
    REQUIRE(cluster);
    const std::string answer = cluster->run(command);
    const std::string expected = arrow == std::string::npos ? "" : trimmed(line.substr(arrow + 2));
    if (answer != expected) {
      INFO(cluster->stories());
      CHECK(answer == expected);
      return;  // what follows would only follow from it
    }
  }
}

}  // namespace

TEST_CASE("every dialogue goes as it is written", "[scenario]") {
  std::set<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(HOLDFAST_SCENARIOS))
    if (entry.path().extension() == ".txt") paths.insert(entry.path());
  REQUIRE(paths.size() >= 8);
  for (const auto& path : paths) run_dialogue(path);
}
