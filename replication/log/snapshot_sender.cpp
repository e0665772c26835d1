#include "replication/log/snapshot_sender.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace holdfast::log {

namespace {

// Read over in one slice, so that appends are not held up.
constexpr std::uint64_t kSkippedBytesMax = 4 << 20;

}  // namespace

// The stream that answers the request, at any place.
Result<SnapshotSender::Stream*> SnapshotSender::stream_of(const ReadSnapshotRequest& request,
                                                          const KeyRing& keys) {
  const auto found = streams_.find(request.reader);
  if (found != streams_.end() && request.index.value != 0 &&
      found->second->index() == request.index && found->second->term() == request.term)
    return &found->second;
  LogIndex index = request.index;
  if (index.value == 0 || !store_.has(index, request.term)) {
    const auto newest = store_.newest();
    if (!newest || newest->index.value == 0) return fail("there is no snapshot");  // 0: of nothing
    index = newest->index;
  }
  streams_.erase(request.reader);
  auto opened = SnapshotReader::open(files_, store_.path_of(index), keys);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  auto stream = std::make_unique<SnapshotStreamEncoder>(std::move(*opened));
  return &streams_.insert_or_assign(request.reader, std::move(stream)).first->second;
}

std::optional<SnapshotPart> SnapshotSender::read(const ReadSnapshotRequest& request,
                                                 const KeyRing& keys, LogIndex& damaged) {
  SnapshotPart answer;
  answer.reader = request.reader;
  answer.index = request.index;
  answer.term = request.term;
  answer.offset = request.offset;
  answer.number = request.number;
  const auto cannot = [&](std::string error) {
    answer.error = std::move(error);
    streams_.erase(request.reader);
    return answer;
  };
  auto found = stream_of(request, keys);
  if (!found) return cannot(std::move(found.error().message));
  SnapshotStreamEncoder& stream = ***found;
  const bool is_wanted = stream.index() == request.index && stream.term() == request.term;
  const std::uint64_t offset = is_wanted ? request.offset : 0;
  answer.index = stream.index();
  answer.term = stream.term();
  answer.time = stream.time();
  answer.offset = offset;
  const auto on_error = [&](std::string error) {
    if (!stream.has_failed()) damaged = stream.index();
    return cannot(std::move(error));
  };
  if (offset < stream.offset()) stream.rewind();
  if (offset > stream.offset()) {
    auto skipped = stream.skip(std::min(offset - stream.offset(), kSkippedBytesMax));
    if (!skipped) return on_error(std::move(skipped.error().message));
    if (stream.offset() < offset) {
      if (!stream.is_at_end()) return std::nullopt;
      return cannot(fmt::format("the stream of snapshot {} ends at {}, before {}",
                                stream.index().value, stream.offset(), offset));
    }
  }
  auto bytes = stream.read(std::max<std::size_t>(request.bytes_max, 1));
  if (!bytes) return on_error(std::move(bytes.error().message));
  answer.bytes = std::move(*bytes);
  answer.is_last = stream.is_at_end();
  answer.file_bytes = stream.file_bytes();
  answer.file_bytes_read = answer.is_last ? answer.file_bytes : stream.file_bytes_read();
  return answer;
}

}  // namespace holdfast::log
