// What is loaded, and what is kept.
#include <catch2/catch.hpp>

#include "tests/unit/log/started_member.hpp"

namespace holdfast::log::test {

TEST_CASE("what is loaded says of which snapshot", "[storage][peer_snapshot]") {
  Member member(small_storage(1, FsyncMode::kAlways));
  CHECK(member.it.loaded_snapshot().snapshot_index == LogIndex{0});
  member.it.append(10);
  member.it.take_snapshot();
  member.it.append(10);
  member.it.take_snapshot();
  member.it.kill();
  const std::string path = member.path(".hfs");
  std::string bytes = member.disk.content(path);
  bytes[kHeaderBytes + 100] = static_cast<char>(bytes[kHeaderBytes + 100] ^ 1);
  member.disk.set_content(path, bytes);
  member.restart();
  CHECK(member.it.recovered().snapshot_index == LogIndex{20});
  CHECK(member.it.loaded_snapshot().snapshot_index == LogIndex{10});
  CHECK(member.it.loaded_snapshot().snapshot_term == Term{1});
}

// --- retention

TEST_CASE("the log is kept from where somebody needs it", "[storage][peer_snapshot]") {
  Member member(small_storage(1, FsyncMode::kAlways));  // keeps two
  const auto grow = [&] {
    member.it.append(10, 400);
    member.it.take_snapshot();
  };
  member.it.post(KeepLogRequest{LogIndex{4}});
  for (int i = 0; i < 4; ++i) grow();
  const LogIndex kept = member.it.snapshots().back().first_log_index;
  CHECK(kept <= LogIndex{4});
  member.it.post(KeepLogRequest{LogIndex{25}});
  grow();
  CHECK(member.it.snapshots().back().first_log_index > kept);
  CHECK(member.it.snapshots().back().first_log_index <= LogIndex{25});
  member.it.post(KeepLogRequest{});  // index 0: all that is left
  grow();
  CHECK(member.it.snapshots().back().first_log_index <= LogIndex{25});
  member.it.post(KeepLogRequest{LogIndex{UINT64_MAX}});
  grow();
  CHECK(member.it.snapshots().back().first_log_index > LogIndex{25});
  CHECK(member.it.snapshots().back().first_log_index <= LogIndex{61});
}

}  // namespace holdfast::log::test
