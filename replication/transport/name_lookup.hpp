// NameLookup asks for the addresses of a host name, one name at a time, on a thread that nobody
// waits for. How long the system takes is its own affair (a name server that is silent: ten seconds
// and more): that must delay neither the lookup of another name nor the end of the process. There
// is no limit of time here, the caller has one.
//
// What is found after `forget`, or after the end of this, is dropped. All functions belong to the
// thread of the io_context, which outlives this.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace holdfast::transport {

class NameLookup {
 public:
  using Answer = Result<std::vector<asio::ip::address>>;
  // Blocks as long as it likes, on another thread, and may do so after the end of NameLookup.
  using Resolve = std::function<Answer(const std::string& host)>;

  // The system's way: /etc/hosts, name servers and so on. Names that have no address are errors.
  static Answer ask_system(const std::string& host);

  NameLookup(asio::io_context& io, Resolve resolve) : io_(io), resolve_(std::move(resolve)) {}
  ~NameLookup() { forget(); }
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // `done` is called by a handler of the io_context. REQUIRES: none is under way.
  void start(const std::string& host, std::function<void(Answer)> done);
  bool is_under_way() const { return question_ != nullptr; }
  // `done` will not be called.
  void forget();

 private:
  struct Question;

  asio::io_context& io_;
  Resolve resolve_;
  std::function<void(Answer)> done_;
  std::shared_ptr<Question> question_;  // null: none is under way
};

}  // namespace holdfast::transport
