#include <catch2/catch.hpp>

#include "fixture.hpp"

using namespace holdfast;
using namespace holdfast::node;
using client::Fate;

namespace {

config::Options with_password() {
  config::Options options;
  options.security.requirepass = "sesame";
  return options;
}

}  // namespace

TEST_CASE("a pipeline is answered in order, whatever it is split into", "[node]") {
  const std::string pipeline = request({"SET", "k", "1"}) + "INCR k\r\n" + request({"GET", "k"}) +
                               "\r\n" + request({"NOSUCH"}) + "PING\n" + request({"DEL", "k"});
  const std::string answers =
      "+OK\r\n:2\r\n$1\r\n2\r\n-ERR unknown command 'NOSUCH', with args beginning with: "
      "\r\n+PONG\r\n:1\r\n";
  for (std::size_t cut = 0; cut <= pipeline.size(); ++cut) {
    Harness harness;
    const std::string first = harness.send(pipeline.substr(0, cut));
    CHECK(first + harness.send(pipeline.substr(cut)) == answers);
  }
}

TEST_CASE("one step carries out one request, so that a pipeline can be left for others", "[node]") {
  Harness harness;
  std::string pipeline;
  for (int i = 0; i < 100; ++i) pipeline += request({"INCR", "n"});
  harness.feed(*harness.client, pipeline);
  CHECK(harness.node.run_one(*harness.client, harness.now) == Step::kRan);
  CHECK(harness.output(*harness.client) == ":1\r\n");
  client::Client& other = harness.connect();
  CHECK(harness.call_as(other, {"GET", "n"}) == "$1\r\n1\r\n");
  CHECK(harness.run(*harness.client) == Step::kNeedMore);
  CHECK(harness.call_as(other, {"GET", "n"}) == "$3\r\n100\r\n");
}

TEST_CASE("without the password only what needs none is carried out", "[node]") {
  Harness harness(with_password());
  CHECK(harness.call({"GET", "k"}) == "-NOAUTH Authentication required.\r\n");
  CHECK(harness.call({"MULTI"}) == "-NOAUTH Authentication required.\r\n");
  CHECK(harness.send(request({"AUTH", "sesame"}) + request({"GET", "k"})) == kOk + kNull);
  CHECK(harness.send(request({"RESET"}) + request({"GET", "k"})) ==
        "+RESET\r\n-NOAUTH Authentication required.\r\n");
}

TEST_CASE("before authentication requests are small", "[node]") {
  Harness harness(with_password());
  SECTION("arguments") {
    CHECK(harness.send("*11\r\n") == "-ERR Protocol error: unauthenticated multibulk length\r\n");
  }
  SECTION("bytes") {
    CHECK(harness.send("*2\r\n$4\r\nPING\r\n$16385\r\n") ==
          "-ERR Protocol error: unauthenticated bulk length\r\n");
  }
  CHECK(harness.last_step == Step::kClosing);
  CHECK(harness.client->fate == Fate::kCloseAfterReply);
}

TEST_CASE("a protocol error is answered once and logged, and nothing behind it runs", "[node]") {
  Harness harness;
  CHECK(harness.send(request({"SET", "k", "v"}) + "*x\r\n" + request({"DEL", "k"})) ==
        "+OK\r\n-ERR Protocol error: invalid multibulk length\r\n");
  CHECK(harness.last_step == Step::kClosing);
  CHECK(harness.run(*harness.client) == Step::kClosing);
  CHECK(harness.output(*harness.client).empty());
  CHECK(harness.keys() == 1);
  REQUIRE(harness.node.take_effects().log_lines.size() == 1);
}

TEST_CASE("a protocol error of a client that wants no replies is not answered", "[node]") {
  Harness harness;
  CHECK(harness.send(request({"CLIENT", "REPLY", "OFF"}) + "*x\r\n").empty());
  CHECK(harness.client->fate == Fate::kCloseAfterReply);
}

TEST_CASE("what looks like HTTP is closed without an answer, and logged", "[node]") {
  for (const std::string bytes : {"POST / HTTP/1.1\r\n", "Host: example\r\n", "host: x\r\n"}) {
    Harness harness;
    CHECK(harness.send(bytes + "SET k v\r\n").empty());
    CHECK(harness.client->fate == Fate::kCloseNow);
    CHECK(harness.keys() == 0);
    CHECK(harness.node.take_effects().log_lines.size() == 1);
  }
}

TEST_CASE("what follows QUIT is not carried out", "[node]") {
  Harness harness;
  CHECK(harness.send(request({"QUIT"}) + request({"SET", "k", "v"})) == kOk);
  CHECK(harness.last_step == Step::kClosing);
  CHECK(harness.keys() == 0);
}

TEST_CASE("CLIENT REPLY in a transaction silences what follows", "[node]") {
  const std::string off = request({"CLIENT", "REPLY", "OFF"});
  const std::string on = request({"CLIENT", "REPLY", "ON"});
  const std::string skip = request({"CLIENT", "REPLY", "SKIP"});
  const std::string ping = request({"PING"});
  const std::string pong = "+PONG\r\n";
  const std::string multi = request({"MULTI"});
  const std::string exec = request({"EXEC"});
  SECTION("OFF") {
    Harness harness;
    CHECK(harness.send(multi + ping + off + ping + exec + ping) ==
          kOk + kQueued + kQueued + kQueued + "*3\r\n" + pong);
    CHECK(harness.send(on + ping) == kOk + pong);
  }
  SECTION("OFF and ON") {
    Harness harness;
    CHECK(harness.send(multi + off + ping + on + ping + exec) ==
          kOk + kQueued + kQueued + kQueued + kQueued + "*4\r\n" + kOk + pong);
  }
  SECTION("ON in one that began in silence") {
    Harness harness;
    CHECK(harness.send(off + multi + ping + on + ping + exec + ping) == kOk + pong + pong);
  }
  SECTION("SKIP is for what follows EXEC") {
    Harness harness;
    CHECK(harness.send(multi + skip + ping + exec + ping + ping) ==
          kOk + kQueued + kQueued + "*2\r\n" + pong + pong);
  }
  SECTION("SKIP before EXEC") {
    Harness harness;
    CHECK(harness.send(multi + request({"SET", "k", "v"}) + exec) ==
          kOk + kQueued + "*1\r\n" + kOk);
    CHECK(harness.send(skip + multi + ping) == kQueued);
    CHECK(harness.send(exec) == "*1\r\n" + pong);
  }
}

TEST_CASE("the commands of a transaction are timed one by one", "[node]") {
  Harness harness;
  harness.call({"CONFIG", "SET", "slowlog-log-slower-than", "100"});
  harness.host.step_us = 150;
  harness.call({"MULTI"});
  harness.call({"SET", "k", "v"});
  harness.call({"GET", "k"});
  harness.call({"EXEC"});
  CHECK(harness.call({"SLOWLOG", "LEN"}) == ":2\r\n");
  CHECK(harness.call({"SLOWLOG", "GET", "1"}).find("$3\r\nGET\r\n") != std::string::npos);
  const std::string shown = harness.call({"INFO", "commandstats"});
  CHECK(shown.find("cmdstat_set:calls=1,usec=150,") != std::string::npos);
  CHECK(shown.find("cmdstat_exec:calls=1,usec=1,") != std::string::npos);
}

TEST_CASE("INFO shows the traffic of the last second", "[node]") {
  Harness harness;
  harness.node.background(harness.now, 1, false);
  harness.host.counters.input_bytes += 4096;
  harness.host.counters.output_bytes += 1024;
  harness.now.mono_us += 2'000'000;
  harness.node.background(harness.now, 1, false);
  const std::string shown = harness.call({"INFO", "stats"});
  CHECK(shown.find("instantaneous_input_kbps:2.00\r\n") != std::string::npos);
  CHECK(shown.find("instantaneous_output_kbps:0.50\r\n") != std::string::npos);
}

TEST_CASE("INFO counts what goes between members on its own, and in the totals", "[node]") {
  Harness harness;
  harness.host.counters.peer_input_bytes = 100;
  harness.call({"CONFIG", "RESETSTAT"});
  harness.node.background(harness.now, 1, false);
  harness.host.counters.input_bytes += 1024;
  harness.host.counters.peer_input_bytes += 4096;
  harness.host.counters.peer_output_bytes += 1024;
  harness.now.mono_us += 2'000'000;
  harness.node.background(harness.now, 1, false);
  const std::string shown = harness.call({"INFO", "stats"});
  for (const char* line :
       {"total_net_input_bytes:5120", "total_net_output_bytes:1024",
        "total_net_repl_input_bytes:4096", "total_net_repl_output_bytes:1024",
        "instantaneous_input_kbps:2.50", "instantaneous_output_kbps:0.50",
        "instantaneous_input_repl_kbps:2.00", "instantaneous_output_repl_kbps:0.50"}) {
    CAPTURE(line);
    CHECK(shown.find(std::string("\r\n") + line + "\r\n") != std::string::npos);
  }
}

TEST_CASE("CLIENT LIST within EXEC shows the transaction", "[node]") {
  Harness harness;
  harness.call({"MULTI"});
  harness.call({"CLIENT", "INFO"});
  harness.call({"CLIENT", "LIST"});
  CHECK(harness.call({"GET"}).starts_with("-ERR"));
  harness.call({"DISCARD"});
  harness.call({"MULTI"});
  harness.call({"CLIENT", "INFO"});
  harness.call({"PING"});
  const std::string shown = harness.call({"EXEC"});
  CHECK(shown.find(" flags=x ") != std::string::npos);
  CHECK(shown.find(" multi=2 ") != std::string::npos);
  CHECK(shown.find(" cmd=exec ") != std::string::npos);
  CHECK(harness.call({"CLIENT", "INFO"}).find(" multi=-1 ") != std::string::npos);
}

TEST_CASE("CLIENT LIST shows what a client asked for last", "[node]") {
  Harness harness;
  client::Client& other = harness.connect();
  const auto shows = [&](const std::string& command) {
    return harness.call({"CLIENT", "LIST"}).find(" cmd=" + command + " ") != std::string::npos;
  };
  CHECK(shows("NULL"));
  harness.call_as(other, {"MULTI"});
  harness.call_as(other, {"GET", "k"});
  CHECK(shows("get"));
  harness.call_as(other, {"nosuch"});
  CHECK(shows("NULL"));
  harness.call_as(other, {"ECHO"});
  CHECK(shows("echo"));
}

TEST_CASE("CLIENT REPLY SKIP swallows one answer, also that of a refusal", "[node]") {
  Harness harness;
  const std::string skip = request({"CLIENT", "REPLY", "SKIP"});
  CHECK(harness.send(skip + request({"SET", "k", "1"}) + request({"INCR", "k"})) == ":2\r\n");
  CHECK(harness.send(skip + request({"NOSUCH"}) + request({"INCR", "k"})) == ":3\r\n");
  CHECK(harness.send(skip + request({"MULTI"}) + request({"PING"}) + request({"EXEC"})) ==
        kQueued + "*1\r\n+PONG\r\n");
}

TEST_CASE("replies that nobody wants take no memory", "[node]") {
  Harness harness;
  harness.call({"SET", "k", std::string(1000, 'x')});
  const std::size_t before = harness.client->output.memory_bytes();
  harness.send(request({"CLIENT", "REPLY", "OFF"}));
  for (int i = 0; i < 1000; ++i) CHECK(harness.call({"GET", "k"}).empty());
  CHECK(harness.client->output.memory_bytes() == before);
  CHECK(harness.call({"CLIENT", "REPLY", "ON"}) == kOk);
}

TEST_CASE("a transaction with a refused command is discarded, and keeps nothing until then",
          "[node]") {
  Harness harness;
  CHECK(harness.call({"MULTI"}) == kOk);
  CHECK(harness.call({"GET"}) == "-ERR wrong number of arguments for 'get' command\r\n");
  CHECK(harness.call({"SET", "k", std::string(1000, 'x')}) == kQueued);
  CHECK(harness.client->transaction.queue.empty());
  CHECK(harness.call({"EXEC"}) ==
        "-EXECABORT Transaction discarded because of previous errors.\r\n");
  CHECK(harness.call({"EXEC"}) == "-ERR EXEC without MULTI\r\n");
  CHECK(harness.keys() == 0);
}

TEST_CASE("a transaction that grows beyond the query buffer limit ends the connection", "[node]") {
  config::Options options;
  options.limits.client_query_buffer_limit = 1 << 20;
  Harness harness(options);
  harness.call({"MULTI"});
  for (int i = 0; i < 17; ++i) {
    REQUIRE(harness.client->fate == Fate::kOpen);
    harness.call({"SET", "k", std::string(64'000, 'x')});
  }
  CHECK(harness.client->fate == Fate::kCloseNow);
  CHECK(harness.node.take_effects().log_lines.size() == 1);
}

TEST_CASE("a client that goes away in the middle leaves nothing watched", "[node]") {
  Harness harness;
  client::Client& gone = harness.connect();
  harness.call_as(gone, {"WATCH", "k"});
  harness.call_as(gone, {"MULTI"});
  harness.feed(gone, "*3\r\n$3\r\nSET\r\n");
  harness.node.disconnect(gone);
  CHECK(harness.node.state().watches.empty());
  CHECK(harness.call({"SET", "k", "v"}) == kOk);
}

TEST_CASE("a pause holds requests, and they run when it has ended", "[node]") {
  Harness harness;
  client::Client& control = harness.connect();
  SECTION("writes only") {
    harness.call_as(control, {"CLIENT", "PAUSE", "100", "WRITE"});
    CHECK(harness.call({"GET", "k"}) == kNull);
    CHECK(harness.send(request({"SET", "k", "1"}) + request({"INCR", "k"})).empty());
    CHECK(harness.last_step == Step::kHeld);
    CHECK(harness.node.pause_end(harness.now.unix_ms) == harness.now.unix_ms + 100);
    harness.advance_ms(99);
    CHECK(harness.run(*harness.client) == Step::kHeld);
    SECTION("by itself") {
      harness.advance_ms(1);
    }
    SECTION("by UNPAUSE") {
      CHECK(harness.call_as(control, {"CLIENT", "UNPAUSE"}) == kOk);
    }
    CHECK_FALSE(harness.node.holds(harness.now));
    CHECK(harness.run(*harness.client) == Step::kNeedMore);
    CHECK(harness.output(*harness.client) == "+OK\r\n:2\r\n");
  }
  SECTION("everything") {
    harness.call_as(control, {"CLIENT", "PAUSE", "100"});
    CHECK(harness.call({"PING"}).empty());
    CHECK(harness.last_step == Step::kHeld);
    harness.advance_ms(100);
    CHECK(harness.run(*harness.client) == Step::kNeedMore);
    CHECK(harness.output(*harness.client) == "+PONG\r\n");
  }
  SECTION("a client that goes away while held is not carried out") {
    harness.call_as(control, {"CLIENT", "PAUSE", "100", "WRITE"});
    client::Client& gone = harness.connect();
    harness.call_as(gone, {"SET", "k", "v"});
    harness.node.disconnect(gone);
    harness.advance_ms(200);
    CHECK(harness.call({"EXISTS", "k"}) == ":0\r\n");
  }
}

TEST_CASE("a new limit holds for clients that are there already", "[node]") {
  Harness harness;
  client::Client& other = harness.connect();
  harness.call({"CONFIG", "SET", "proto-max-bulk-len", "1mb"});
  CHECK(harness.node.take_effects().options_changed);
  CHECK(harness.send(other, "*1\r\n$1048577\r\n") ==
        "-ERR Protocol error: invalid bulk length\r\n");
}

TEST_CASE("a transaction queued before a loading began does not run on what is loaded so far",
          "[node]") {
  Harness harness;
  CHECK(harness.send(request({"MULTI"}) + request({"GET", "k"})) == kOk + "+QUEUED\r\n");
  harness.node.state().persistence.loading = true;
  CHECK(harness.call({"EXEC"}) ==
        "-EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in "
        "memory\r\n");
  harness.node.state().persistence.loading = false;
  CHECK(harness.call({"GET", "k"}) == kNull);
}
