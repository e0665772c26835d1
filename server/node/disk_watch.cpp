#include "server/node/disk_watch.hpp"

#include <utility>

namespace holdfast::node {

namespace {

constexpr MonoUs kGroupUs = 100'000;
constexpr MonoUs kWellUs = 1'000'000;
// Turns come more often. The process was stopped, or busy, and the answers were not looked at.
constexpr MonoUs kAbsenceUs = 1'000'000;

}  // namespace

void DiskWatch::on_posted(log::WriteNumber write, MonoUs now) {
  if (waiting_.empty() || now - waiting_.back().posted >= kGroupUs) waiting_.push_back({0, now});
  waiting_.back().last = write;
}

void DiskWatch::on_answered(log::WriteNumber write) {
  while (!waiting_.empty() && waiting_.front().last <= write) waiting_.pop_front();
}

bool DiskWatch::look(MonoUs now) {
  const MonoUs absent_us = now - std::exchange(looked_, now);
  if (absent_us >= kAbsenceUs) {
    for (Group& group : waiting_) group.posted += absent_us;
  }
  const MonoUs waited_us = waiting_.empty() ? 0 : now - waiting_.front().posted;
  const bool was_stuck = is_stuck_;
  is_stuck_ = waited_us >= (was_stuck ? kWellUs : kPatienceUs);
  return is_stuck_ != was_stuck;
}

}  // namespace holdfast::node
