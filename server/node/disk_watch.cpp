#include "server/node/disk_watch.hpp"

#include <algorithm>
#include <utility>

namespace holdfast::node {

namespace {

constexpr MonoUs kGroupUs = 100'000;
constexpr std::uint64_t kBytesPerUs = 10;
// Turns come more often. The process was stopped, or busy, and the answers were not looked at.
constexpr MonoUs kAbsenceUs = 1'000'000;

}  // namespace

void DiskWatch::on_posted(log::WriteNumber write, std::uint64_t bytes, MonoUs now) {
  if (waiting_.empty() || now - waiting_.back().posted >= kGroupUs) waiting_.push_back({0, now, 0});
  waiting_.back().last = write;
  waiting_.back().bytes_max = std::max(waiting_.back().bytes_max, bytes);
}

void DiskWatch::on_answered(log::WriteNumber write, MonoUs now) {
  answered_ = now;
  while (!waiting_.empty() && waiting_.front().last <= write) waiting_.pop_front();
}

bool DiskWatch::look(MonoUs now) {
  const MonoUs absent_us = now - std::exchange(looked_, now);
  if (absent_us >= kAbsenceUs) {
    for (Group& group : waiting_) group.posted += absent_us;
  }
  const bool was_stuck = std::exchange(is_stuck_, false);
  if (!waiting_.empty()) {
    const Group& oldest = waiting_.front();
    const auto patience_us = kPatienceUs + static_cast<MonoUs>(oldest.bytes_max / kBytesPerUs);
    is_stuck_ = now - std::max(oldest.posted, answered_) >= patience_us;
  }
  return is_stuck_ != was_stuck;
}

}  // namespace holdfast::node
