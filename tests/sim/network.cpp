#include "tests/sim/network.hpp"

#include <algorithm>

namespace holdfast::sim {

namespace {

constexpr std::int64_t kDialUs = 15'000;
constexpr std::int64_t kNoticeUs = 500;

}  // namespace

Network::Network(Timeline& timeline, Random& random, std::size_t machines)
    : timeline_(timeline),
      random_(random),
      machines_(machines),
      ports_(machines, nullptr),
      up_(machines, false),
      ways_(machines * machines),
      links_(machines * machines) {}

void Network::attach(std::size_t machine, Port* port) {
  ports_[machine] = port;
}

void Network::send(std::size_t from, std::size_t to, const wire::Message& message) {
  Link& over = link(from, to);
  if (!up_[from] || !over.up) return;
  if (happens(weather_.lost_one_in)) return;
  deliver(from, to, message);
  if (happens(weather_.doubled_one_in)) deliver(from, to, message);
}

void Network::deliver(std::size_t from, std::size_t to, const wire::Message& message) {
  std::int64_t delay = weather_.delay_us_min + below(weather_.delay_us_max - weather_.delay_us_min);
  if (happens(weather_.late_one_in)) delay += below(weather_.late_us_max);
  Way& way = at(from, to);
  if (timeline_.now() < way.slow_until) delay += way.slow_by_us;
  TrueTime arrival = timeline_.now() + delay;
  if (!weather_.reorders) arrival = way.last_arrival = std::max(arrival, way.last_arrival);
  const std::uint64_t epoch = link(from, to).epoch;
  timeline_.at(arrival, [this, from, to, epoch, message] {
    // A cut swallows what is on its way, too.
    if (!up_[to] || at(from, to).cut || link(from, to).epoch != epoch) return;
    ports_[to]->on_message(from, message);
  });
}

void Network::set_up(std::size_t machine, bool up, bool says_goodbye) {
  up_[machine] = up;
  for (std::size_t peer = 0; peer < machines_; ++peer) {
    if (peer == machine) continue;
    Link& over = link(machine, peer);
    if (!up) {
      const bool was_up = over.up;
      over.up = false;
      if (!was_up || !says_goodbye) continue;
      const std::uint64_t epoch = over.epoch;
      timeline_.after(1 + below(kNoticeUs), [this, machine, peer, epoch] {
        if (link(machine, peer).epoch == epoch && up_[peer] && !at(machine, peer).cut)
          ports_[peer]->on_link_down(machine);
      });
    } else {
      dial(machine, peer);
    }
  }
}

void Network::cut(std::size_t from, std::size_t to, bool is_cut) {
  at(from, to).cut = is_cut;
}

void Network::slow_down(std::size_t from, std::size_t to, std::int64_t later_us,
                        std::int64_t while_us) {
  at(from, to).slow_by_us = later_us;
  at(from, to).slow_until = timeline_.now() + while_us;
}

void Network::heal_all() {
  for (Way& way : ways_) way.cut = false;
}

void Network::break_link(std::size_t a, std::size_t b) {
  Link& over = link(a, b);
  if (!over.up) return;
  over.up = false;
  if (up_[a]) ports_[a]->on_link_down(b);
  if (up_[b]) ports_[b]->on_link_down(a);
  dial(a, b);
}

void Network::dial(std::size_t a, std::size_t b) {
  Link& over = link(a, b);
  if (over.is_dialling) return;
  over.is_dialling = true;
  timeline_.after(1'000 + below(kDialUs), [this, a, b] {
    Link& dialled = link(a, b);
    dialled.is_dialling = false;
    if (!up_[a] || !up_[b] || dialled.up) return;
    if (at(a, b).cut || at(b, a).cut) return dial(a, b);
    dialled.up = true;
    ++dialled.epoch;
    at(a, b).last_arrival = at(b, a).last_arrival = timeline_.now();
    ports_[a]->on_link_up(b);
    ports_[b]->on_link_up(a);
  });
}

}  // namespace holdfast::sim
