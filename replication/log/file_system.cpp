#include "replication/log/file_system.hpp"

#include <fmt/format.h>

#include "base/check.hpp"

namespace holdfast::log {

std::string FileError::text() const {
  std::string text = fmt::format("{} {}: {}", operation, path, message);
  if (code != 0) text += fmt::format(" ({})", code);
  return text;
}

Error to_error(const FileError& error) {
  return Error{error.text()};
}

FileStatus append_all(File& file, std::span<const std::string_view> pieces) {
  std::vector<std::string_view> rest;
  for (;;) {
    std::size_t wanted = 0;
    for (const std::string_view piece : pieces) wanted += piece.size();
    if (wanted == 0) return {};
    auto written = file.append(pieces);
    if (!written) return tl::unexpected(std::move(written.error()));
    HF_CHECK(*written > 0 && *written <= wanted);
    if (*written == wanted) return {};
    std::size_t passed = *written;
    std::vector<std::string_view> next;
    for (const std::string_view piece : pieces) {
      const std::size_t count = std::min(passed, piece.size());
      passed -= count;
      if (count < piece.size()) next.push_back(piece.substr(count));
    }
    rest = std::move(next);
    pieces = rest;
  }
}

FileStatus append_all(File& file, std::string_view bytes) {
  return append_all(file, {&bytes, 1});
}

FileStatus write_all_at(File& file, std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    auto written = file.write_at(offset, bytes);
    if (!written) return tl::unexpected(std::move(written.error()));
    HF_CHECK(*written > 0 && *written <= bytes.size());
    offset += *written;
    bytes.remove_prefix(*written);
  }
  return {};
}

FileResult<std::string> read_whole(FileSystem& files, const std::string& path,
                                   std::uint64_t bytes_max) {
  auto file = files.open(path, OpenMode::kRead);
  if (!file) return tl::unexpected(std::move(file.error()));
  auto size = (*file)->size();
  if (!size) return tl::unexpected(std::move(size.error()));
  if (*size > bytes_max) {
    return unexpected(
        {FileErrorKind::kOther, "read", path, 0, fmt::format("{} bytes are too many", *size)});
  }
  std::string bytes(static_cast<std::size_t>(*size), '\0');
  auto count = (*file)->read_at(0, bytes);
  if (!count) return tl::unexpected(std::move(count.error()));
  bytes.resize(*count);
  return bytes;
}

std::string join_path(std::string_view folder, std::string_view name) {
  return fmt::format("{}/{}", folder, name);
}

}  // namespace holdfast::log
