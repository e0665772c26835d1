// Files of every format version that was ever released stay readable: tests/golden/log-v1.
//
// They were written by this program (test_log "[write-golden]" writes them into the folder named by
// HOLDFAST_GOLDEN_OUT) and are never written again: a changed format is a new version with a folder
// of its own.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/check.hpp"
#include "tests/unit/log/folder.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using sim::SimDisk;

namespace {

struct Golden {
  const char* name;
  FolderOptions options;
};

std::vector<Golden> goldens() {
  return {{"plain", {}},
          {"zstd", {{}, Packing::kZstd, FsyncMode::kAlways, true}},
          {"encrypted", {KeyRing({make_key(1)}), Packing::kZstd, FsyncMode::kNo, false}}};
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace

TEST_CASE("folders of format version 1 stay readable", "[golden]") {
  for (const Golden& golden : goldens()) {
    INFO(golden.name);
    SimDisk disk(1);
    int count = 0;
    const auto folder = std::filesystem::path(HOLDFAST_GOLDEN_DIR) / "log-v1" / golden.name;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      disk.set_content(join_path(kFolder, file.path().filename().string()), read_file(file.path()));
      ++count;
    }
    CHECK(count == 6);
    const auto loaded = start_member(disk, golden.options.keys);
    REQUIRE(loaded);
    CHECK(loaded->base == 12);
    CHECK(loaded->snapshot == snapshot_content(12));
    const auto expected = expected_entries();
    std::uint64_t index = 12;
    for (const std::string& entry : loaded->entries) CHECK(entry == expected.at(++index));
    CHECK(index == 24);
    CHECK_FALSE(loaded->tail_in_doubt);
  }
}

TEST_CASE("writes the golden files", "[.][write-golden]") {
  const char* out = std::getenv("HOLDFAST_GOLDEN_OUT");
  REQUIRE(out != nullptr);
  for (const Golden& golden : goldens()) {
    SimDisk disk(1);
    build_folder(disk, golden.options);
    const auto folder = std::filesystem::path(out) / golden.name;
    std::filesystem::create_directories(folder);
    for (const std::string& path : disk.paths()) {
      std::ofstream file(folder / std::filesystem::path(path).filename(), std::ios::binary);
      file << disk.content(path);
    }
  }
}
