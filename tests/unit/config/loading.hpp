// Loads options as main does, from files in a folder of its own.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "config/loader/loader.hpp"

namespace holdfast::config {

class Loading {
 public:
  Loading() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "holdfast-config-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
  }
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;
  ~Loading() { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& text) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  Result<LoadOutcome> load(std::vector<std::string> arguments,
                           std::vector<std::string> environment = {}) {
    arguments.insert(arguments.begin(), "holdfast");
    std::vector<const char*> argv;
    for (const auto& argument : arguments) argv.push_back(argument.c_str());
    std::vector<const char*> envp;
    for (const auto& variable : environment) envp.push_back(variable.c_str());
    envp.push_back(nullptr);
    return config::load(static_cast<int>(argv.size()), argv.data(), envp.data());
  }

  // The error, with the file's folder taken out.
  std::string error(std::vector<std::string> arguments, std::vector<std::string> environment = {}) {
    const auto outcome = load(std::move(arguments), std::move(environment));
    if (outcome) return "no error";
    std::string message = outcome.error().message;
    const std::string prefix = folder_.string() + "/";
    for (auto at = message.find(prefix); at != std::string::npos; at = message.find(prefix)) {
      message.erase(at, prefix.size());
    }
    return message;
  }

  std::string yaml_error(const std::string& text) { return error({file("holdfast.yaml", text)}); }

 private:
  std::filesystem::path folder_;
};

}  // namespace holdfast::config
