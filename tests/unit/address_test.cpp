#include "common/net/address.h"

#include <doctest/doctest.h>

#include "tests/unit/net_fixture.h"

using namespace lefting;
using namespace lefting::net;
using namespace lefting::test;

TEST_CASE("parse_address: takes names, IPv4 and IPv6, with a port and without") {
  struct Case {
    const char* text;
    Address address;
    const char* again;
  };
  for (const Case& one : {
           Case{"host", {"host", 20000}, "host:20000"},
           Case{"host.example:1", {"host.example", 1}, "host.example:1"},
           Case{"10.0.0.1", {"10.0.0.1", 20000}, "10.0.0.1:20000"},
           Case{"0.0.0.0:0", {"0.0.0.0", 0}, "0.0.0.0:0"},
           Case{"h:65535", {"h", 65535}, "h:65535"},
           Case{"::", {"::", 20000}, "[::]:20000"},
           Case{"::1", {"::1", 20000}, "[::1]:20000"},
           Case{"fe80::1%eth0", {"fe80::1%eth0", 20000}, "[fe80::1%eth0]:20000"},
           Case{"[::1]", {"::1", 20000}, "[::1]:20000"},
           Case{"[2001:db8::2]:80", {"2001:db8::2", 80}, "[2001:db8::2]:80"},
       }) {
    CAPTURE(one.text);
    const auto address = parse_address(one.text);
    REQUIRE(address.ok());
    CHECK(address.value() == one.address);
    CHECK(address.value().text() == one.again);
    CHECK(parse_address(one.again).take() == one.address);
  }
}

TEST_CASE("parse_address: what is wrong with an address is said") {
  const std::string too_long(254, 'a');
  for (const std::string& text : {std::string{""},
                                  std::string{":80"},
                                  std::string{"host:"},
                                  std::string{"host:65536"},
                                  std::string{"host:-1"},
                                  std::string{"host:+1"},
                                  std::string{"host:8x"},
                                  std::string{"host: 80"},
                                  std::string{"a b"},
                                  std::string{"a/b"},
                                  std::string{"a@b"},
                                  std::string{"[::1"},
                                  std::string{"[]"},
                                  std::string{"[host]:1"},
                                  std::string{"[::1]80"},
                                  std::string{"[::1]:"},
                                  std::string{"[::1]:99999"},
                                  std::string{"1:2:3"},
                                  std::string{"::1::2"},
                                  std::string{"a\nb"},
                                  std::string{"a\0b", 3},
                                  too_long}) {
    CAPTURE(text);
    const auto address = parse_address(text);
    REQUIRE_FALSE(address.ok());
    CHECK_FALSE(address.error().advice.empty());
    CHECK(address.error().text().find('\n') == std::string::npos);
  }
}

TEST_CASE("parse_peer_spec: takes an address, an ID, or both") {
  DeviceId device;
  device.bytes.fill(7);
  const std::string id = to_text(device);

  const auto address = parse_peer_spec("host:5");
  REQUIRE(address.ok());
  CHECK_FALSE(address.value().device.has_value());
  CHECK(address.value().address == Address{"host", 5});

  const auto alone = parse_peer_spec(id);
  REQUIRE(alone.ok());
  CHECK(alone.value().device == device);
  CHECK_FALSE(alone.value().address.has_value());

  const auto both = parse_peer_spec(id + "@[::1]:5");
  REQUIRE(both.ok());
  CHECK(both.value().device == device);
  CHECK(both.value().address == Address{"::1", 5});

  for (const std::string& text :
       {std::string{""}, std::string{"@"}, std::string{"@host"}, std::string{"AAAA@host"}, id + "@",
        id + "@host:x", id.substr(1) + "@host"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_peer_spec(text).ok());
  }
}

TEST_CASE("listen_on: port 0 takes a free port, and both ends know each other's address") {
  const Loopback here;
  CHECK(here.address.host == "127.0.0.1");
  CHECK(here.address.port != 0);
  const UniqueFd caller = here.raw_connect();
  const UniqueFd answerer = here.accept();
  CHECK(remote_address(caller.get()).take() == here.address);
  CHECK(remote_address(answerer.get()).take() == local_address(caller.get()).take());
}

TEST_CASE("listen_on: a port that is taken, or a host that is not here, is an error") {
  const Loopback here;
  const auto taken = listen_on(here.address);
  REQUIRE_FALSE(taken.ok());
  CHECK(taken.error().code == std::errc::address_in_use);
  CHECK(taken.error().subject == here.address.text());
  CHECK_FALSE(listen_on({"192.0.2.1", 0}).ok());
  CHECK_FALSE(listen_on({"no-such-host.invalid", 0}).ok());
}

TEST_CASE("listen_on: a port can be listened on again at once") {
  Address address;
  {
    const Loopback here;
    address = here.address;
    const UniqueFd caller = here.raw_connect();
    here.accept();  // closed first, so that the port is left waiting
  }
  CHECK(listen_on(address).ok());
}

TEST_CASE("listen_on: on :: an IPv4 peer is taken, and named by its IPv4 address") {
  auto socket = listen_on({"::", 0});
  if (!socket) return;  // a machine without IPv6
  Loopback here;
  here.address = local_address(socket.value().get()).take();
  here.listening = socket.take();
  const UniqueFd caller = here.raw_connect();
  const UniqueFd answerer = here.accept();
  CHECK(remote_address(answerer.get()).take().host == "127.0.0.1");
}

TEST_CASE("remote_address: a socket that is not connected is an error") {
  const Loopback here;
  CHECK_FALSE(remote_address(here.listening.get()).ok());
}
