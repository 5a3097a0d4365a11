#include "common/net/connection.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <thread>

#include "tests/unit/net_fixture.h"

using namespace lefting;
using namespace lefting::net;
using namespace lefting::test;

namespace {

/// A plain connection, and a bare socket at its other end.
struct HalfRaw {
  UniqueFd raw;
  Connection connection;
};
HalfRaw make_half_raw(int stop_fd = -1, const Timeouts& timeouts = {}) {
  const Loopback here;
  UniqueFd raw = here.raw_connect();
  auto accepted = Connection::accept(here.accept(), nullptr, stop_fd, timeouts);
  REQUIRE(accepted.ok());
  return {std::move(raw), accepted.take()};
}

std::vector<std::byte> bare_sizes(std::uint32_t header, std::uint32_t data) {
  std::vector<std::byte> bytes;
  for (const std::uint32_t size : {header, data}) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<std::byte>(size >> shift & 0xff));
    }
  }
  return bytes;
}

void check_frame(Connection& from, Connection& to, const std::string& header, std::size_t size) {
  CAPTURE(header.size());
  CAPTURE(size);
  const auto data = pattern(size);
  auto sending = std::async(std::launch::async, [&] { return from.send(header, data); });
  const auto frame = to.receive(kPatience);
  CHECK(sending.get().ok());
  REQUIRE(frame.ok());
  CHECK(frame.value().header == header);
  CHECK((frame.value().data == data));
}

}  // namespace

TEST_CASE("Connection: frames of every size go both ways, plain and with TLS") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr);
    for (const std::size_t header : {2u, 100u, 16376u, 16384u, 65536u}) {
      for (const std::size_t data : {0u, 1u, 16275u, 16276u, 16277u, 16384u, 65537u, 1048577u}) {
        check_frame(pair.caller, pair.answerer, std::string(header, 'h'), data);
        check_frame(pair.answerer, pair.caller, std::string(header, 'a'), data);
      }
    }
    check_frame(pair.caller, pair.answerer, "{}", wire::kMaxDataBytes);
    CHECK_FALSE(pair.answerer.buffered());
  }
}

TEST_CASE("Connection: what there is room to send is sent, though the other side does not read") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  std::vector<std::byte> frames;
  for (int i = 0; i < 128; ++i) {
    const auto frame = wire::encode_frame(std::string(1016, 'x'));
    frames.insert(frames.end(), frame.begin(), frame.end());
  }
  for (const bool tls : {false, true}) {
    for (const bool has_room : {false, true}) {
      CAPTURE(tls);
      CAPTURE(has_room);
      Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr,
                            {.progress = has_room ? kPatience : kSoon});
      const int little = 4096;
      ::setsockopt(pair.caller.fd(), SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
      ::setsockopt(pair.answerer.fd(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
      if (has_room) pair.caller.make_room_to_send(frames.size());
      REQUIRE(pair.caller.send_frames(frames).ok() == has_room);
      if (has_room) REQUIRE(pair.answerer.receive(kPatience).ok());
    }
  }
}

TEST_CASE("Connection: frames that are held come in their order, with the next or when flushed") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr);
    const auto receive = [&](const std::string& header, std::size_t size) {
      CAPTURE(header);
      const auto frame = pair.answerer.receive(kPatience);
      REQUIRE(frame.ok());
      CHECK(frame.value().header == header);
      CHECK((frame.value().data == pattern(size)));
    };
    const auto has_come = [&] {
      pollfd fd{pair.answerer.fd(), POLLIN, 0};
      return pair.answerer.buffered() || poll_fds({&fd, 1}, 0) > 0;
    };
    CHECK(pair.caller.flush().ok());  // nothing to do
    CHECK(pair.caller.send_later("#1", pattern(100)).ok());
    CHECK(pair.caller.send_later("#2", {}).ok());
    CHECK_FALSE(has_come());
    CHECK(pair.caller.send("#3", pattern(20000)).ok());
    receive("#1", 100);
    receive("#2", 0);
    receive("#3", 20000);
    CHECK(pair.caller.send_later("#4", pattern(5000)).ok());
    CHECK(pair.caller.flush().ok());
    receive("#4", 5000);
    // Who waits for the other side holds nothing back.
    CHECK(pair.caller.send_later("asked", {}).ok());
    auto answer = std::async(std::launch::async, [&] { return pair.caller.receive(kPatience); });
    receive("asked", 0);
    CHECK(pair.answerer.send("answered").ok());
    CHECK(answer.get().ok());
    // Much is not held.
    for (int i = 0; i < 8; ++i) CHECK(pair.caller.send_later("#5", pattern(16384)).ok());
    for (int i = 0; i < 4; ++i) receive("#5", 16384);
    CHECK(pair.caller.flush().ok());
    for (int i = 4; i < 8; ++i) receive("#5", 16384);
  }
}

TEST_CASE("Connection: a frame that comes byte by byte is a frame") {
  HalfRaw half = make_half_raw();
  const auto data = pattern(1000);
  const auto bytes = wire::encode_frame(R"({"operation":"news"})", data);
  auto sending = std::async(std::launch::async, [&] {
    for (const auto& byte : bytes) send_raw(half.raw, {&byte, 1});
  });
  const auto frame = half.connection.receive(kPatience);
  sending.get();
  REQUIRE(frame.ok());
  CHECK(frame.value().header == R"({"operation":"news"})");
  CHECK((frame.value().data == data));
}

TEST_CASE("Connection: frames that come together are taken one by one, and buffered() knows") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr);
    CHECK_FALSE(pair.answerer.buffered());
    for (int i = 0; i < 200; ++i) REQUIRE(pair.caller.send(std::to_string(1000 + i)).ok());
    for (int i = 0; i < 200; ++i) {
      const auto frame = pair.answerer.receive(kPatience);
      REQUIRE(frame.ok());
      CHECK(frame.value().header == std::to_string(1000 + i));
    }
    CHECK_FALSE(pair.answerer.buffered());
  }
  HalfRaw half = make_half_raw();
  auto bytes = wire::encode_frame("{}");
  bytes.insert(bytes.end(), bytes.begin(), bytes.end());
  send_raw(half.raw, bytes);
  REQUIRE(half.connection.receive(kPatience).ok());
  CHECK(half.connection.buffered());
  REQUIRE(half.connection.receive(kPatience).ok());
  CHECK_FALSE(half.connection.buffered());
}

TEST_CASE("Connection: a frame sent in parts is one frame") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  const auto data = pattern(70000);
  const std::span<const std::byte> bytes{data};
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr);
    for (const std::size_t first : {0u, 1u, 16384u, 70000u}) {
      REQUIRE(pair.caller.send_begin("{}", 70000, bytes.first(first)).ok());
      REQUIRE(pair.caller.send_more(bytes.subspan(first)).ok());
      const auto frame = pair.answerer.receive(kPatience);
      REQUIRE(frame.ok());
      CHECK((frame.value().data == data));
    }
  }
}

TEST_CASE("Connection: what was not read of a frame is skipped") {
  Pair pair = make_pair(nullptr, nullptr);
  const auto data = pattern(100000);
  for (int i = 0; i < 4; ++i) REQUIRE(pair.caller.send("{\"a\":1}", data).ok());
  REQUIRE(pair.answerer.begin_frame(kPatience).ok());
  REQUIRE(pair.answerer.begin_frame(kPatience).ok());
  REQUIRE(pair.answerer.read_header().ok());
  REQUIRE(pair.answerer.begin_frame(kPatience).ok());
  REQUIRE(pair.answerer.read_header().ok());
  std::vector<std::byte> half(data.size() / 2);
  REQUIRE(pair.answerer.read_data(half).ok());
  CHECK(std::equal(half.begin(), half.end(), data.begin()));
  const auto last = pair.answerer.receive(kPatience);
  REQUIRE(last.ok());
  CHECK((last.value().data == data));
}

TEST_CASE("Connection: an end between frames is closed, within one it is cut") {
  const auto bytes = wire::encode_frame("{\"a\":1}", pattern(5));
  for (std::size_t sent = 0; sent <= bytes.size(); ++sent) {
    CAPTURE(sent);
    HalfRaw half = make_half_raw();
    send_raw(half.raw, std::span{bytes}.first(sent));
    half.raw.reset();
    auto frame = half.connection.receive(kPatience);
    if (sent == bytes.size()) {
      CHECK(frame.ok());
      frame = half.connection.receive(kPatience);
    }
    REQUIRE_FALSE(frame.ok());
    const bool between = sent == 0 || sent == bytes.size();
    CHECK(frame.error().code == (between ? Fault::closed : Fault::cut));
  }
}

TEST_CASE("Connection: with TLS a goodbye and a lost peer both end it") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  for (const bool goodbye : {true, false}) {
    CAPTURE(goodbye);
    Pair pair = make_pair(&one, &two);
    if (goodbye) {
      const Connection leaves = std::move(pair.caller);
    } else {
      ::shutdown(pair.caller.fd(), SHUT_RDWR);
    }
    CHECK(code_of(pair.answerer.receive(kPatience)) == Fault::closed);
  }
}

TEST_CASE("Connection: silence between frames and within one is a timeout") {
  const auto bytes = wire::encode_frame("{\"a\":1}", pattern(5));
  Timeouts timeouts;
  timeouts.progress = kSoon;
  for (const std::size_t sent : {0u, 1u, 7u, 8u, 9u, 15u, 19u}) {
    CAPTURE(sent);
    HalfRaw half = make_half_raw(-1, timeouts);
    send_raw(half.raw, std::span{bytes}.first(sent));
    const auto frame = half.connection.receive(sent == 0 ? kSoon : kPatience);
    CHECK(code_of(frame) == Fault::timeout);
  }
}

TEST_CASE("Connection: a frame that trickles in is a timeout, though no byte of it is late") {
  const auto bytes = wire::encode_frame("{\"a\":1}", pattern(1000));
  Timeouts timeouts;
  timeouts.progress = milliseconds{300};
  timeouts.least_bytes_a_second = 1u << 20;
  HalfRaw half = make_half_raw(-1, timeouts);
  std::atomic<bool> ended{false};
  const std::jthread trickle{[&] {
    for (std::size_t i = 0; i < bytes.size() && !ended; ++i) {
      send_raw(half.raw, std::span{bytes}.subspan(i, 1));
      poll_fds({}, 10);  // far sooner than `progress`
    }
  }};
  const auto frame = half.connection.receive(kPatience);
  ended = true;
  CHECK(code_of(frame) == Fault::timeout);
}

TEST_CASE("Connection: a peer that reads nothing is a timeout for who sends") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  Timeouts timeouts;
  timeouts.progress = kSoon;
  const auto data = pattern(wire::kMaxDataBytes);
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr, timeouts);
    std::error_code code;
    for (int i = 0; i < 100 && !code; ++i) code = code_of(pair.caller.send("{}", data));
    CHECK(code == Fault::timeout);
  }
}

TEST_CASE("Connection: to send to a peer that is gone is an error and no signal") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  const auto data = pattern(1u << 20);
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr);
    { const Connection leaves = std::move(pair.answerer); }
    std::error_code code;
    for (int i = 0; i < 100 && !code; ++i) code = code_of(pair.caller.send("{}", data));
    CHECK((code == std::errc::broken_pipe || code == std::errc::connection_reset));
  }
}

TEST_CASE("Connection: stop_fd ends a wait to read and a wait to send") {
  const EventFd stop;
  HalfRaw half = make_half_raw(stop.fd());
  auto waiting = std::async(std::launch::async, [&] { return half.connection.receive(kPatience); });
  stop.signal();
  CHECK(code_of(waiting.get()) == Fault::stopped);

  const EventFd stop_sending;
  HalfRaw full = make_half_raw(stop_sending.fd());
  const auto data = pattern(wire::kMaxDataBytes);
  auto sending = std::async(std::launch::async, [&] {
    std::error_code code;
    while (!code) code = code_of(full.connection.send("{}", data));
    return code;
  });
  stop_sending.signal();
  CHECK(sending.get() == Fault::stopped);
}

TEST_CASE("Connection: stop_fd ends it between frames that have come already") {
  const EventFd stop;
  HalfRaw half = make_half_raw(stop.fd());
  auto bytes = wire::encode_frame("{}");
  bytes.insert(bytes.end(), bytes.begin(), bytes.end());
  send_raw(half.raw, bytes);
  REQUIRE(half.connection.receive(kPatience).ok());
  stop.signal();
  CHECK(code_of(half.connection.receive(kPatience)) == Fault::stopped);
}

TEST_CASE("Connection: sizes out of their limits are told before the rest has come") {
  struct Case {
    std::uint32_t header;
    std::uint32_t data;
    wire::Code code;
  };
  for (const Case& one :
       {Case{0, 5, wire::Code::bad_frame}, Case{1, 0, wire::Code::bad_frame},
        Case{65537, 0, wire::Code::too_large}, Case{2, 16777217, wire::Code::too_large},
        Case{0xffffffff, 0xffffffff, wire::Code::too_large}}) {
    CAPTURE(one.header);
    HalfRaw half = make_half_raw();
    send_raw(half.raw, bare_sizes(one.header, one.data));
    CHECK(code_of(half.connection.begin_frame(kPatience)) == one.code);
  }
}

TEST_CASE("Connection: after finish() the last reply is read by a peer that was still sending") {
  const Identity one = new_identity();
  const Identity two = new_identity();
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair = make_pair(tls ? &one : nullptr, tls ? &two : nullptr);
    auto refusing = std::async(std::launch::async, [&] {
      Connection answerer = std::move(pair.answerer);
      REQUIRE(answerer.begin_frame(kPatience).ok());
      REQUIRE(answerer.send("{\"status\":\"error\"}").ok());
      answerer.finish();
    });
    REQUIRE(pair.caller.send("{}", pattern(8u << 20)).ok());
    const auto reply = pair.caller.receive(kPatience);
    REQUIRE(reply.ok());
    CHECK(reply.value().header == "{\"status\":\"error\"}");
    CHECK(code_of(pair.caller.receive(kPatience)) == Fault::closed);
    { const Connection leaves = std::move(pair.caller); }
    refusing.get();
  }
}
