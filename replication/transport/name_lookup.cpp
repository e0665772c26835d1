#include "replication/transport/name_lookup.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.hpp"

namespace holdfast::transport {

namespace {

std::optional<asio::ip::address> address_of(const addrinfo& found) {
  if (found.ai_family == AF_INET) {
    sockaddr_in socket_address;
    std::memcpy(&socket_address, found.ai_addr, sizeof socket_address);
    return asio::ip::address_v4(ntohl(socket_address.sin_addr.s_addr));
  }
  if (found.ai_family == AF_INET6) {
    sockaddr_in6 socket_address;
    std::memcpy(&socket_address, found.ai_addr, sizeof socket_address);
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &socket_address.sin6_addr, bytes.size());
    return asio::ip::address_v6(bytes, socket_address.sin6_scope_id);
  }
  return std::nullopt;
}

}  // namespace

// What the two threads share; the asking one may outlive everything else.
struct NameLookup::Question {
  std::mutex mutex;
  // Keeps the loop from running out of work. Null: nobody wants to know any more.
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> wanted_by;
};

NameLookup::Answer NameLookup::ask_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int failure = getaddrinfo(host.c_str(), nullptr, &hints, &first);
  if (failure != 0)
    return fail(failure == EAI_SYSTEM ? std::generic_category().message(errno)
                                      : std::string(gai_strerror(failure)));
  std::vector<asio::ip::address> addresses;
  for (const addrinfo* one = first; one != nullptr; one = one->ai_next) {
    if (const auto address = address_of(*one)) addresses.push_back(*address);
  }
  freeaddrinfo(first);
  if (addresses.empty()) return fail("the name has no address");
  return addresses;
}

void NameLookup::start(const std::string& host, std::function<void(Answer)> done) {
  HF_CHECK(!is_under_way());
  done_ = std::move(done);
  question_ = std::make_shared<Question>();
  question_->wanted_by.emplace(io_.get_executor());
  const auto tell = [this, question = question_](Answer answer) {
    const std::lock_guard lock(question->mutex);
    if (!question->wanted_by) return;
    // The handler looks again: it may be forgotten meanwhile.
    asio::post(question->wanted_by->get_executor(),
               [this, question, answer = std::move(answer)]() mutable {
                 {
                   const std::lock_guard still(question->mutex);
                   if (!question->wanted_by) return;
                   question->wanted_by.reset();
                 }
                 question_ = nullptr;
                 std::exchange(done_, nullptr)(std::move(answer));
               });
  };
  // Signals are the loop's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([resolve = resolve_, host, tell] {
      pthread_setname_np(pthread_self(), "lookup");
      tell(resolve(host));
    }).detach();
  } catch (const std::system_error& no_thread) {
    tell(fail(fmt::format("no thread for it: {}", no_thread.what())));
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void NameLookup::forget() {
  if (question_ == nullptr) return;
  {
    const std::lock_guard lock(question_->mutex);
    question_->wanted_by.reset();
  }
  question_ = nullptr;
  done_ = nullptr;
}

}  // namespace holdfast::transport
