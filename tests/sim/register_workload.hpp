// RegisterWorkload is the clients of a cluster of registers: each writes or reads, one thing after
// the other, and moves on when it is refused or nothing comes.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/sim/register_member.hpp"

namespace holdfast::sim {

class RegisterWorkload final : public Workload {
 public:
  RegisterWorkload(Timeline& timeline, Random& random, Checker& checker,
                   std::vector<RegisterMember*> members, std::size_t clients, std::int64_t think_us,
                   core::ReadMode read_mode)
      : timeline_(timeline),
        random_(random),
        checker_(checker),
        members_(std::move(members)),
        clients_(clients),
        think_us_(think_us),
        read_mode_(read_mode) {}

  void begin() override;
  void end() override { works_ = false; }
  void write_once() override;
  bool has_written() const override { return wrote_after_; }

 private:
  struct Client {
    std::size_t target = 0;
    std::uint64_t operation = 0;  // the one under way
  };
  void act(std::size_t number);
  void done(std::size_t number, std::uint64_t operation, bool moves_on);
  std::size_t primary_or_any();

  Timeline& timeline_;
  Random& random_;
  Checker& checker_;
  std::vector<RegisterMember*> members_;
  std::vector<Client> clients_;
  std::int64_t think_us_;
  core::ReadMode read_mode_;
  bool works_ = true;
  bool wrote_after_ = false;
  std::uint64_t next_operation_ = 1;
};

}  // namespace holdfast::sim
