// Machine hosts one process: it feeds it its inputs in turns, as an event loop would, and can be
// paused, at any place of a turn, and killed. It knows nothing of what the process does.
//
// A turn: read all that waits; sample the clocks; handle each input with that sample; again, while
// something came meanwhile; then, with nothing waiting, the end of the turn. A pause may come
// between any two of these.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "base/random.hpp"
#include "base/time.hpp"
#include "replication/core/time.hpp"
#include "tests/sim/clock.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/timeline.hpp"

namespace holdfast::sim {

// One life of a process.
class Process {
 public:
  virtual ~Process() = default;
  virtual void on_message(std::size_t from, const wire::Message& message, const TimePoint& now) = 0;
  virtual void on_link_up(std::size_t peer, const TimePoint& now) = 0;
  virtual void on_link_down(std::size_t peer, const TimePoint& now) = 0;
  // Nothing is waiting at `now`.
  virtual void on_turn_end(const TimePoint& now) = 0;
  virtual core::MonoTime next_due() const = 0;
  // From a thread of its own, while the loop is inside a long command.
  virtual void say_busy() = 0;
};

struct PausePlan {
  std::uint64_t inside_one_in = 0;  // of inputs; 0: never
  std::int64_t inside_us_max = 400'000;
};

// What wall clocks show when a world begins, but for each one's error, which stays below the bound.
constexpr std::int64_t kWallEpochUs = 1'700'000'000'000'000;
constexpr std::int64_t kWallErrorUsMax = 200'000;

class Machine final : public Port {
 public:
  using Input = std::function<void(Process&, const TimePoint& now)>;

  Machine(Timeline& timeline, Random& random, Network& network, std::size_t number,
          std::int64_t clock_offset_us);

  bool is_up() const { return process_ != nullptr; }
  Process* process() const { return process_.get(); }
  Clock& clock() { return clock_; }
  const Clock& clock() const { return clock_; }
  Clock& wall_clock() { return wall_clock_; }
  // A sample of both.
  TimePoint now() const {
    return {wall_clock_.now_us() / 1000, clock_.now_us(), wall_clock_.now_us()};
  }
  std::size_t number() const { return number_; }
  // Grows with each start and death of a process.
  std::uint64_t life() const { return life_; }
  PausePlan& pauses() { return pauses_; }

  void start(std::unique_ptr<Process> process);
  // `says_goodbye`: the machine lives on and closes its links.
  void kill(bool says_goodbye);
  // Nothing happens here before then. `is_busy`: it says so.
  void pause(std::int64_t us, bool is_busy);
  bool is_paused() const { return timeline_.now() < paused_until_; }

  // To be handled in a coming turn; lost if the process dies before.
  void post(Input input);

  void on_message(std::size_t from, const wire::Message& message) override;
  void on_link_up(std::size_t peer) override;
  void on_link_down(std::size_t peer) override;

 private:
  void schedule_turn(TrueTime time);
  void run_turn();
  bool pauses_here();
  void say_busy_until(TrueTime end);

  Timeline& timeline_;
  Random& random_;
  Network& network_;
  std::size_t number_;
  Clock clock_;
  Clock wall_clock_;
  PausePlan pauses_;
  std::unique_ptr<Process> process_;
  std::uint64_t life_ = 0;
  std::deque<Input> inbox_;  // not read yet
  std::deque<Input> batch_;  // read, not handled yet
  bool is_sampled_ = false;  // the batch's time
  TimePoint sample_;
  TrueTime paused_until_ = 0;
  TrueTime turn_at_ = -1;  // -1: none scheduled
};

}  // namespace holdfast::sim
