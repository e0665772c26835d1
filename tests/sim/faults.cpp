#include "tests/sim/faults.hpp"

#include <algorithm>

namespace holdfast::sim {

Faults::Faults(Timeline& timeline, Random& random, Network& network, FaultTarget& target,
               FaultPlan plan)
    : timeline_(timeline), random_(random), network_(network), target_(target), plan_(plan) {}

std::int64_t Faults::below(std::int64_t bound) {
  return bound > 0 ? static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound)))
                   : 0;
}

void Faults::every(std::int64_t mean_us, void (Faults::*act)()) {
  if (mean_us == 0) return;
  timeline_.after(below(2 * mean_us), [this, mean_us, act] {
    if (ended_) return;
    (this->*act)();
    every(mean_us, act);
  });
}

void Faults::begin() {
  ended_ = false;
  every(plan_.kill_us, &Faults::kill);
  every(plan_.power_us, &Faults::lose_power);
  every(plan_.wipe_us, &Faults::wipe);
  every(plan_.cut_us, &Faults::cut);
  every(plan_.flap_us, &Faults::flap);
  every(plan_.pause_us, &Faults::pause);
  every(plan_.busy_us, &Faults::busy);
  every(plan_.hand_over_us, &Faults::hand_over);
  every(plan_.farewell_us, &Faults::farewell);
  every(plan_.fsync_us, &Faults::fsync);
  every(plan_.disk_us, &Faults::disk);
  every(plan_.clock_us, &Faults::clock);
  every(plan_.wall_clock_us, &Faults::wall_clock);
  if (plan_.catastrophe_at_us != 0)
    timeline_.at(plan_.catastrophe_at_us, [this] { catastrophe(); });
  if (plan_.desertion_at_us != 0) timeline_.at(plan_.desertion_at_us, [this] { desertion(); });
}

void Faults::end() {
  ended_ = true;
  network_.heal_all();
  for (std::size_t i = 0; i < target_.machine_count(); ++i) {
    Machine& machine = target_.machine(i);
    machine.pauses() = {};
    machine.clock().set_drift(below(2 * plan_.drift_ppm_max + 1) - plan_.drift_ppm_max);
    target_.fail_disk(i, false);
    if (gone_.contains(i)) target_.wipe(i);  // as the operator is told to before they come back
    if (!machine.is_up()) target_.restart(i);
  }
}

std::size_t Faults::victim() {
  if (random_.below(2) == 0) return target_.primary_or_any();
  return random_.below(target_.machine_count());
}

void Faults::down_for_a_while(std::size_t number) {
  const bool soon = random_.below(2) == 0;
  timeline_.after(1'000 + below(soon ? 60'000 : plan_.down_us_max), [this, number] {
    if (ended_ || target_.machine(number).is_up() || gone_.contains(number)) return;
    target_.restart(number);
    if (plan_.relapse_one_in == 0 || random_.below(plan_.relapse_one_in) != 0) return;
    timeline_.after(below(400'000), [this, number] {
      if (ended_ || !target_.machine(number).is_up()) return;
      target_.kill_process(number);
      down_for_a_while(number);
    });
  });
}

void Faults::kill() {
  const std::size_t number = victim();
  if (!target_.machine(number).is_up()) return;
  target_.kill_process(number);
  down_for_a_while(number);
}

void Faults::lose_power() {
  const std::size_t number = victim();
  if (!target_.may_lose_disk(number)) return;
  const bool was_up = target_.machine(number).is_up();
  target_.lose_power(number);
  if (was_up) down_for_a_while(number);
}

void Faults::wipe() {
  const std::size_t number = victim();
  if (!target_.may_lose_disk(number)) return;
  const bool was_up = target_.machine(number).is_up();
  target_.wipe(number);
  if (was_up) down_for_a_while(number);
}

void Faults::cut() {
  const std::size_t count = target_.machine_count();
  if (count < 2) return;
  if (random_.below(3) == 0) return cut_pair();
  std::vector<bool> side(count);
  const std::uint64_t kind = random_.below(4);
  const std::size_t chosen = victim();
  for (std::size_t i = 0; i < count; ++i) side[i] = kind == 0 ? random_.below(2) == 0 : i == chosen;
  const bool forth = kind != 1;  // one way only, sometimes
  const bool back = kind != 2;
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = 0; b < count; ++b) {
      if (a == b || side[a] == side[b]) continue;
      network_.cut(a, b, side[a] ? forth : back);
      // Some notice at once, most hear only silence.
      if (a < b && random_.below(4) == 0) network_.break_link(a, b);
    }
  }
  heal_later();
}

// Only these two do not hear each other; each may hear all others.
void Faults::cut_pair() {
  const std::size_t count = target_.machine_count();
  const std::size_t a = victim();
  const std::size_t b = (a + 1 + random_.below(count - 1)) % count;
  const std::uint64_t kind = random_.below(3);
  network_.cut(a, b, kind != 1);
  network_.cut(b, a, kind != 2);
  heal_later();
  if (count > 2 && random_.below(2) == 0) {
    std::size_t third = random_.below(count);
    while (third == a || third == b) third = (third + 1) % count;
    timeline_.after(250'000 + below(500'000), [this, third] { blink(third); });
  }
}

// A restart so quick that nobody's patience ends meanwhile.
void Faults::blink(std::size_t number) {
  if (ended_ || !target_.machine(number).is_up()) return;
  target_.kill_process(number);
  timeline_.after(1'000 + below(10'000), [this, number] {
    if (!ended_ && !target_.machine(number).is_up() && !gone_.contains(number))
      target_.restart(number);
  });
}

void Faults::heal_later() {
  timeline_.after(50'000 + below(1'500'000), [this] {
    if (!ended_) network_.heal_all();
  });
}

// What a primary does first in its term is the most delicate.
void Faults::on_primary(std::size_t number) {
  if (ended_ || plan_.hit_primary_one_in == 0 || random_.below(plan_.hit_primary_one_in) != 0)
    return;
  timeline_.after(below(6'000), [this, number] {
    if (!ended_ && target_.machine(number).is_up()) hit(number);
  });
}

void Faults::hit(std::size_t number) {
  switch (random_.below(3)) {
    case 0:
      target_.machine(number).pause(10'000 + below(1'000'000), false);
      break;
    case 1:
      for (std::size_t peer = 0; peer < target_.machine_count(); ++peer) {
        if (peer == number) continue;
        network_.cut(number, peer, true);
        network_.cut(peer, number, true);
      }
      heal_later();
      break;
    default:
      target_.kill_process(number);
      down_for_a_while(number);
  }
}

void Faults::flap() {
  const std::size_t count = target_.machine_count();
  if (count < 2) return;
  const std::size_t a = victim();
  // One link, or all that it has, as an interface does that goes down and up.
  const bool is_interface = random_.below(4) == 0;
  const std::size_t first = 1 + random_.below(count - 1);
  for (std::size_t i = 0; i < (is_interface ? count - 1 : 1); ++i)
    network_.break_link(a, (a + 1 + (first - 1 + i) % (count - 1)) % count);
}

void Faults::pause() {
  Machine& machine = target_.machine(victim());
  if (machine.is_up()) machine.pause(10'000 + below(plan_.pause_us_max), false);
}

void Faults::busy() {
  Machine& machine = target_.machine(victim());
  if (machine.is_up()) machine.pause(10'000 + below(2'000'000), true);
}

void Faults::hand_over() {
  const bool soon = random_.below(2) == 0;
  // Its messages are few and in no order that matters: each may come when it does not fit any more.
  const std::size_t from = target_.primary_or_any();
  for (std::size_t to = 0; to < target_.machine_count() && soon; ++to)
    if (to != from && random_.below(2) == 0) network_.slow_down(from, to, below(200'000), 5'000);
  target_.hand_over(random_.below(target_.machine_count()), 1'000 + below(soon ? 30'000 : 600'000));
  if (random_.below(4) == 0)
    timeline_.after(below(20'000), [this] {
      if (!ended_) target_.abort_hand_over();
    });
}

// It goes when it is ready to, and a service manager starts it again.
void Faults::farewell() {
  const std::size_t number = victim();
  if (target_.machine(number).is_up()) target_.say_farewell(number);
}

void Faults::fsync() {
  const std::size_t number = victim();
  if (target_.machine(number).is_up()) target_.change_fsync(number);
}

void Faults::disk() {
  const std::size_t number = victim();
  if (!target_.machine(number).is_up()) return;
  target_.fail_disk(number, true);
  timeline_.after(100'000 + below(1'500'000), [this, number] {
    if (!ended_) target_.fail_disk(number, false);
  });
}

void Faults::clock() {
  if (plan_.clocks_stop && random_.below(2) == 0) return stop_clock();
  Clock& clock = target_.machine(random_.below(target_.machine_count())).clock();
  clock.set_drift(below(2 * plan_.drift_ppm_max + 1) - plan_.drift_ppm_max);
}

// Who believes that no time passes, and does not hear that others go on, is the last to learn.
void Faults::stop_clock() {
  const std::size_t number = victim();
  target_.machine(number).clock().stop();
  if (random_.below(2) == 0) return;
  for (std::size_t i = 0; i < target_.machine_count(); ++i) {
    if (i == number) continue;
    network_.cut(number, i, true);
    network_.cut(i, number, true);
  }
  heal_later();
}

void Faults::wall_clock() {
  target_.set_wall_clock(random_.below(target_.machine_count()),
                         below(2 * plan_.drift_ppm_max + 1) - plan_.drift_ppm_max);
}

void Faults::catastrophe() {
  if (ended_) return;
  target_.allow_any_loss();
  for (std::size_t i = 0; i < target_.machine_count(); ++i) {
    const bool was_up = target_.machine(i).is_up();
    target_.lose_power(i);
    if (was_up) down_for_a_while(i);
  }
}

void Faults::desertion() {
  if (ended_) return;
  // With more lost disks than a minority nobody knows which terms there have been.
  if (target_.is_any_in_doubt()) return timeline_.after(20'000, [this] { desertion(); });
  target_.allow_any_loss();
  const std::size_t count = target_.machine_count();
  const std::size_t first = random_.below(count);
  const std::size_t minority = (count - 1) / 2;
  for (std::size_t i = 0; i < minority; ++i) {
    const std::size_t number = (first + i) % count;
    gone_.insert(number);
    target_.desert(number);
  }
  const std::size_t end = plan_.desertion_hurts_all ? count : minority + 1;
  for (std::size_t i = minority; i < end; ++i) {
    const std::size_t hurt = (first + i) % count;
    target_.lose_power(hurt);
    down_for_a_while(hurt);
  }
  look_after();
}

void Faults::look_after() {
  timeline_.after(100'000, [this] {
    if (ended_) return;
    target_.force_generation(gone_);
    look_after();
  });
}

}  // namespace holdfast::sim
