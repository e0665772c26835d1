// Network carries messages between machines over links that break, and loses, delays, doubles and
// reorders them as its weather says. It knows nothing of who sends what.
//
// A link has an epoch: what was sent over an older one is never delivered once a new one stands. A
// broken link is noticed by both ends unless the network between them is cut, or the other machine
// vanished without a word.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/random.hpp"
#include "protocol/wire/message.hpp"
#include "tests/sim/timeline.hpp"

namespace holdfast::sim {

struct Weather {
  std::int64_t delay_us_min = 50;
  std::int64_t delay_us_max = 400;
  // One message in so many; 0: none.
  std::uint64_t lost_one_in = 0;
  std::uint64_t doubled_one_in = 0;
  std::uint64_t late_one_in = 0;
  std::int64_t late_us_max = 50'000;
  bool reorders = false;  // otherwise a link delivers in order
};

// Where messages and news of links arrive. Machines are counted from 0.
class Port {
 public:
  virtual ~Port() = default;
  virtual void on_message(std::size_t from, const wire::Message& message) = 0;
  virtual void on_link_up(std::size_t peer) = 0;
  virtual void on_link_down(std::size_t peer) = 0;
};

class Network {
 public:
  Network(Timeline& timeline, Random& random, std::size_t machines);

  void attach(std::size_t machine, Port* port);
  void set_weather(Weather weather) { weather_ = weather; }

  void send(std::size_t from, std::size_t to, const wire::Message& message);

  // The process there is up or down; `says_goodbye`: its links are closed by its kernel.
  void set_up(std::size_t machine, bool up, bool says_goodbye);
  // Nothing passes in this direction.
  void cut(std::size_t from, std::size_t to, bool is_cut);
  void heal_all();
  // What is sent in this direction for a while arrives so much later.
  void slow_down(std::size_t from, std::size_t to, std::int64_t later_us, std::int64_t while_us);
  bool is_cut(std::size_t from, std::size_t to) const { return at(from, to).cut; }
  // Both ends notice, and connect again.
  void break_link(std::size_t a, std::size_t b);

 private:
  struct Way {
    bool cut = false;
    TrueTime slow_until = 0;
    std::int64_t slow_by_us = 0;
    TrueTime last_arrival = 0;
  };
  struct Link {
    bool up = false;
    std::uint64_t epoch = 0;
    bool is_dialling = false;
  };
  Way& at(std::size_t from, std::size_t to) { return ways_[from * machines_ + to]; }
  const Way& at(std::size_t from, std::size_t to) const { return ways_[from * machines_ + to]; }
  Link& link(std::size_t a, std::size_t b) {
    return links_[std::min(a, b) * machines_ + std::max(a, b)];
  }
  void dial(std::size_t a, std::size_t b);
  void deliver(std::size_t from, std::size_t to, const wire::Message& message);
  std::int64_t below(std::int64_t bound) {
    return bound > 0 ? static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(bound)))
                     : 0;
  }
  bool happens(std::uint64_t one_in) { return one_in != 0 && random_.below(one_in) == 0; }

  Timeline& timeline_;
  Random& random_;
  std::size_t machines_;
  Weather weather_;
  std::vector<Port*> ports_;
  std::vector<bool> up_;
  std::vector<Way> ways_;
  std::vector<Link> links_;
};

}  // namespace holdfast::sim
