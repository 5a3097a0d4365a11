// How two peers meet: Connection::connect and Connection::accept.

#include <doctest/doctest.h>

#include <future>
#include <vector>

#include "common/net/connection.h"
#include "common/wire/messages.h"
#include "tests/unit/net_fixture.h"

using namespace lefting;
using namespace lefting::net;
using namespace lefting::test;

TEST_CASE("Connection: with TLS each side knows the other's device, without it neither") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  const Pair tls = make_pair(&one, &two);
  CHECK((tls.caller.device() == two.device()));
  CHECK((tls.answerer.device() == one.device()));
  const Pair plain = make_pair(nullptr, nullptr);
  CHECK_FALSE(plain.caller.device().has_value());
  CHECK_FALSE(plain.answerer.device().has_value());
  CHECK(plain.answerer.remote() == local_address(plain.caller.fd()).take());
}

TEST_CASE("Connection: the expected device is taken, another is wrong_device") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  for (const bool right : {true, false}) {
    const Loopback here;
    auto accepting =
        std::async(std::launch::async, [&] { return Connection::accept(here.accept(), &two, -1); });
    const auto called =
        Connection::connect(here.address, &one, right ? two.device() : one.device(), -1);
    CHECK(accepting.get().ok());
    CHECK(called.ok() == right);
    if (right) continue;
    CHECK(called.error().code == Fault::wrong_device);
    CHECK(called.error().text().find(to_text(two.device())) != std::string::npos);
  }
}

TEST_CASE("Connection: stop_fd ends connecting and accepting") {
  const Identity one = new_identity();
  const EventFd stop;
  stop.signal();
  const Loopback here;
  CHECK(code_of(Connection::connect(here.address, &one, {}, stop.fd())) == Fault::stopped);
  const UniqueFd silent = here.accept();
  const UniqueFd caller = here.raw_connect();
  CHECK(code_of(Connection::accept(here.accept(), &one, stop.fd())) == Fault::stopped);
}

TEST_CASE("Connection: a plain caller that meets TLS is told so in a frame") {
  const Identity identity = new_identity();
  const Loopback here;
  auto accepting = std::async(std::launch::async, [&] {
    return code_of(Connection::accept(here.accept(), &identity, -1));
  });
  auto caller = Connection::connect(here.address, nullptr, {}, -1);
  REQUIRE(caller.ok());
  REQUIRE(caller.value().send("{\"operation\":\"hello\"}", std::vector<std::byte>(300000)).ok());
  const auto frame = caller.value().receive(kPatience);
  REQUIRE(frame.ok());
  const auto reply = wire::decode_reply(frame.value().header);
  REQUIRE(reply.ok());
  CHECK((reply.value().error == wire::Code::not_trusted));
  CHECK(reply.value().message.find("TLS") != std::string::npos);
  { const Connection leaves = caller.take(); }
  CHECK(accepting.get() == Fault::not_tls);
}

TEST_CASE("Connection: a TLS caller that meets a plain peer sees not_tls, the other needs_tls") {
  const Identity identity = new_identity();
  const Loopback here;
  auto answering = std::async(std::launch::async, [&] {
    auto accepted = Connection::accept(here.accept(), nullptr, -1);
    REQUIRE(accepted.ok());
    return code_of(accepted.value().receive(kPatience));
  });
  const auto called = Connection::connect(here.address, &identity, {}, -1);
  REQUIRE_FALSE(called.ok());
  CHECK(called.error().code == Fault::not_tls);
  CHECK(called.error().text().find("--plain") != std::string::npos);
  CHECK(answering.get() == Fault::needs_tls);
}

TEST_CASE("Connection: a handshake that nobody answers, or nobody begins, is a timeout") {
  const Identity identity = new_identity();
  Timeouts timeouts;
  timeouts.connect = kSoon;
  const Loopback here;
  CHECK(code_of(Connection::connect(here.address, &identity, {}, -1, timeouts)) == Fault::timeout);
  here.accept();
  const UniqueFd silent = here.raw_connect();
  CHECK(code_of(Connection::accept(here.accept(), &identity, -1, timeouts)) == Fault::timeout);
  const UniqueFd stalls = here.raw_connect();
  const std::byte first{0x16};
  send_raw(stalls, {&first, 1});
  CHECK(code_of(Connection::accept(here.accept(), &identity, -1, timeouts)) == Fault::timeout);
}

TEST_CASE("Connection: a broken handshake is a TLS fault on the answering side") {
  const Identity identity = new_identity();
  const Loopback here;
  const UniqueFd raw = here.raw_connect();
  send_raw(raw, std::vector<std::byte>(600, std::byte{0x16}));
  CHECK(code_of(Connection::accept(here.accept(), &identity, -1)) == Fault::tls);
}

TEST_CASE("Connection: a port where nobody listens is refused, a name nobody knows is said") {
  Address address;
  {
    const Loopback here;
    address = here.address;
  }
  const auto refused = Connection::connect(address, nullptr, {}, -1);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == std::errc::connection_refused);
  CHECK(refused.error().subject == address.text());
  const auto unknown = Connection::connect({"no-such-host.invalid", 1}, nullptr, {}, -1);
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().subject == "no-such-host.invalid:1");
}
