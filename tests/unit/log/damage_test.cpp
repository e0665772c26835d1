// Whatever happens to a byte of a data folder, it is never loaded as if nothing were.
#include <catch2/catch.hpp>
#include <set>

#include "base/check.hpp"
#include "tests/unit/log/folder.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using sim::SimDisk;

namespace {

// Of every outcome that may be: what it was. Fails the test at one that may not.
std::string judge(const Result<LoadedData>& loaded, const std::string& path) {
  if (!loaded) {
    CHECK(loaded.error().message.find(kFolder) != std::string::npos);
    return "refused";
  }
  CHECK((loaded->base == 0 || loaded->snapshot == snapshot_content(loaded->base)));
  const auto expected = expected_entries();
  std::uint64_t index = loaded->base;
  for (const std::string& entry : loaded->entries) {
    CHECK(entry == expected.at(++index));
  }
  CHECK(index == loaded->last);
  if (loaded->last == 24) return loaded->base == 12 ? "unharmed" : "older snapshot";
  // Only what was never synced may be dropped, and it is said.
  CHECK(path == segment_path(3));
  CHECK(loaded->last >= 20);
  CHECK(loaded->notes.size() + loaded->warnings.size() > 0);
  return "dropped";
}

std::map<std::string, int> damage_every_byte(const FolderOptions& options, int step = 1) {
  SimDisk original(1);
  build_folder(original, options);
  std::map<std::string, int> outcomes;
  for (const std::string& path : original.paths()) {
    const std::string bytes = original.content(path);
    // The durable record is mostly padding.
    const std::size_t stride = path == record_path() ? 16 : 1;
    for (std::size_t at = 0; at < bytes.size();
         at += at % kSlotBytes < 200 ? static_cast<std::size_t>(step) : stride) {
      SimDisk disk(1);
      for (const std::string& other : original.paths())
        disk.set_content(other, original.content(other));
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
      disk.set_content(path, damaged);
      INFO(path << " byte " << at);
      ++outcomes[judge(start_member(disk, options.keys), path)];
    }
  }
  return outcomes;
}

}  // namespace

TEST_CASE("a flipped bit is refused, dropped and said, or passed by an older snapshot",
          "[damage]") {
  for (const bool is_encrypted : {false, true}) {
    for (const Packing packing : {Packing::kPlain, Packing::kZstd}) {
      FolderOptions options;
      options.packing = packing;
      if (is_encrypted) options.keys = KeyRing({make_key(1)});
      auto outcomes = damage_every_byte(options, is_encrypted ? 3 : 1);
      CHECK(outcomes["refused"] > 300);
      CHECK(outcomes["dropped"] > 50);
      CHECK(outcomes["older snapshot"] > 50);
      CHECK(outcomes["unharmed"] > 0);  // old segments and snapshots, empty slots
    }
  }
}

TEST_CASE("after a clean stop every entry is vouched for", "[damage]") {
  FolderOptions options;
  options.stops_cleanly = true;
  SimDisk original(1);
  build_folder(original, options);
  const std::string path = segment_path(3);
  const std::string bytes = original.content(path);
  const std::size_t mark_bytes = kFrameBytes + kMarkBytes;
  for (std::size_t at = kHeaderBytes; at < bytes.size() - mark_bytes; ++at) {
    SimDisk disk(1);
    for (const std::string& other : original.paths())
      disk.set_content(other, original.content(other));
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    disk.set_content(path, damaged);
    const auto loaded = start_member(disk);
    INFO("byte " << at);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().message.find(path + ": offset ") == 0);
  }
}

TEST_CASE("a file that ends early anywhere is never taken for whole", "[damage]") {
  SimDisk original(1);
  build_folder(original);
  for (const std::string& path : original.paths()) {
    const std::string bytes = original.content(path);
    if (path == record_path()) continue;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      SimDisk disk(1);
      for (const std::string& other : original.paths())
        disk.set_content(other, original.content(other));
      disk.set_content(path, bytes.substr(0, size));
      INFO(path << " cut to " << size);
      const auto loaded = start_member(disk);
      if (path == segment_path(3) && loaded) {
        // What is gone with its marks, or ends between two records, cannot tell; but what is left
        // is right.
        const auto expected = expected_entries();
        std::uint64_t index = loaded->base;
        for (const std::string& entry : loaded->entries) CHECK(entry == expected.at(++index));
      } else {
        judge(loaded, path);
      }
    }
  }
}

TEST_CASE("records are bound to their place: swapped files and moved records are refused",
          "[damage]") {
  SimDisk disk(1);
  build_folder(disk);
  const std::string two = disk.content(segment_path(2));
  const std::string three = disk.content(segment_path(3));
  SECTION("files under each other's names") {
    disk.set_content(segment_path(2), three);
    disk.set_content(segment_path(3), two);
  }
  SECTION("the records of one behind the header of the other") {
    disk.set_content(segment_path(2), two.substr(0, kHeaderBytes) + three.substr(kHeaderBytes));
  }
  const auto loaded = start_member(disk);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().message.find(segment_path(2)) == 0);
}
