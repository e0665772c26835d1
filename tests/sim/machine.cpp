#include "tests/sim/machine.hpp"

#include <algorithm>
#include <utility>

namespace holdfast::sim {

namespace {

constexpr std::int64_t kTurnUsMax = 300;  // from an input to the turn that reads it
constexpr std::int64_t kTickUs = 10'000;  // a turn comes at least so often
constexpr std::int64_t kBusyBeatUs = 20'000;

}  // namespace

Machine::Machine(Timeline& timeline, Random& random, Network& network, std::size_t number,
                 std::int64_t clock_offset_us)
    : timeline_(timeline),
      random_(random),
      network_(network),
      number_(number),
      clock_(timeline, clock_offset_us),
      wall_clock_(timeline, kWallEpochUs) {
  network_.attach(number, this);
}

void Machine::start(std::unique_ptr<Process> process) {
  ++life_;
  process_ = std::move(process);
  inbox_.clear();
  batch_.clear();
  is_sampled_ = false;
  paused_until_ = 0;
  turn_at_ = -1;
  network_.set_up(number_, true, false);
  schedule_turn(timeline_.now());
}

void Machine::kill(bool says_goodbye) {
  ++life_;
  process_.reset();
  inbox_.clear();
  batch_.clear();
  network_.set_up(number_, false, says_goodbye);
}

void Machine::pause(std::int64_t us, bool is_busy) {
  paused_until_ = std::max(paused_until_, timeline_.now() + us);
  if (is_busy) say_busy_until(paused_until_);
}

void Machine::say_busy_until(TrueTime end) {
  if (timeline_.now() >= end || process_ == nullptr) return;
  process_->say_busy();
  timeline_.after(kBusyBeatUs, [this, end, life = life_] {
    if (life == life_) say_busy_until(end);
  });
}

void Machine::post(Input input) {
  if (process_ == nullptr) return;
  inbox_.push_back(std::move(input));
  schedule_turn(timeline_.now() + static_cast<std::int64_t>(random_.below(kTurnUsMax)));
}

void Machine::on_message(std::size_t from, const wire::Message& message) {
  post([from, message](Process& process, const TimePoint& now) {
    process.on_message(from, message, now);
  });
}

void Machine::on_link_up(std::size_t peer) {
  post([peer](Process& process, const TimePoint& now) { process.on_link_up(peer, now); });
}

void Machine::on_link_down(std::size_t peer) {
  post([peer](Process& process, const TimePoint& now) { process.on_link_down(peer, now); });
}

void Machine::schedule_turn(TrueTime time) {
  if (turn_at_ >= 0 && turn_at_ <= time) return;
  turn_at_ = time;
  timeline_.at(time, [this, time, life = life_] {
    if (life == life_ && turn_at_ == time) run_turn();
  });
}

bool Machine::pauses_here() {
  if (pauses_.inside_one_in != 0 && random_.below(pauses_.inside_one_in) == 0)
    pause(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(pauses_.inside_us_max))),
        false);
  return is_paused();
}

void Machine::run_turn() {
  turn_at_ = -1;
  if (is_paused()) return schedule_turn(paused_until_);
  const std::uint64_t life = life_;
  while (!batch_.empty() || !inbox_.empty()) {
    if (batch_.empty()) {
      batch_.swap(inbox_);
      is_sampled_ = false;
    }
    if (!is_sampled_) {
      if (pauses_here()) return schedule_turn(paused_until_);
      sample_ = now();
      is_sampled_ = true;
    }
    if (pauses_here()) return schedule_turn(paused_until_);
    const Input input = std::move(batch_.front());
    batch_.pop_front();
    input(*process_, sample_);
    if (life != life_) return;  // it died of it
  }
  process_->on_turn_end(now());
  if (life != life_) return;
  const std::int64_t wait =
      std::clamp<std::int64_t>((process_->next_due() - clock_.now()).us, 100, kTickUs);
  schedule_turn(timeline_.now() + clock_.true_span(wait) + 1);
}

}  // namespace holdfast::sim
