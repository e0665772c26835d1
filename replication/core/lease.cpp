#include "replication/core/lease.hpp"

#include <functional>

namespace holdfast::core {

namespace {

// Answers to older rounds are worth nothing any more.
constexpr std::size_t kRoundsMax = 1024;

}  // namespace

PrimaryLease::PrimaryLease(std::size_t members, std::size_t self, Duration lease,
                           std::int64_t drift_ppm)
    : self_(self),
      quorum_(members / 2 + 1),
      length_{lease.us - lease.us * drift_ppm / 1'000'000},
      slots_(members) {
  slots_[self_].counts = true;
}

void PrimaryLease::begin() {
  for (Slot& slot : slots_) slot = Slot{};
  slots_[self_].counts = true;
  rounds_.clear();
  first_counting_ = round_ + 1;
  given_up_ = false;
  until_ = kLongAgo;
  majority_round_ = 0;
  judge();
}

std::uint64_t PrimaryLease::start_round(MonoTime now) {
  if (rounds_.size() == kRoundsMax) rounds_.pop_front();
  rounds_.push_back({++round_, now});
  if (quorum_ == 1) judge();
  return round_;
}

void PrimaryLease::on_answer(std::size_t slot, std::uint64_t round) {
  Slot& answering = slots_[slot];
  if (round <= answering.round || round > round_) return;
  answering.round = round;
  if (!given_up_ && round >= first_counting_) {
    const auto found = std::lower_bound(
        rounds_.begin(), rounds_.end(), round,
        [](const Round& sent, std::uint64_t number) { return sent.number < number; });
    if (found != rounds_.end() && found->number == round)
      answering.from = std::max(answering.from, found->start);
  }
  judge();
}

void PrimaryLease::set_counts(std::size_t slot, bool counts) {
  if (slots_[slot].counts == counts) return;
  slots_[slot].counts = counts;
  judge();
}

void PrimaryLease::give_up() {
  given_up_ = true;
  until_ = kLongAgo;
  for (Slot& slot : slots_) slot.from = kLongAgo;
}

void PrimaryLease::resume() {
  given_up_ = false;
  first_counting_ = round_ + 1;
  judge();
}

void PrimaryLease::judge() {
  times_.clear();
  numbers_.clear();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (i == self_) {
      times_.push_back(kNever);
      numbers_.push_back(round_);
    } else {
      times_.push_back(slots_[i].counts ? slots_[i].from : kLongAgo);
      numbers_.push_back(slots_[i].counts ? slots_[i].round : 0);
    }
  }
  const auto nth = static_cast<std::ptrdiff_t>(quorum_ - 1);
  std::nth_element(numbers_.begin(), numbers_.begin() + nth, numbers_.end(), std::greater<>());
  majority_round_ = std::max(majority_round_, numbers_[static_cast<std::size_t>(nth)]);
  if (given_up_) return;
  std::nth_element(times_.begin(), times_.begin() + nth, times_.end(), std::greater<>());
  const MonoTime from = times_[static_cast<std::size_t>(nth)];
  if (from == kNever) {
    until_ = kNever;
  } else if (from > kLongAgo) {
    until_ = std::max(until_, from + length_);
  }
}

}  // namespace holdfast::core
