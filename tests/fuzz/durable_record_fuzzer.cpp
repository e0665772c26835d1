// Any bytes as the file of the durable record: refused, or what is loaded can be saved and loaded
// again as it was. The checksums of both slots are mended unless the first byte says otherwise.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/check.hpp"
#include "base/crc32c.hpp"
#include "replication/log/durable_record.hpp"
#include "tests/support/sim_disk.hpp"

using namespace holdfast;
using namespace holdfast::log;

namespace {

constexpr std::size_t kLengthAt = 10;
constexpr std::size_t kCrcAt = 14;
constexpr std::size_t kBodyAt = 18;

void mend(std::string& slot) {
  if (slot.size() <= kBodyAt) return;
  std::uint32_t length = 0;
  std::memcpy(&length, slot.data() + kLengthAt, 4);
  if (length > slot.size() - kBodyAt) return;
  const std::uint32_t crc = crc32c(std::string_view(slot).substr(kBodyAt, length),
                                   crc32c(std::string_view(slot).substr(kLengthAt, 4)));
  std::memcpy(slot.data() + kCrcAt, &crc, 4);
}

}  // namespace

// The input holds both slots without their padding: a length byte pair, then the first slot.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 3, size - 3);
  const std::size_t first_bytes = std::min<std::size_t>(data[1] | data[2] << 8, rest.size());
  std::string first(rest.substr(0, std::min(first_bytes, kSlotBytes)));
  std::string second(rest.substr(first_bytes, kSlotBytes));
  if ((data[0] & 1) == 0) mend(first);
  if ((data[0] & 2) == 0) mend(second);
  first.resize(kSlotBytes, '\0');

  sim::SimDisk disk(1);
  disk.set_content("/data/" + std::string(kDurableRecordName), first + second);
  auto loaded = DurableRecordFile::load(disk, "/data");
  if (!loaded) return 0;
  HF_CHECK(!loaded->is_new);
  const DurableRecord before = loaded->record;
  DurableRecord next = before;
  ++next.incarnation;
  HF_CHECK(loaded->file->save(next));
  disk.lose_power();
  auto again = DurableRecordFile::load(disk, "/data");
  HF_CHECK(again && again->record == next);
  return 0;
}
