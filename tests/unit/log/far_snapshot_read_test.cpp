// What lies far in a snapshot is found by reading all before it: a member that did so held up votes
// and appends behind a truncation, and did not end in time.
#include <catch2/catch.hpp>

#include "tests/unit/log/started_member.hpp"
#include "tests/unit/log/storage_member.hpp"

namespace holdfast::log::test {

namespace {

constexpr std::size_t kFarBytes = 20 << 20;

// Who has one of more than kFarBytes, and a reader that wants what lies at its end.
struct FarReader {
  FarReader() {
    member.it.append(4, kFarBytes / 4);
    member.it.take_snapshot();
    whole = member.it.read_snapshot(kFarBytes);
    whole_bytes = whole.stream.size();
  }
  ReadSnapshotRequest request() const {
    return {1, whole.index(), whole.term, whole_bytes - 100, 100, 77};
  }
  StorageEvents handle(std::vector<Request> requests) {
    StorageEvents out;
    member.it.storage().handle(std::move(requests), 2'000'000, out);
    return out;
  }

  Member member{small_storage(1, FsyncMode::kAlways)};
  StorageMember::PeerSnapshot whole;
  std::size_t whole_bytes = 0;
};

template <typename Event>
std::vector<const Event*> all_of(const StorageEvents& out) {
  std::vector<const Event*> found;
  for (const StorageEvent& event : out.events)
    if (const auto* one = std::get_if<Event>(&event)) found.push_back(one);
  return found;
}

}  // namespace

TEST_CASE("a truncation does not wait for what is looked for far into a snapshot",
          "[storage][peer_snapshot]") {
  FarReader far;
  far.member.it.append(2);
  const auto out = far.handle({far.request(), ReadRequest{5, LogIndex{5}, LogIndex{7}, 1 << 20},
                               TruncateRequest{100, LogIndex{6}},
                               ReadRequest{6, LogIndex{5}, LogIndex{7}, 1 << 20}});
  REQUIRE(all_of<Persisted>(out).size() == 1);
  CHECK(all_of<SnapshotPart>(out).empty());
  REQUIRE(all_of<EntriesRead>(out).size() == 1);
  CHECK(all_of<EntriesRead>(out)[0]->entries.size() == 2);  // as they were

  StorageEvents later;
  Storage& storage = far.member.it.storage();
  for (int i = 0; i < 20 && storage.next_due() < 2'000'000; ++i) storage.poll(2'000'000, later);
  REQUIRE(all_of<SnapshotPart>(later).size() == 1);
  CHECK(all_of<SnapshotPart>(later)[0]->bytes.str() ==
        far.whole.stream.substr(far.whole_bytes - 100));
  REQUIRE(all_of<EntriesRead>(later).size() == 1);
  CHECK(all_of<EntriesRead>(later)[0]->entries.size() == 1);
}

TEST_CASE("the end hands back unread what is looked for far into a snapshot",
          "[storage][peer_snapshot]") {
  FarReader far;
  const std::uint64_t operations = far.member.disk.operations();
  const auto out = far.handle({far.request(), StopRequest{}});
  REQUIRE(all_of<SnapshotPart>(out).size() == 1);
  CHECK(all_of<SnapshotPart>(out)[0]->is_unread);
  CHECK(all_of<SnapshotPart>(out)[0]->number == 77);
  REQUIRE(all_of<Stopped>(out).size() == 1);
  CHECK(all_of<Stopped>(out)[0]->is_clean);
  CHECK(far.member.disk.operations() < operations + 20);
}

TEST_CASE("an installation hands back unread what is looked for far into a snapshot",
          "[storage][peer_snapshot]") {
  FarReader far;
  const auto out = far.handle({far.request(), InstallSnapshotRequest{100, {}, {}}});
  REQUIRE(all_of<SnapshotPart>(out).size() == 1);
  CHECK(all_of<SnapshotPart>(out)[0]->is_unread);
  CHECK(all_of<SnapshotPart>(out)[0]->number == 77);
  CHECK(all_of<Persisted>(out).size() == 1);
}

}  // namespace holdfast::log::test
