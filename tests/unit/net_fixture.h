#pragma once

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <future>
#include <optional>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "common/base/os.h"
#include "common/net/address.h"
#include "common/net/connection.h"
#include "common/net/identity.h"
#include "tests/unit/temp_folder.h"

namespace lefting::test {

inline net::Identity new_identity() {
  const TempFolder folder;
  auto identity = net::Identity::open(folder / "key.pem", folder / "certificate.pem");
  REQUIRE(identity.ok());
  return identity.take();
}

/// Listens on a free port of the loopback.
struct Loopback {
  Loopback() {
    auto socket = net::listen_on({"127.0.0.1", 0});
    REQUIRE(socket.ok());
    listening = socket.take();
    auto bound = net::local_address(listening.get());
    REQUIRE(bound.ok());
    address = bound.take();
  }
  UniqueFd accept() const {
    pollfd fd{listening.get(), POLLIN, 0};
    REQUIRE(poll_fds({&fd, 1}, 10000) == 1);
    UniqueFd socket{::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    REQUIRE(socket.get() >= 0);
    return socket;
  }
  /// The other end of what accept() gives: a blocking socket for bytes of any kind.
  UniqueFd raw_connect() const {
    UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    return socket;
  }

  UniqueFd listening;
  net::Address address;
};

inline constexpr milliseconds kPatience{20000};
inline constexpr milliseconds kSoon{80};  // a wait that the test means to see end

inline std::vector<std::byte> pattern(std::size_t count) {
  std::vector<std::byte> bytes(count);
  std::minstd_rand random{static_cast<unsigned>(count + 1)};
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

struct Pair {
  net::Connection caller;
  net::Connection answerer;
};

/// Two connections that speak to each other; identities null: plain.
inline Pair make_pair(const net::Identity* caller, const net::Identity* answerer,
                      const net::Timeouts& timeouts = {}) {
  const Loopback here;
  auto accepting = std::async(std::launch::async, [&] {
    return net::Connection::accept(here.accept(), answerer, -1, timeouts);
  });
  auto called = net::Connection::connect(here.address, caller, {}, -1, timeouts);
  auto accepted = accepting.get();
  REQUIRE(called.ok());
  REQUIRE(accepted.ok());
  return {called.take(), accepted.take()};
}

inline void send_raw(const UniqueFd& socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    REQUIRE(n > 0);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

template <class T>
std::error_code code_of(const Result<T>& result) {
  return result.ok() ? std::error_code{} : result.error().code;
}

}  // namespace lefting::test
