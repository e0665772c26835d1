#include "replication/log/snapshot_stream.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/bytes.hpp"
#include "base/crc32c.hpp"
#include "tests/unit/log/fixture.hpp"

using namespace holdfast;
using namespace holdfast::log;
using namespace holdfast::log::test;
using Catch::Matchers::Contains;
using sim::SimDisk;

namespace {

const std::string kPath = kFolder + "/snapshot";

std::vector<std::string> some_blocks() {
  std::vector<std::string> blocks = {"one", std::string(300, 'x')};
  std::string large(kFragmentBytesMax * 2 + 77, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 + i / 997);
  blocks.push_back(std::move(large));
  blocks.emplace_back("last");
  return blocks;
}

void write_file(SimDisk& disk, const std::vector<std::string>& blocks, Packing packing = {},
                const KeyRing& keys = {}, std::uint64_t salt_seed = 3) {
  REQUIRE(disk.make_dir(kFolder));
  FileHeader header;
  header.kind = FileKind::kSnapshot;
  header.log_id = kLogId;
  header.index = LogIndex{9};
  header.term = Term{4};
  header.time = 1234;
  header.packing = packing;
  header.digest_seed = 4711;
  header.salt = seeded_salts(salt_seed)();
  auto writer = SnapshotWriter::create(disk, kPath, header, keys);
  REQUIRE(writer);
  for (const std::string& block : blocks) REQUIRE((*writer)->add(Rope::copy_of(block), 5));
  REQUIRE((*writer)->finish());
}

std::unique_ptr<SnapshotStreamEncoder> open_stream(SimDisk& disk, const KeyRing& keys = {}) {
  auto reader = SnapshotReader::open(disk, kPath, keys);
  REQUIRE(reader);
  return std::make_unique<SnapshotStreamEncoder>(std::move(*reader));
}

std::string read_all(SnapshotStreamEncoder& encoder, std::size_t bytes_max) {
  const std::uint64_t begin = encoder.offset();
  std::string stream;
  while (!encoder.is_at_end()) {
    auto bytes = encoder.read(bytes_max);
    REQUIRE(bytes);
    REQUIRE(bytes->size() > 0);
    REQUIRE(bytes->piece_count() == 1);
    stream += bytes->str();
    REQUIRE(encoder.offset() == begin + stream.size());
  }
  return stream;
}

std::string stream_of(const std::vector<std::string>& blocks, std::uint64_t salt_seed = 3) {
  SimDisk disk(1);
  write_file(disk, blocks, Packing::kPlain, {}, salt_seed);
  return read_all(*open_stream(disk), 1 << 20);
}

struct Decoded {
  std::vector<std::string> blocks;
  bool is_complete = false;
  std::string error;
};

Decoded decode(std::string_view stream, std::size_t step) {
  Decoded all;
  SnapshotStreamDecoder decoder;
  for (std::size_t at = 0; at < stream.size() && all.error.empty(); at += step) {
    // Of exactly its size, so that a read beyond it is seen.
    auto added = decoder.add(Rope::copy_of(stream.substr(at, step)));
    if (!added) all.error = added.error().message;
    while (const auto block = decoder.next()) all.blocks.push_back(block->str());
  }
  all.is_complete = decoder.is_complete();
  return all;
}

// A frame's checksum made right again.
void mend(std::string& stream, std::size_t frame_at, std::size_t origin_at = 8 + 4 + 4 * 8) {
  std::uint32_t length = 0;
  std::memcpy(&length, stream.data() + frame_at, 4);
  std::string covered = stream.substr(origin_at, 8);
  char offset[8];
  put_u64(offset, frame_at);
  covered.append(offset, 8);
  covered += stream.substr(frame_at, 4) + stream.substr(frame_at + 8, 1 + length);
  put_u32(stream.data() + frame_at + 4, crc32c(covered));
}

}  // namespace

TEST_CASE("a stream gives the snapshot's blocks back, however it is cut", "[snapshot_stream]") {
  const auto blocks = some_blocks();
  const std::string stream = stream_of(blocks);
  for (const std::size_t step :
       {std::size_t{1}, std::size_t{7}, std::size_t{4096}, stream.size()}) {
    const Decoded decoded = decode(stream, step);
    CHECK(decoded.error == "");
    CHECK(decoded.is_complete);
    CHECK((decoded.blocks == blocks));
  }
  SnapshotStreamDecoder decoder;
  REQUIRE(decoder.add(std::string_view(stream).substr(0, kStreamHeadBytes)));
  REQUIRE(decoder.head());
  CHECK(decoder.head()->index == LogIndex{9});
  CHECK(decoder.head()->term == Term{4});
  CHECK(decoder.head()->time == 1234);
  CHECK(decoder.head()->digest_seed == 4711);
  REQUIRE(decoder.add(std::string_view(stream).substr(kStreamHeadBytes)));
  CHECK(decoder.totals().records == 20);
  CHECK(decoder.totals().parts == 6);
}

TEST_CASE("the decoder works at every split of a short stream", "[snapshot_stream]") {
  const std::vector<std::string> blocks = {"one", "two and more"};
  const std::string stream = stream_of(blocks);
  for (std::size_t at = 0; at <= stream.size(); ++at) {
    SnapshotStreamDecoder decoder;
    REQUIRE(decoder.add(Rope::copy_of(stream.substr(0, at))));
    CHECK(decoder.is_complete() == (at == stream.size()));
    REQUIRE(decoder.add(Rope::copy_of(stream.substr(at))));
    CHECK(decoder.is_complete());
    CHECK(decoder.next()->str() == blocks[0]);
    CHECK(decoder.next()->str() == blocks[1]);
    CHECK(!decoder.next());
  }
}

TEST_CASE("a stream does not depend on keys and packing, and is the same at every reading",
          "[snapshot_stream]") {
  const std::vector<std::string> blocks = {"one", std::string(5000, 'z'), "three"};
  const std::string stream = stream_of(blocks);
  for (const Packing packing : {Packing::kPlain, Packing::kZstd}) {
    for (const KeyRing& keys : {KeyRing(), KeyRing({make_key(1)})}) {
      SimDisk disk(1);
      write_file(disk, blocks, packing, keys);
      for (const std::size_t bytes_max : {1, 13, 1000, 1 << 20})
        CHECK((read_all(*open_stream(disk, keys), bytes_max) == stream));
    }
  }
}

TEST_CASE("a stream goes on at any offset, also when its file was removed", "[snapshot_stream]") {
  const std::vector<std::string> blocks = {"one", std::string(100, 'z'), "three"};
  SimDisk disk(1);
  write_file(disk, blocks, Packing::kZstd);
  auto encoder = open_stream(disk);
  const std::string stream = read_all(*encoder, 50);
  REQUIRE(disk.remove(kPath));
  for (std::size_t at = 0; at <= stream.size(); ++at) {
    encoder->rewind();
    CHECK(encoder->offset() == 0);
    REQUIRE(encoder->skip(at));
    CHECK((read_all(*encoder, 20) == stream.substr(at)));
  }
  encoder->rewind();
  REQUIRE(encoder->skip(1 << 20));
  CHECK(encoder->offset() == stream.size());
  CHECK(encoder->is_at_end());
}

TEST_CASE("every flipped bit of a stream is refused", "[snapshot_stream]") {
  const std::string stream = stream_of({"one", "two"});
  for (std::size_t bit = 0; bit < stream.size() * 8; ++bit) {
    std::string flipped = stream;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const Decoded decoded = decode(flipped, 11);
    INFO("bit " << bit % 8 << " of byte " << bit / 8);
    CHECK_FALSE(decoded.is_complete);
  }
}

TEST_CASE("a stream that is cut off, or goes on behind its end, is not taken",
          "[snapshot_stream]") {
  const std::string stream = stream_of({"one", "two"});
  for (std::size_t size = 0; size < stream.size(); ++size) {
    const Decoded decoded = decode(stream.substr(0, size), 10);
    CHECK(decoded.error == "");
    CHECK_FALSE(decoded.is_complete);
  }
  CHECK_THAT(decode(stream + "x", 10).error, Contains("something follows the end"));
  CHECK_FALSE(decode(stream + "x", 10).is_complete);
  CHECK_THAT(decode("REDIS0011" + std::string(100, 'x'), 5).error,
             Contains("is no snapshot of Holdfast"));
  std::string newer = stream;
  newer[8] = 2;
  CHECK_THAT(decode(newer, 5).error, Contains("version 2; this program reads version 1"));
}

TEST_CASE("frames of another file, or in another order, are not taken", "[snapshot_stream]") {
  const std::string stream = stream_of({"one", "two"});
  const std::string other = stream_of({"one", "two"}, 4);
  const std::size_t part_bytes = kStreamFrameBytes + 3;
  CHECK_THAT(decode(stream.substr(0, kStreamHeadBytes) + other.substr(kStreamHeadBytes), 10).error,
             Contains("the checksum is wrong"));
  const std::string swapped = stream.substr(0, kStreamHeadBytes) +
                              stream.substr(kStreamHeadBytes + part_bytes, part_bytes) +
                              stream.substr(kStreamHeadBytes, part_bytes) +
                              stream.substr(kStreamHeadBytes + 2 * part_bytes);
  CHECK_THAT(decode(swapped, 10).error, Contains("the checksum is wrong"));
}

TEST_CASE("what the end says must be what came", "[snapshot_stream]") {
  const std::string stream = stream_of({"one", "two"});
  const std::size_t end_at = stream.size() - kStreamFrameBytes - kStreamEndBytes;
  for (const std::size_t at : {0, 16, 24}) {  // parts, bytes, crcs
    std::string wrong = stream;
    ++wrong[end_at + kStreamFrameBytes + at];
    mend(wrong, end_at);
    CHECK_THAT(decode(wrong, 10).error, Contains("does not agree with what came before"));
  }
  // A part is missing, and the checksums of all frames are right.
  const std::size_t part_bytes = kStreamFrameBytes + 3;
  std::string shorter =
      stream.substr(0, kStreamHeadBytes) + stream.substr(kStreamHeadBytes + part_bytes);
  mend(shorter, kStreamHeadBytes);
  mend(shorter, kStreamHeadBytes + part_bytes);
  CHECK_THAT(decode(shorter, 10).error, Contains("does not agree with what came before"));
}

TEST_CASE("lengths and fragments that cannot be are refused at once", "[snapshot_stream]") {
  const std::string stream = stream_of({"one"});
  const auto with = [&](std::uint32_t length, std::uint8_t kind) {
    std::string wrong = stream.substr(0, kStreamHeadBytes + kStreamFrameBytes);
    put_u32(wrong.data() + kStreamHeadBytes, length);
    wrong[kStreamHeadBytes + 8] = static_cast<char>(kind);
    return decode(wrong, 1).error;
  };
  CHECK(with(kFragmentBytesMax, kWhole) == "");
  CHECK_THAT(with(kFragmentBytesMax + 1, kWhole), Contains("a frame that cannot be"));
  CHECK_THAT(with(0xffffffff, kWhole), Contains("a frame that cannot be"));
  CHECK_THAT(with(0, kWhole), Contains("a frame that cannot be"));
  CHECK_THAT(with(3, 5), Contains("a frame that cannot be"));
  CHECK_THAT(with(3, 4), Contains("a frame that cannot be"));  // an end of another size
  CHECK_THAT(with(3, 0), Contains("not where it belongs"));
  CHECK_THAT(with(3, kLastFragment), Contains("not where it belongs"));
}

TEST_CASE("a damaged file is an error of its stream", "[snapshot_stream]") {
  SimDisk disk(1);
  write_file(disk, {"one", std::string(5000, 'z')});
  std::string bytes = disk.content(kPath);
  bytes[kHeaderBytes + 1000] = static_cast<char>(bytes[kHeaderBytes + 1000] ^ 1);
  disk.set_content(kPath, bytes);
  auto encoder = open_stream(disk);
  const auto read = encoder->read(1 << 20);
  REQUIRE_FALSE(read);
  CHECK_THAT(read.error().message, Contains(kPath + ": offset "));
  CHECK_FALSE(encoder->has_failed());
}
